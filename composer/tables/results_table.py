"""The table at the end of a run, and what it shows in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from composer.command_line.terminal import make_console, plain_table, seconds_text
from composer.recipes.recipe import Recipe
from composer.runs.records import target_of
from composer.tables.gain_table import gain_notes, gain_table
from composer.tables.parents_table import parents_table

Statistic = Literal["picked", "interval", "median", "best", "best_by_luck"]
BEATS = "▲"
"""Marks a composition's number that is shown to be better than every control's."""
NARROW = 110
"""Characters below which the headers of counts are broken into two lines."""


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
        return max(len(text) for text in [*self.header.split("\n"), *(self.cell(arm["scores"]) for arm in arms)])

    def cell(self, scores: Mapping[str, Any]) -> str:
        """The number of one composition or a dash, with a mark where labels were fitted to or all controls beaten."""
        score = scores.get(self.score, {})
        if self.statistic == "interval":
            return interval_text(score) or "-"
        text = number(score.get(self.statistic))
        if text != "-" and score.get("labels") == "fitting":
            return f"{text}†"
        return f"{text}{BEATS}" if self.statistic == "picked" and score.get("beats_controls") else text


MAIN_COLUMNS = (
    ScoreColumn("recognition.auc", "AUC", "AUC"),
    ScoreColumn("recognition.auc", "95%\ninterval", "AUC", "interval"),
    ScoreColumn("recognition.auc", "AUC\nmedian", "AUC", "median"),
    ScoreColumn("recognition.auc_hardest_cell", "AUC,\nhardest\ncell", "AUC of the hardest cell"),
    ScoreColumn("recognition.accuracy", "accu-\nracy", "accuracy"),
    ScoreColumn("clusters.kmeans.accuracy", "K-means\nmedian", "K-means accuracy", "median"),
    ScoreColumn("clusters.kmeans.accuracy", "best*", "K-means accuracy", "best"),
    ScoreColumn("clusters.kmeans.accuracy", "by\nluck*", "K-means accuracy", "best_by_luck"),
    ScoreColumn("clusters.one_class_svm.accuracy", "one-class\nSVM", "accuracy of the one-class SVM"),
)
LONGEST_NAME = 23
"""Characters of a composition's name that the table keeps on one line where it can."""


def number(value: float | None) -> str:
    """Three decimals, or a dash for what is missing."""
    return "-" if value is None else f"{value:.3f}"


def interval_text(score: Mapping[str, Any]) -> str:
    """`0.981-0.995`, or nothing where there is no interval."""
    interval = score.get("interval")
    return f"{interval[0]:.3f}-{interval[1]:.3f}" if interval else ""


def count_text(count: int) -> str:
    """At most six characters: `5,142`, `388 k`, `4.65 M`."""
    if count < 100_000:
        return f"{count:,}"
    return f"{count / 1e3:.0f} k" if count < 999_500 else f"{count / 1e6:.3g} M"


def count_headers(width: int) -> tuple[str, str]:
    return ("members", "parameters") if width >= NARROW else ("mem-\nbers", "para-\nmeters")


def choose_columns(compositions: Mapping[str, Any], width: int) -> list[ScoreColumn]:
    """What of the main scores, and then of all other accuracies, any composition has and `width` has room for.

    Where there are none of these, the first scores of the report.
    """
    names = list(dict.fromkeys(name for arm in compositions.values() for name in arm["scores"]))
    known = {column.score for column in MAIN_COLUMNS}
    wanted = [column for column in MAIN_COLUMNS if column.score in names]
    wanted += [_plain_column(name) for name in names if name not in known and name.endswith("accuracy")]
    wanted = wanted or [_plain_column(name) for name in names]
    longest = max((len(name) + 2 for name in compositions), default=0)
    room = width - min(longest, LONGEST_NAME)
    for header, key in zip(count_headers(width), ("members", "parameters"), strict=True):
        texts = [*header.split("\n"), *(count_text(arm[key]) for arm in compositions.values())]
        room -= max(len(text) for text in texts) + 1
    columns: list[ScoreColumn] = []
    for column in wanted:
        room -= column.width(compositions.values()) + 1
        if room < 0:
            break
        columns.append(column)
    return columns


def _plain_column(name: str) -> ScoreColumn:
    words = name.replace(".", " ").replace("_", " ")
    return ScoreColumn(name, "\n".join(textwrap.wrap(words, 9, break_long_words=False)), name)


def results_table(report: Mapping[str, Any], width: int) -> Table:
    """A row per composition, then one per control."""
    compositions = report["compositions"]
    columns = choose_columns(compositions, width)
    table = plain_table()
    table.add_column("composition", overflow="fold")
    for header in count_headers(width):
        table.add_column(header, justify="right", no_wrap=True)
    for column in columns:
        table.add_column(column.header, justify="right", no_wrap=True)
    for name, arm in compositions.items():
        if not arm["control"]:
            table.add_row(name, *_cells(arm, columns))
    controls = [(name, arm) for name, arm in compositions.items() if arm["control"]]
    if controls:
        table.add_section()
        table.add_row("controls:")
    for name, arm in controls:
        table.add_row(f"  {name}", *_cells(arm, columns), style="dim")
    return table


def _cells(arm: Mapping[str, Any], columns: Sequence[ScoreColumn]) -> list[str]:
    return [
        count_text(arm["members"]),
        count_text(arm["parameters"]),
        *(column.cell(arm["scores"]) for column in columns),
    ]


def footnotes(report: Mapping[str, Any], width: int) -> list[str]:
    """What the marks of the table mean, as far as it shows any, and how much more the report holds."""
    compositions = report["compositions"]
    columns = choose_columns(compositions, width)
    notes = []
    if any(column.statistic == "best" for column in columns):
        notes.append("* best member of all by K-means accuracy, chosen with the test labels: luck, not expectation")
    lucky = [arm["scores"].get(column.score, {}) for column in columns for arm in compositions.values()]
    if any(column.statistic == "best_by_luck" for column in columns):
        names = " or ".join(dict.fromkeys(score["best_by_luck_of"] for score in lucky if score.get("best_by_luck_of")))
        if names:
            notes.append(f"  by luck: the best to expect of as many members of the control {names}")
    if any(BEATS in column.cell(arm["scores"]) for column in columns for arm in compositions.values()):
        count = len(report["comparisons"])
        notes.append(
            f"{BEATS} better than each control: 95% interval of the paired difference, Holm's correction for "
            f"{count} comparisons"
        )
    if any("†" in column.cell(arm["scores"]) for column in columns for arm in compositions.values()):
        notes.append("† test labels did more than score it: clusters are named, or a boundary is fitted, by them")
    base = [score["base"] for score in lucky if score.get("base") is not None]
    if base:
        notes.append(f"accuracy without a look at the pictures, always the same answer: {number(max(base))}")
    shown = {column.score for column in columns}
    more = len({name for arm in compositions.values() for name in arm["scores"]} - shown)
    if more:
        notes.append(f"{more} more score{'s' if more > 1 else ''} in report.json")
    return notes


def print_results(report: Mapping[str, Any], pairs: Sequence[tuple[str, str]], width: int | None = None) -> None:
    """The table with its footnotes, and what it says in sentences."""
    from composer.tables.verdicts import verdicts  # which needs the columns above

    console = make_console(width=width)
    console.print(f"\n{_heading(report)}\n")
    console.print(results_table(report, console.width))
    for note in footnotes(report, console.width):
        console.print(note, style="dim")
    if gains := gain_table(report):
        console.print()
        console.print(gains)
    for note in gain_notes(report):
        console.print(note, style="dim")
    if parents := parents_table(report):
        console.print()
        console.print(parents)
    for warning in report["warnings"]:
        console.print(Text("warning: ", style="yellow") + Text(warning))
    console.print()
    for sentence in verdicts(report, pairs):
        console.print(sentence)


def _heading(report: Mapping[str, Any]) -> str:
    images = report["images"]
    if images is None:
        return f"{report['name']}: {target_of(report)}"
    shown = f"{images['count']} test pictures, {images['positives']} of which show it"
    return f"{report['name']}: {target_of(report)} in {shown}"


def print_saved(folder: Path, seconds: float) -> None:
    """Where everything is, and how long it took."""
    expected = ("report.html", "report.json", "scores.csv", "recipe.yaml", "run.json", "figures", "models")
    there = [f"{name}/" if (folder / name).is_dir() else name for name in expected if (folder / name).exists()]
    console = make_console()
    listed = f": {', '.join(there)}" if there else ""
    console.print(f"\nSaved in {folder}{listed}. Took {seconds_text(seconds)}.", soft_wrap=True)


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
