"""A file of weights, whatever saved it: the tensors by name, and what lies around them. No code in it is run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from composer.errors import ComposerError
from composer.networks.parametrized import plain_parameters
from composer.networks.tensor_names import COUNTERS, Claim, claim, some, unwrapped
from composer.networks.weights_file import read_data

WRAPPER = "module."
"""What DataParallel and averaged models put before every name."""
DEEPEST = 3


@dataclass(frozen=True)
class StateFile:
    """The weights in a file: the state dict that was asked for, or the one with the best claim to be its network.

    The usual names have it (`model`, `state_dict`), before others, before averages (`ema`); what is called after
    gradients, optimisers, masks or the start of training has none. The order in the file plays no part.
    """

    tensors: Mapping[str, Tensor]
    """On the CPU. Names are without the prefix of torch's wrappers; counts of steps are left out."""
    key: str = ""
    """Under which the state dict lies, where it is not the whole file."""
    beside: tuple[str, ...] = ()
    """What else lies beside it."""
    prefix: str = ""
    others: tuple[StateFile, ...] = ()
    """The file's other state dicts, where none was asked for."""
    asked: bool = False
    """Whether its key was asked for."""


def read_state_file(file: Path, key: str | None = None) -> StateFile:
    """The weights in a .safetensors file or in what torch.save wrote; ComposerError where there are none.

    key: under which they lie, such as `model_ema` or, where all lie in one state dict, `encoder_q`.
    """
    data = read_data(file)
    found = {found.key: found for found in _state_dicts(data, "")}
    if not found:
        raise ComposerError(f"{file}: holds no tensors under names, but {_described(data)}; save model.state_dict()")
    if key is not None:
        chosen, rest = _asked(found, key, file), []
    else:
        largest = max(len(each.tensors) for each in found.values())
        chosen, *rest = sorted(found.values(), key=lambda each: _preference(each, largest))
    inside = chosen.key.split(".")[0]
    beside = tuple(str(name) for name in data if str(name) != inside) if inside in data else ()
    return replace(chosen, beside=beside, others=tuple(rest), asked=key is not None)


def _preference(found: StateFile, largest: int) -> tuple[bool, bool, int, int, str]:
    """Sorts the best first; the name decides in the end, so that the order in the file does not."""
    claimed = claim(found.key)
    small = 2 * len(found.tensors) < largest
    return claimed is Claim.NONE, small, -claimed, -len(found.tensors), found.key


def _asked(found: Mapping[str, StateFile], key: str, file: Path) -> StateFile:
    """The state dict under a key, or what lies under a prefix in one of them."""
    if key in found:
        return found[key]
    for each in found.values():
        prefix = key.removeprefix(each.key).removeprefix(".") + "."
        inside = {name.removeprefix(prefix): t for name, t in each.tensors.items() if name.startswith(prefix)}
        if inside and key.startswith(each.key):
            return StateFile(inside, key)
    names = [*found, *dict.fromkeys(n.split(".")[0] for each in found.values() for n in each.tensors if "." in n)]
    there = some([repr(name) for name in names if name], 8) or "one that is the whole file"
    raise ComposerError(f"{file}: there is no state dict under {key!r}; there are {there}")


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
        tensors = plain_parameters(unwrapped(tensors))
        prefix = _wrappers(list(tensors))
        yield StateFile({name.removeprefix(prefix): value for name, value in tensors.items()}, key, prefix=prefix)
    if key.count(".") < DEEPEST:
        for name, value in data.items():
            yield from _state_dicts(value, f"{key}.{name}" if key else str(name))


def _wrappers(names: Sequence[str]) -> str:
    """What data-parallel and averaging wrappers, each in the next, have put before all names."""
    prefix = ""
    while all(name.startswith(f"{prefix}{WRAPPER}") for name in names):
        prefix += WRAPPER
    return prefix


def _described(data: object) -> str:
    if isinstance(data, Mapping):
        return f"a mapping with {', '.join(map(repr, list(data)[:5]))}" if data else "nothing"
    return f"a {type(data).__name__}"
