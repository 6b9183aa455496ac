"""The page's pictures: of each cell those that a composition is surest of, right and wrong."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

A_CELL = 12
"""Pictures shown of a cell."""
WRONG = 6
"""Of these, how many wrong ones may take the place of right ones."""


@dataclass(frozen=True)
class Thumb:
    """One picture: a data URI, its name, and the probability of the target."""

    picture: str
    name: str
    probability: str


@dataclass(frozen=True)
class CellRow:
    """The surest pictures of one cell, and how many are right and wrong in all."""

    cell: str
    counts: Sequence[int]
    right: Sequence[Thumb]
    wrong: Sequence[Thumb]


def galleries(report: Mapping[str, Any], page: Mapping[str, Any], order: Sequence[str]) -> dict[str, list[CellRow]]:
    """Composition -> its cells; first the best of one network, then the others as in `order`; no control is there."""
    having = [
        name
        for name in order
        if "gallery" in page["compositions"][name] and not report["compositions"][name]["control"]
    ]
    first = first_shown(page, having)
    having.sort(key=lambda name: name != first)
    return {
        name: [_row(page, name, *each) for each in page["compositions"][name]["gallery"].items()] for name in having
    }


def first_shown(page: Mapping[str, Any], having: Sequence[str]) -> str | None:
    """The first that is one network, or else the first."""
    alone = [name for name in having if page["compositions"][name]["networks"] == 1]
    return next(iter([*alone, *having]), None)


def _row(page: Mapping[str, Any], composition: str, cell: str, sides: Mapping[str, Any]) -> CellRow:
    pictures, log_odds = page["pictures"], page["compositions"][composition]["members"][0]["log_odds"]
    right, wrong = sides["right"], sides["wrong"]
    wrong = wrong[: max(WRONG, A_CELL - len(right))]
    shown = [
        [Thumb(pictures["thumbnails"][str(i)], pictures["names"][i], probability(log_odds[i])) for i in side]
        for side in (right[: A_CELL - len(wrong)], wrong)
    ]
    return CellRow(cell, sides["counts"], *shown)


def probability(log_odds: float) -> str:
    """With three decimals."""
    return f"{1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0:.3f}"
