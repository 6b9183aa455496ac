"""The page's first figure: a score of each composition with its interval, between the better parent and an oracle."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from composer.data.records import title_of_row
from composer.data.score_info import best_of, main_score, read_declared, title_of
from composer.page.colours import GREY, Palette
from composer.results.results_table import best_first
from composer.results.sheet import number

STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
INTERVALS = 6
"""Of the axis at most."""


@dataclass(frozen=True)
class Bar:
    """One composition. at, low, high: places on the axis in percent; None where there is no score or no interval."""

    name: str
    control: bool
    colour: str
    text: str
    said: str
    at: float | None = None
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Mark:
    """A line across all bars, or a tick below them; at: its place in percent."""

    label: str
    at: float


@dataclass(frozen=True)
class Panel:
    """All compositions in one score, the best first, then the controls."""

    title: str
    bars: Sequence[Bar]
    marks: Sequence[Mark]
    ticks: Sequence[Mark]


def panels(report: Mapping[str, Any], palette: Palette) -> list[Panel]:
    """By the main score, and by that which gain is measured in where it is another."""
    declared = read_declared(report)
    having = list(dict.fromkeys(name for arm in report["compositions"].values() for name in arm["scores"]))
    main = main_score(declared, having)
    wanted = [] if main is None else [main]
    wanted += [name for name, info in declared.items() if info.gain and name in having]
    return [_panel(report, palette, name, title_of(declared, name)) for name in dict.fromkeys(wanted)]


def _panel(report: Mapping[str, Any], palette: Palette, score: str, title: str) -> Panel:
    arms = [
        (name, arm, arm["scores"].get(score))
        for control in (False, True)
        for name, arm in best_first(report)
        if arm["control"] is control
    ]
    fixed = _fixed(report, score)
    values = [value for *_, facts in arms if facts for value in (facts["picked"], *(facts["interval"] or ()))]
    ticks = axis_ticks([*values, *fixed.values()])
    low, span = ticks[0], ticks[-1] - ticks[0]

    def place(value: float) -> float:
        return round(100 * (value - low) / span, 2)

    bars = []
    for name, arm, facts in arms:
        row = (title_of_row(name, arm), arm["control"], palette.compositions.get(name, GREY))
        if facts is None:
            bars.append(Bar(*row, "-", f"{name}: no {title}"))
            continue
        picked, interval = number(facts["picked"]), facts["interval"]
        said = f"{name}: {picked}"
        if interval is not None:
            said += f", 95% interval {number(interval[0])} to {number(interval[1])}"
        bars.append(Bar(*row, picked, said, place(facts["picked"]), *map(place, interval or ())))
    marks = [Mark(f"{label} {number(value)}", place(value)) for label, value in fixed.items()]
    return Panel(title, bars, marks, [Mark(f"{tick:g}", place(tick)) for tick in ticks])


def _fixed(report: Mapping[str, Any], score: str) -> dict[str, float]:
    """What lines stand for, as far as the run knows it -> value."""
    found: dict[str, float] = {}
    oracle = report.get("oracle") or {}
    parents = {
        concept: float(scores[score]["picked"])
        for concept, scores in oracle.get("parents", {}).items()
        if score in scores
    }
    if parents:
        higher = next(scores[score]["higher_is_better"] for scores in oracle["parents"].values() if score in scores)
        best = best_of(parents, higher)
        found[f"better parent ({best})"] = parents[best]
    if score in oracle.get("scores", {}):
        found["oracle"] = float(oracle["scores"][score]["picked"])
    if (base := base_rate(report, score)) is not None:
        found["always the same answer"] = base
    return found


def base_rate(report: Mapping[str, Any], score: str) -> float | None:
    """What the same answer for every picture reaches, of an accuracy."""
    bases = [
        arm["scores"][score]["base"]
        for arm in report["compositions"].values()
        if arm["scores"].get(score, {}).get("base") is not None
    ]
    return max(bases, default=None)


def axis_ticks(values: Sequence[float]) -> list[float]:
    """Round numbers, evenly spaced, at most INTERVALS + 1, the outermost beyond all values."""
    low, high = min(values), max(values)
    span = (high - low) or 1.0
    size = 10 ** math.floor(math.log10(span / INTERVALS))
    for step in (size * each for each in STEPS):
        first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
        if last - first <= INTERVALS:
            break
    return [round(index * step, 10) for index in range(first, max(last, first + 1) + 1)]
