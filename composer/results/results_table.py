"""The table at the end of a run, and what it shows in words."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from composer.data.records import target_of, title_of_row
from composer.data.score_info import Statistic, main_score, read_declared
from composer.recipes.recipe import Recipe
from composer.results.sheet import Cell, Row, Sheet, number, numeric

BEATS = "▲"
"""Marks a composition's number that is shown to be better than every control's."""
FITTED = "†"
"""Marks a number that labels were fitted to."""
COUNTS = ("n", "size")
"""Headers of how many networks there are, and of how many weights the picked one has."""
COUNTED = "n: networks made, of which one is picked without labels and shown; size: its weights"
LONGEST_NAME = 23
"""Characters of a composition's name that the table keeps on one line where it can."""
HEADERS: Mapping[Statistic, str] = {
    "picked": "{}",
    "interval": "95%\ninterval",
    "median": "{}\nmedian",
    "best": "best*",
    "best_by_luck": "by\nluck*",
}


@dataclass(frozen=True)
class ScoreColumn:
    """One column of the table: which number of which score."""

    score: str
    header: str
    title: str
    """What a sentence calls it."""
    statistic: Statistic = "picked"

    def width(self, arms: Iterable[Mapping[str, Any]]) -> int:
        """Characters that the longest of its cells and of the lines of its header has."""
        return max(len(text) for text in [*self.header.split("\n"), *(self.cell(arm["scores"]).text for arm in arms)])

    def cell(self, scores: Mapping[str, Any]) -> Cell:
        """The number of one composition or a dash, with a mark where labels were fitted to or all controls beaten."""
        score = scores.get(self.score, {})
        if self.statistic == "interval":
            return numeric((score.get("interval") or [None])[0], interval_text(score) or "-")
        value = score.get(self.statistic)
        if value is None:
            return numeric(None)
        if score.get("labels") == "fitting":
            return numeric(value, f"{number(value)}{FITTED}")
        beats = self.statistic == "picked" and score.get("beats_controls")
        return numeric(value, f"{number(value)}{BEATS if beats else ''}")


def declared_columns(report: Mapping[str, Any]) -> list[ScoreColumn]:
    """The columns that the report's evaluators declare."""
    return [
        ScoreColumn(name, HEADERS[statistic].format(info.column), info.title, statistic)
        for name, info in read_declared(report).items()
        if info.column
        for statistic in info.shows
    ]


def interval_text(score: Mapping[str, Any]) -> str:
    """`0.981-0.995`, or nothing where there is no interval."""
    interval = score.get("interval")
    return f"{interval[0]:.3f}-{interval[1]:.3f}" if interval else ""


def count_text(count: int) -> str:
    """At most six characters: `5,142`, `388 k`, `4.65 M`."""
    if count < 100_000:
        return f"{count:,}"
    return f"{count / 1e3:.0f} k" if count < 999_500 else f"{count / 1e6:.3g} M"


def all_columns(report: Mapping[str, Any]) -> list[ScoreColumn]:
    """What of the declared columns, and then of the scores of evaluators that declare none, any composition has."""
    names = _names(report)
    declaring = {_evaluator(name) for name in read_declared(report)}
    wanted = [column for column in declared_columns(report) if column.score in names]
    return wanted + [_plain_column(name) for name in names if _evaluator(name) not in declaring]


def columns_by_evaluator(report: Mapping[str, Any]) -> list[list[ScoreColumn]]:
    """The columns of each evaluator; first of that by whose main score compositions are compared and chosen."""
    found: dict[str, list[ScoreColumn]] = {}
    for column in all_columns(report):
        found.setdefault(_evaluator(column.score), []).append(column)
    main = main_score(read_declared(report), _names(report))
    return sorted(found.values(), key=lambda columns: main is None or _evaluator(columns[0].score) != _evaluator(main))


def fitting(report: Mapping[str, Any], columns: Iterable[ScoreColumn], width: int) -> list[ScoreColumn]:
    """The first of `columns`, as many as `width` characters have room for."""
    compositions = report["compositions"]
    longest = max((len(title_of_row(*named)) + 2 for named in compositions.items()), default=0)
    room = width - min(longest, LONGEST_NAME)
    for header, key in zip(COUNTS, ("members", "parameters"), strict=True):
        room -= max(len(text) for text in [header, *(count_text(arm[key]) for arm in compositions.values())]) + 1
    chosen: list[ScoreColumn] = []
    for column in columns:
        room -= column.width(compositions.values()) + 1
        if room < 0:
            break
        chosen.append(column)
    return chosen


def _plain_column(name: str) -> ScoreColumn:
    words = name.replace(".", " ").replace("_", " ")
    return ScoreColumn(name, "\n".join(textwrap.wrap(words, 9, break_long_words=False)), name)


def results_sheet(report: Mapping[str, Any], columns: Sequence[ScoreColumn]) -> Sheet:
    """A row per composition, then one per control, the best first."""
    rows = [
        Row((named(name, arm), *_counts(arm), *(column.cell(arm["scores"]) for column in columns)), group)
        for control, group in ((False, ""), (True, "controls"))
        for name, arm in best_first(report)
        if arm["control"] is control
    ]
    return Sheet(("composition", *COUNTS, *(column.header for column in columns)), tuple(rows))


def best_first(report: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    """Compositions and controls by their main score, of equals in the recipe's order; last those that have none."""
    declared = read_declared(report)
    main = main_score(declared, _names(report))

    def rank(named: tuple[str, Mapping[str, Any]]) -> float:
        score = named[1]["scores"].get(main)
        if score is None:
            return math.inf
        return -score["picked"] if score.get("higher_is_better", True) else float(score["picked"])

    return sorted(report["compositions"].items(), key=rank)


def _names(report: Mapping[str, Any]) -> list[str]:
    """Of every score that any composition has."""
    return list(dict.fromkeys(name for arm in report["compositions"].values() for name in arm["scores"]))


def _evaluator(score: str) -> str:
    return score.partition(".")[0]


def named(name: str, arm: Mapping[str, Any]) -> Cell:
    """A composition's name as tables show it, sorted by the name itself."""
    return Cell(title_of_row(name, arm), name)


def _counts(arm: Mapping[str, Any]) -> tuple[Cell, Cell]:
    return (
        numeric(arm["members"], count_text(arm["members"])),
        numeric(arm["parameters"], count_text(arm["parameters"])),
    )


def footnotes(report: Mapping[str, Any], columns: Sequence[ScoreColumn]) -> list[str]:
    """What the marks of a table with these columns mean, as far as it shows any."""
    compositions = report["compositions"]
    texts = [column.cell(arm["scores"]).text for column in columns for arm in compositions.values()]
    lucky = [arm["scores"].get(column.score, {}) for column in columns for arm in compositions.values()]
    notes = _best_notes(columns, lucky)
    if any(BEATS in text for text in texts):
        count = len(report["comparisons"])
        notes.append(
            f"{BEATS} better than each control: 95% interval of the paired difference, Holm's correction for "
            f"{count} comparisons"
        )
    if any(FITTED in text for text in texts):
        notes.append(
            f"{FITTED} test labels did more than score it: clusters are named, or a boundary is fitted, by them"
        )
    base = [score["base"] for score in lucky if score.get("base") is not None]
    if base:
        notes.append(f"accuracy without a look at the pictures, always the same answer: {number(max(base))}")
    return notes


def left_out(report: Mapping[str, Any], columns: Sequence[ScoreColumn]) -> int:
    """How many scores no table with these columns shows."""
    return len(set(_names(report)) - {column.score for column in columns})


def _best_notes(columns: Sequence[ScoreColumn], scores: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the best member's number is worth, and of whom luck is."""
    notes = []
    titles = list(dict.fromkeys(column.title for column in columns if column.statistic == "best"))
    if titles:
        notes.append(
            f"* best member of all by {' and by '.join(titles)}, chosen with the test labels: luck, not expectation"
        )
    if any(column.statistic == "best_by_luck" for column in columns):
        names = " or ".join(dict.fromkeys(score["best_by_luck_of"] for score in scores if score.get("best_by_luck_of")))
        if names:
            notes.append(f"  by luck: the best to expect of as many members of the control {names}")
    return notes


def dead_note(report: Mapping[str, Any]) -> str:
    """How many members of which compositions are dead; empty where none is."""
    dead = [
        f"{arm['dead']} of {arm['members']} of {name}"
        for name, arm in report["compositions"].items()
        if arm.get("dead", 0)
    ]
    return f"dead members, which tell no two pictures apart and are never picked: {', '.join(dead)}" if dead else ""


def heading(report: Mapping[str, Any]) -> str:
    """`black_cat: black+cat in 400 test pictures, 100 of which show it`."""
    images = report["images"]
    if images is None:
        return f"{report['name']}: {target_of(report)}"
    shown = f"{images['count']} test pictures, {images['positives']} of which show it"
    return f"{report['name']}: {target_of(report)} in {shown}"


def random_pairs(recipe: Recipe) -> list[tuple[str, str]]:
    """(composition of translated kernels, control with random kernels in the same assembler), by name."""
    controls = [
        arm for arm in recipe.compositions if arm.control and arm.translator and arm.translator.name == "random"
    ]
    return [
        (arm.name, control.name)
        for arm in recipe.compositions
        if arm.translator is not None and not arm.control
        for control in controls
        if control.assembler == arm.assembler
    ]
