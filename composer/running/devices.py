"""How a step computes on a GPU: the same seed gives the same bytes, in numbers as exact as the CPU's."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

UNSTEADY = "does not have a deterministic implementation"
"""What torch says of a function that adds up in another order each time."""


@contextmanager
def exact(device: str, warn: Callable[[str], None]) -> Iterator[None]:
    """On a GPU, lets torch take kernels that repeat themselves, without TF32; the CPU does so anyway.

    warn: told of functions that have no such kernel.
    """
    if device != "cuda":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read at the first matrix product
    asked = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    tf32 = torch.backends.cudnn.allow_tf32
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.backends.cudnn.allow_tf32 = False
    try:
        with _unsteady() as names:
            yield
    finally:
        torch.use_deterministic_algorithms(asked[0], warn_only=asked[1])
        torch.backends.cudnn.allow_tf32 = tf32
    for name in names:
        warn(f"on this GPU {name} adds up in another order each time: the last digits of another run may differ")


@contextmanager
def _unsteady() -> Iterator[dict[str, None]]:
    """The functions of which torch says that they do not repeat themselves; other warnings go where they always go."""
    names: dict[str, None] = {}
    shown: Any = warnings.showwarning

    def hear(message: Warning | str, *rest: Any, **more: Any) -> None:
        if UNSTEADY in str(message):
            names[str(message).partition(" ")[0]] = None
        else:
            shown(message, *rest, **more)

    with warnings.catch_warnings():
        warnings.filterwarnings("always", message=f".*{UNSTEADY}")
        warnings.showwarning = hear
        yield names
