"""What the names in a file of weights say: wrappers, copies of a network, and what plays no part in its answers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import TypeVar

Value = TypeVar("Value")

COUNTERS = ("num_batches_tracked", "n_averaged")
"""Counts of steps (batch norm's, averaged models'), which play no part in using a network; some files lack them."""
WRAPPERS = re.compile(r"(?<![^.])(?:_orig_mod|_checkpoint_wrapped_module|_fsdp_wrapped_module)\.")
"""What torch puts before the names of a part that is compiled, recomputed or sharded: anywhere in a name."""
HARMLESS = re.compile(
    r"(^|\.)(\w*criterion\w*|\w*loss(es)?|loss_\w+|\w*metrics?|\w*accuracy|(train|val|valid|test)_(acc|auc|auroc|f1)\w*)(\.|$)"
)
"""Names of what is used in training only: losses with weights, metrics that count."""
PIXEL_MEANS = ("mean", "mu", "pixel_mean", "image_mean", "img_mean")
PIXEL_STDS = ("std", "sigma", "pixel_std", "image_std", "img_std")
"""Last parts of the names of a normalisation of pixels inside a network."""

NO_NETWORK = re.compile(
    r"^(init\w*|\w*_init|initial\w*|optim\w*|\w*optimizer\w*|grads?|gradients?|\w*_grads?|exp_avgs?|exp_avg_sq|masks?|"
    r"\w*_masks?|momentum\w*|\w*_momentum|momenta|moments?|adam\w*|sgd\w*|scheduler\w*|fisher\w*)$",
    re.IGNORECASE,
)
"""Keys of copies of a network that are not the trained network."""
AVERAGED = re.compile(r"(^|[._])(ema|swa|swad|averaged?|avg|shadow|polyak)([._]|$)", re.IGNORECASE)
"""Keys of averages of the weights."""
USUAL = re.compile(
    r"^(|(model_|net_|network_)?(state_?dict|state|params|parameters|weights)|module|model|net|network|backbone|"
    r"checkpoint)$",
    re.IGNORECASE,
)
"""Keys under which nearly every training script puts its network."""


class Claim(IntEnum):
    """How good a claim what lies under a name has to be the file's network."""

    NONE = 0
    AVERAGED = 1
    OTHER = 2
    USUAL = 3


def claim(path: str) -> Claim:
    """The claim of what lies under `path`, such as `state_dict.model`."""
    parts = path.split(".")
    if any(NO_NETWORK.match(part) for part in parts):
        return Claim.NONE
    if any(AVERAGED.search(part) for part in parts):
        return Claim.AVERAGED
    return Claim.USUAL if all(USUAL.match(part) for part in parts) else Claim.OTHER


def unwrapped(tensors: Mapping[str, Value]) -> dict[str, Value]:
    """The same without the wrappers of parts; unchanged where two names would become one."""
    plain = {WRAPPERS.sub("", name): value for name, value in tensors.items()}
    return plain if len(plain) == len(tensors) else dict(tensors)


def by_prefix(tensors: Mapping[str, Value]) -> dict[str, dict[str, Value]]:
    """Each `prefix.` -> what stands under it, by the rest of its name; first of all the whole, under ''."""
    groups: dict[str, dict[str, Value]] = {"": dict(tensors)}
    for name, value in tensors.items():
        dot = name.find(".")
        while dot >= 0:
            groups.setdefault(name[: dot + 1], {})[name[dot + 1 :]] = value
            dot = name.find(".", dot + 1)
    return groups


def joined(*parts: str) -> str:
    """A path out of those that are not empty: `state_dict`, `model.` -> `state_dict.model`."""
    return ".".join(part.rstrip(".") for part in parts if part)


def some(names: Iterable[str], most: int = 4) -> str:
    """The first names, and how many more there are."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more
