"""A file of weights, whatever saved it: the tensors by name, and what lies around them. No code in it is run."""

from __future__ import annotations

import argparse
import pickle
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.dtypes import Float32DType, Float64DType, Int64DType
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from composer.errors import ComposerError

PREFIXES = ("module.", "_orig_mod.")
"""What torch's wrappers (DataParallel and averaged models, compile) put before every name."""
COUNTERS = ("num_batches_tracked", "n_averaged")
"""Counts of steps (batch norm's, averaged models'), which play no part in using a network; some files lack them."""
DEEPEST = 3
DAMAGED = (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError)
"""What torch.load raises on files that are cut short or are no checkpoints at all."""
OLD_SCALAR = "numpy.core.multiarray.scalar"
"""What numpy 1 called it."""
SCALAR: Any = np.float64(0).__reduce__()[0]
PLAIN: tuple[Any, ...] = (
    argparse.Namespace,
    np.dtype,
    Float32DType,
    Float64DType,
    Int64DType,
    SCALAR,
    (SCALAR, OLD_SCALAR),
)
"""What training scripts save beside the weights and that is data, no code: their options, numpy's numbers."""
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
    try:
        data = load_file(file) if file.suffix == ".safetensors" else _unpickled(file)
    except OSError as error:
        raise ComposerError(f"{file}: cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise ComposerError(f"{file}: is damaged or no safetensors file ({error}); copy or save it again") from error
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


def _unpickled(file: Path) -> Any:
    try:
        with warnings.catch_warnings(), torch.serialization.safe_globals(list(PLAIN)):
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
        raise ComposerError(f"{file}: is damaged or no checkpoint ({reason}); copy or save it again") from error


def _described(data: object) -> str:
    if isinstance(data, Mapping):
        return f"a mapping with {', '.join(map(repr, list(data)[:5]))}" if data else "nothing"
    return f"a {type(data).__name__}"
