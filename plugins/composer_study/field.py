"""Where a number stands in the whole field: distributions over all networks, and the best of N."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
MOST_KINDS = 4


def chance_of_reaching(values: Floats, level: float, count: int) -> float:
    """Chance that the best of `count` values, drawn with replacement, is `level` or more."""
    return float(1 - (values < level).mean() ** count)


def kinds(members: Sequence[str]) -> dict[str, NDArray[np.int64]]:
    """Members by what is left of their names without numbers (`A`, `B`); no group where there are many or one."""
    found: dict[str, list[int]] = {}
    for index, name in enumerate(members):
        found.setdefault(re.sub(r"[\W_]*\d+[\W_]*", " ", name).strip(), []).append(index)
    if not 1 < len(found) <= MOST_KINDS:
        return {}
    return {kind: np.asarray(indices) for kind, indices in found.items()}
