"""A file of weights, whatever saved it: the tensors by name, and what lies around them. No code in it is run."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from composer.errors import ComposerError
from composer.models.weights_file import read_data

PREFIXES = ("module.", "_orig_mod.")
"""What torch's wrappers (DataParallel and averaged models, compile) put before every name."""
COUNTERS = ("num_batches_tracked", "n_averaged")
"""Counts of steps (batch norm's, averaged models'), which play no part in using a network; some files lack them."""
DEEPEST = 3
AVERAGED = re.compile(r"(^|[._])ema([._]|$)")
"""Keys of exponential moving averages of the weights."""


@dataclass(frozen=True)
class StateFile:
    """The weights in a file: its largest state dict, and of equal ones the averaged weights."""

    tensors: Mapping[str, Tensor]
    """On the CPU. Names are without the prefix of torch's wrappers; counts of steps are left out."""
    key: str = ""
    """Under which the state dict lies, where it is not the whole file."""
    beside: tuple[str, ...] = ()
    """What else lies beside it."""
    prefix: str = ""


def read_state_file(file: Path, key: str | None = None) -> StateFile:
    """The weights in a .safetensors file or in what torch.save wrote; ComposerError where there are none.

    key: under which they lie, such as `model_ema`; left out, the largest state dict is taken, and of several with
    the same names averaged weights (`ema`).
    """
    data = read_data(file)
    found = {found.key: found for found in _state_dicts(data, "")}
    if not found:
        raise ComposerError(f"{file}: holds no tensors under names, but {_described(data)}; save model.state_dict()")
    if key is not None and key not in found:
        there = ", ".join(repr(name) for name in found if name) or "one that is the whole file"
        raise ComposerError(f"{file}: there is no state dict under {key!r}; there are {there}")
    chosen = found[key] if key is not None else max(found.values(), key=_preference)
    beside = tuple(str(name) for name in data if str(name) != chosen.key.split(".")[0]) if chosen.key else ()
    return replace(chosen, beside=beside)


def _preference(found: StateFile) -> tuple[int, bool]:
    return len(found.tensors), AVERAGED.search(found.key) is not None


def _state_dicts(data: Any, key: str) -> Iterator[StateFile]:
    """Every mapping that holds tensors, at whatever depth."""
    if not isinstance(data, Mapping):
        return
    tensors = {
        str(name): value.detach()
        for name, value in data.items()
        if isinstance(value, Tensor) and not str(name).endswith(COUNTERS)
    }
    if tensors:
        prefix = _wrappers(list(tensors))
        yield StateFile({name.removeprefix(prefix): value for name, value in tensors.items()}, key, prefix=prefix)
    if key.count(".") < DEEPEST:
        for name, value in data.items():
            yield from _state_dicts(value, f"{key}.{name}" if key else str(name))


def _wrappers(names: Sequence[str]) -> str:
    """What wrappers, each in the next, have put before all names."""
    prefix = ""
    while wrapper := next((w for w in PREFIXES if all(name.startswith(prefix + w) for name in names)), ""):
        prefix += wrapper
    return prefix


def _described(data: object) -> str:
    if isinstance(data, Mapping):
        return f"a mapping with {', '.join(map(repr, list(data)[:5]))}" if data else "nothing"
    return f"a {type(data).__name__}"
