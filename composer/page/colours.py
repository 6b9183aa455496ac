"""The page's colours, which can be read on white and on black alike: one per composition, others for cells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

INK = "#7f8794"
"""Axes and their text, with a contrast of 3.7 on white and of 5 on the page's black."""
GREY = "#8b919c"
"""Controls, the cell of no concept, and chance."""
COMPOSITIONS = ("#e0702c", "#3a8fdb", "#2aa57c", "#9a78d8", "#c9533f", "#7f9434", "#5b86a6")
CELLS = ("#d6457f", "#bd9a1d", "#29a9bd", "#8d6f5a", "#6f7de0", "#6aa84f", "#c77fc0")
SERIES = ("#6c88a8", "#b58a5f", "#7a9c84", "#a3808c", "#8a86b3")
"""Of curves that are neither, such as losses: muted, so that nobody takes them for a composition."""
DASHES = ("dashed", "dotted", "dotdash", "dashdot")
"""Tell grey lines apart."""


@dataclass(frozen=True)
class Palette:
    """Which colour everything of one page has."""

    compositions: Mapping[str, str]
    controls: Sequence[str]
    cells: Mapping[str, str]

    def of(self, groups: Sequence[str]) -> list[str]:
        """A colour each: of cells where all are cells, else of compositions and controls, else of the other series."""
        if groups and all(group in self.cells for group in groups):
            return [self.cells[group] for group in groups]
        found, others = [], 0
        for group in groups:
            if group in self.compositions:
                found.append(self.compositions[group])
            elif group in self.controls or group in ("none", "chance"):
                found.append(GREY)
            else:
                found.append(SERIES[others % len(SERIES)])
                others += 1
        return found

    def dash(self, name: str) -> str:
        """How a line is drawn: compositions solid, controls and chance each in their own way."""
        if name == "chance":
            return "dotted"
        return DASHES[self.controls.index(name) % len(DASHES)] if name in self.controls else "solid"


def palette(report: Mapping[str, Any], cells: Sequence[str]) -> Palette:
    """Colours in the recipe's order, so that a composition keeps its own however the table is sorted."""
    arms = report["compositions"]
    made = [name for name, arm in arms.items() if not arm["control"]]
    return Palette(
        {name: COMPOSITIONS[index % len(COMPOSITIONS)] for index, name in enumerate(made)},
        [name for name, arm in arms.items() if arm["control"]],
        {cell: GREY if cell == "none" else CELLS[index % len(CELLS)] for index, cell in enumerate(cells)},
    )
