"""One file of weights as a state dict, without running any code that it may hold."""

from __future__ import annotations

import pickle
import re
import warnings
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from composer import ComposerError

COUNTER = "num_batches_tracked"
"""Batch norm's count of steps, which plays no part in using a network; old files lack it."""
DAMAGED = (RuntimeError, EOFError, ValueError, LookupError, TypeError, AttributeError)
"""What torch.load raises on files that are cut short or are no checkpoints at all."""


def read_state(file: Path) -> dict[str, Tensor]:
    """parameter -> tensor on the CPU, float32 where it is a floating-point one; ComposerError names the file."""
    try:
        data = load_file(file) if file.suffix == ".safetensors" else _unpickled(file)
    except OSError as error:
        raise ComposerError(f"{file}: cannot be read: {error.strerror or error}") from error
    except SafetensorError as error:
        raise ComposerError(f"{file}: is damaged or no safetensors file ({error}); copy or save it again") from error
    if isinstance(data, dict) and isinstance(data.get("state_dict"), dict):
        data = data["state_dict"]
    if not isinstance(data, dict) or not data:
        met = "nothing" if isinstance(data, dict) else f"data of type {type(data).__name__}"
        raise ComposerError(f"{file}: holds {met}, not a state dict; save model.state_dict()")
    for key, value in data.items():
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise ComposerError(f"{file}: {key!r} is of type {kind}, not a tensor; save model.state_dict()")
    prefix = "module." if all(str(key).startswith("module.") for key in data) else ""  # DataParallel's
    return {
        str(key).removeprefix(prefix): value.detach().float() if value.is_floating_point() else value.detach()
        for key, value in data.items()
        if not str(key).endswith(COUNTER)
    }


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
        raise ComposerError(f"{file}: is damaged or no checkpoint ({reason}); copy or save it again") from error
