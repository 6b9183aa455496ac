"""How much memory this process and its device held, and what is said where either has no more."""

from __future__ import annotations

import re
import sys

import torch

from composer.component import Component
from composer.interfaces import ModelSource

COSTLY = ("members", "batch", "size", "train", "test", "count", "pictures", "steps")
"""Options that decide how much memory components take, where they do not say so themselves."""
ASKED = re.compile(r"[Tt]ried to allocate ([\d.]+ ?\w+)")


def peak_memory() -> int:
    """Bytes of memory that this process held at its fullest; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows has no such figure
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def watch_device(device: str) -> None:
    """From here on `device_memory` counts."""
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()


def device_memory(device: str) -> int:
    """Bytes of the device's memory that tensors took at once since `watch_device`; 0 on the CPU."""
    return torch.cuda.max_memory_allocated() if device == "cuda" else 0


def is_exhaustion(error: BaseException) -> bool:
    """Whether an error says that there is no memory left. On the CPU torch raises a RuntimeError of its allocator."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "DefaultCPUAllocator" in str(error)


def exhausted(error: BaseException, component: Component, device: str) -> str:
    """What the user can do where a component's work takes more memory than there is."""
    asked = ASKED.search(str(error))
    on_device = isinstance(error, torch.OutOfMemoryError)
    where = "the device has no memory left" if on_device else "this machine has no memory left"
    wanted = f" for {asked[1]} more" if asked else ""
    options = lowered(component)
    lower = f"lower {' or '.join(f'`{option}`' for option in options)} of {component.name}" if options else ""
    elsewhere = "compute on the CPU (--device cpu)" if on_device and device != "cpu" else ""
    ways = ", or ".join(filter(None, (lower, elsewhere))) or "take fewer or smaller networks and pictures"
    return f"{where}{wanted}: {ways}; what was finished is kept"


def lowered(component: Component) -> list[str]:
    """The options of a component that decide how much memory it takes."""
    fields = type(component).model_fields
    said = [option for option, _, _ in component.memory()] if isinstance(component, ModelSource) else []
    return list(dict.fromkeys(said)) or [option for option in COSTLY if option in fields]
