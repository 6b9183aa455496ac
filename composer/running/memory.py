"""How much memory this process held."""

from __future__ import annotations

import sys


def peak_memory() -> int:
    """Bytes of memory that this process held at its fullest; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows has no such figure
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
