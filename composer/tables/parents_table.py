"""The table of how well each parent knows its own concept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from composer.command_line.terminal import plain_table

HELD_OUT = "held_out_auc"
WITHIN = "auc_within."


def parents_table(report: Mapping[str, Any]) -> Table | None:
    """A row per parent: its AUC on held-out training pictures and on the test pictures, and where it is lowest.

    All are medians over the parent's members. None where there is nothing to show.
    """
    parents: Mapping[str, Any] = report.get("parents", {})
    rows = {concept: _cells(parent) for concept, parent in parents.items()}
    if not any(cell != "-" for row in rows.values() for cell in row):
        return None
    table = plain_table()
    table.add_column("AUC of each parent\nat its own concept", overflow="fold")
    for header in ("mem-\nbers", "held-out\ntraining\npictures", "\ntest\npictures", "\n\nlowest"):
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("\namong test\npictures of", overflow="fold")
    for concept, row in rows.items():
        table.add_row(concept, str(parents[concept]["members"]), *row)
    return table


def _cells(parent: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """On held-out training pictures, on test pictures, at the lowest, and among which; a dash where there is none."""
    scores = parent["scores"]
    within = {name.removeprefix(WITHIN): each["median"] for name, each in scores.items() if name.startswith(WITHIN)}
    lowest = min(within, key=lambda cell: within[cell], default=None)
    return (
        _number(parent["measured"].get(HELD_OUT)),
        _number(scores.get("auc")),
        "-" if lowest is None else f"{within[lowest]:.3f}",
        lowest or "-",
    )


def _number(values: Mapping[str, float] | None) -> str:
    return "-" if values is None else f"{values['median']:.3f}"
