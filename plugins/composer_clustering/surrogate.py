"""A small model that says, from what can be seen of a partition, what its adjusted Rand index with the target will be.

Fitted where labels are known, on drawn pairs, and used where they are not, as MetaIVM does. Its numbers, in
surrogate.json, are made by `benchmarks/clustering.py`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from itertools import combinations_with_replacement
from pathlib import Path

SHIPPED = Path(__file__).parent / "surrogate.json"


@dataclass(frozen=True)
class Surrogate:
    """A regression on what is seen and its products of two, all less a centre and by a scale.

    names: what is seen. least, most: what was seen of each where it was fitted; what lies beyond counts as this.
    centres, scales: of each. slopes: of each, then of each product in the order of
    `itertools.combinations_with_replacement`.
    """

    names: Sequence[str]
    least: Sequence[float]
    most: Sequence[float]
    centres: Sequence[float]
    scales: Sequence[float]
    slopes: Sequence[float]
    intercept: float

    def says(self, seen: Mapping[str, float]) -> float:
        """The index that is expected, between -1 and 1; the same bits on every machine."""
        terms = self.terms(seen)
        found = math.fsum([self.intercept, *(slope * term for slope, term in zip(self.slopes, terms, strict=True))])
        return min(max(found, -1.0), 1.0)

    def terms(self, seen: Mapping[str, float]) -> list[float]:
        """What the slopes are of."""
        ranges = zip(self.names, self.least, self.most, self.centres, self.scales, strict=True)
        values = [(min(max(seen[name], low), high) - centre) / scale for name, low, high, centre, scale in ranges]
        return [*values, *(one * other for one, other in combinations_with_replacement(values, 2))]

    def write(self, file: Path) -> None:
        file.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, file: Path) -> Surrogate:
        return cls(**json.loads(file.read_text(encoding="utf-8")))


@cache
def shipped() -> Surrogate:
    """The one that comes with the package."""
    return Surrogate.read(SHIPPED)
