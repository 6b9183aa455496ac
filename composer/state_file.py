"""A file of weights, whatever saved it: the tensors by name, and what lies around them. No code in it is run."""

from __future__ import annotations

import pickle
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from composer.errors import ComposerError

PREFIXES = ("module.", "_orig_mod.")
"""What torch's wrappers (DataParallel, compile) put before every name."""
DEEPEST = 3
DAMAGED = (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError)
"""What torch.load raises on files that are cut short or are no checkpoints at all."""


@dataclass(frozen=True)
class StateFile:
    """The largest state dict in a file."""

    tensors: Mapping[str, Tensor]
    """Names are without the wrappers' prefix."""
    key: str = ""
    """Under which the state dict lies, where it is not the whole file."""
    beside: tuple[str, ...] = ()
    """What else lies beside it."""
    prefix: str = ""


def read_state_file(file: Path) -> StateFile:
    """The weights in a .safetensors file or in what torch.save wrote; ComposerError where there are none."""
    try:
        data = load_file(file) if file.suffix == ".safetensors" else _unpickled(file)
    except OSError as error:
        raise ComposerError(f"{file}: cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise ComposerError(f"{file}: is damaged or no safetensors file ({error})") from error
    found = sorted(_state_dicts(data, ""), key=lambda item: len(item[1]))
    if not found:
        raise ComposerError(f"{file}: holds no tensors under names, but {_described(data)}; save model.state_dict()")
    key, state = found[-1]
    prefix = ""
    for wrapper in PREFIXES:
        if all(name.startswith(prefix + wrapper) for name in state):
            prefix += wrapper
    tensors = {name.removeprefix(prefix): tensor for name, tensor in state.items()}
    beside = tuple(str(other) for other in data if str(other) != key.split(".")[0]) if key else ()
    return StateFile(tensors, key, beside, prefix)


def _state_dicts(data: Any, key: str) -> Iterator[tuple[str, dict[str, Tensor]]]:
    """(key, state dict) for every mapping that holds tensors."""
    if not isinstance(data, Mapping):
        return
    tensors = {str(name): value for name, value in data.items() if isinstance(value, Tensor)}
    if tensors:
        yield key, tensors
    if key.count(".") < DEEPEST:
        for name, value in data.items():
            yield from _state_dicts(value, f"{key}.{name}" if key else str(name))


def _unpickled(file: Path) -> Any:
    try:
        with warnings.catch_warnings():
            # torch warns of pickle protocols other than its own, before it refuses or reads them.
            warnings.filterwarnings("ignore", message="Detected pickle protocol", category=UserWarning)
            return torch.load(file, weights_only=True, map_location="cpu")
    except pickle.UnpicklingError as error:
        culprit = re.search(r"GLOBAL (\S+)", str(error))
        what = f" ({culprit[1]})" if culprit else ""
        raise ComposerError(
            f"{file}: refused, because it is no checkpoint or holds more than tensors{what}; reading such a pickle "
            "could run code. Save model.state_dict() alone, best as safetensors"
        ) from error
    except DAMAGED as error:
        reason = str(error).splitlines()[0] if str(error) else "it ends too early"
        raise ComposerError(f"{file}: is damaged or no checkpoint ({reason})") from error


def _described(data: object) -> str:
    if isinstance(data, Mapping):
        return f"a mapping with {', '.join(map(repr, list(data)[:5]))}" if data else "nothing"
    return f"a {type(data).__name__}"
