"""The table of how well each parent knows its own concept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from composer.results.sheet import Cell, Row, Sheet, numeric, word

HELD_OUT = "held_out_auc"
WITHIN = "auc_within."
HEADERS = (
    "AUC of each parent\nat its own concept",
    "n",
    "held-out\ntraining\npictures",
    "\ntest\npictures",
    "\n\nlowest",
    "\namong test\npictures of",
)


def parents_sheet(report: Mapping[str, Any]) -> Sheet | None:
    """A row per parent: its AUC on held-out training pictures and on the test pictures, and where it is lowest.

    All are medians over the parent's members. None where there is nothing to show.
    """
    parents: Mapping[str, Any] = report.get("parents", {})
    rows = {concept: _cells(parent) for concept, parent in parents.items()}
    if not any(cell.text != "-" for row in rows.values() for cell in row):
        return None
    made = [
        Row((word(concept), numeric(parents[concept]["members"], str(parents[concept]["members"])), *row))
        for concept, row in rows.items()
    ]
    return Sheet(HEADERS, tuple(made), words=(0, len(HEADERS) - 1))


def _cells(parent: Mapping[str, Any]) -> tuple[Cell, Cell, Cell, Cell]:
    """On held-out training pictures, on test pictures, at the lowest, and among which; a dash where there is none."""
    scores = parent["scores"]
    within = {name.removeprefix(WITHIN): each["median"] for name, each in scores.items() if name.startswith(WITHIN)}
    lowest = min(within, key=lambda cell: within[cell], default=None)
    return (
        numeric(_median(parent["measured"].get(HELD_OUT))),
        numeric(_median(scores.get("auc"))),
        numeric(None if lowest is None else within[lowest]),
        word(lowest or "-"),
    )


def _median(values: Mapping[str, float] | None) -> float | None:
    return None if values is None else values["median"]
