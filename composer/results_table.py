"""The table at the end of a run, and what it shows in words."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.table import Table
from rich.text import Text

from composer.parents_table import parents_table
from composer.recipe import Recipe
from composer.terminal import PIPED_WIDTH, make_console, plain_table, seconds_text

Statistic = Literal["picked", "interval", "median", "best"]


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
        """The number of one composition; a dash where it has none, a dagger where labels were fitted to."""
        score = scores.get(self.score, {})
        if self.statistic == "interval":
            return interval_text(score) or "-"
        text = number(score.get(self.statistic))
        return f"{text}†" if text != "-" and score.get("labels") == "fitting" else text


MAIN_COLUMNS = (
    ScoreColumn("recognition.auc", "AUC", "AUC"),
    ScoreColumn("recognition.auc", "95%\ninterval", "AUC", "interval"),
    ScoreColumn("recognition.auc", "AUC\nmedian", "AUC", "median"),
    ScoreColumn("recognition.auc_hardest_cell", "AUC,\nhardest\ncell", "AUC of the hardest cell"),
    ScoreColumn("recognition.accuracy", "accu-\nracy", "accuracy"),
    ScoreColumn("clusters.kmeans.accuracy", "K-means\nmedian", "K-means accuracy", "median"),
    ScoreColumn("clusters.kmeans.accuracy", "best*", "K-means accuracy", "best"),
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
    return ("members", "parameters") if width >= PIPED_WIDTH else ("mem-\nbers", "para-\nmeters")


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
    if any("†" in column.cell(arm["scores"]) for column in columns for arm in compositions.values()):
        notes.append("† fitted with test labels, not only scored with them")
    shown = {column.score for column in columns}
    more = len({name for arm in compositions.values() for name in arm["scores"]} - shown)
    if more:
        notes.append(f"{more} more score{'s' if more > 1 else ''} in report.json")
    return notes


def verdicts(report: Mapping[str, Any], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """What the table says, in sentences.

    pairs: (composition of translated kernels, the control that puts random kernels in their place).
    """
    compositions = report["compositions"]
    sentences = [best_sentence(compositions), *(kernels_sentence(compositions, *pair) for pair in pairs)]
    return [sentence for sentence in sentences if sentence]


def best_sentence(compositions: Mapping[str, Any]) -> str:
    """Which composition is best, by the member picked without labels, and whether it is above the best control."""
    made = {name: arm for name, arm in compositions.items() if not arm["control"]}
    controls = {name: arm for name, arm in compositions.items() if arm["control"]}
    column = next((c for c in MAIN_COLUMNS if any(c.score in arm["scores"] for arm in made.values())), None)
    if column is None:
        return ""
    best, ours = _highest(made, column.score)
    found = (
        f"Best composition, by the {column.title} of the member picked without labels: {best}, {_with_interval(ours)}."
    )
    if not any(column.score in arm["scores"] for arm in controls.values()):
        return f"{found} No control has this score."
    rival, theirs = _highest(controls, column.score)
    found += f" Best control: {rival}, {_with_interval(theirs)}."
    low = (ours["interval"] or [None])[0]
    if theirs["picked"] >= ours["picked"]:
        return f"{found} No composition is above the best control."
    if low is None:
        return f"{found} Without an interval nobody can say whether the difference is chance."
    if low <= theirs["picked"]:
        return f"{found} The interval of {best} includes the control's value: the difference may be chance."
    if theirs["interval"] and theirs["interval"][1] >= low:
        return f"{found} The interval of {best} excludes the control's value, but the two intervals overlap."
    return (
        f"{found} The interval of {best} excludes the control's: the choice of test pictures hardly explains the "
        "difference (another seed still might)."
    )


def kernels_sentence(compositions: Mapping[str, Any], translated: str, random: str) -> str:
    """Whether translated kernels are above random ones on the main scores that both have.

    One is above the other where the 95 % interval of its picked member and the median of its members both say so.
    Scores for which labels were fitted to are left out.
    """
    ours, theirs = compositions[translated]["scores"], compositions[random]["scores"]
    titles = {column.score: column.title for column in MAIN_COLUMNS}
    parts, above, below = [], 0, 0
    for name, title in titles.items():
        a, b = ours.get(name), theirs.get(name)
        if a is None or b is None or "fitting" in (a["labels"], b["labels"]):
            continue
        above += _above(a, b)
        below += _above(b, a)
        outcome = "above" if _above(a, b) else "below" if _above(b, a) else "not clear"
        picked = f"picked {number(a['picked'])} against {number(b['picked'])}"
        median = f"median {number(a['median'])} against {number(b['median'])}"
        parts.append(f"{title}: {picked}, {median} ({outcome})")
    if not parts:
        return f"Translated kernels ({translated}) and random ones ({random}) share no score of this table."
    if above:
        verdict = "beat random ones" if above == len(parts) else f"beat random ones on {above} of {len(parts)} scores"
    else:
        verdict = "do not beat random ones" if below else "are not shown to beat random ones"
    return f"Translated kernels {verdict} ({translated} against {random}): {'; '.join(parts)}."


def _above(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    interval = ours["interval"]
    return bool(interval and interval[0] > theirs["picked"] and ours["median"] > theirs["median"])


def _highest(arms: Mapping[str, Any], score: str) -> tuple[str, Mapping[str, Any]]:
    """The first arm with the highest picked value, and that score of it."""
    having = {name: arm["scores"][score] for name, arm in arms.items() if score in arm["scores"]}
    name = max(having, key=lambda arm: having[arm]["picked"])
    return name, having[name]


def _with_interval(score: Mapping[str, Any]) -> str:
    interval = interval_text(score)
    return f"{number(score['picked'])} (95% interval {interval})" if interval else number(score["picked"])


def print_results(report: Mapping[str, Any], pairs: Sequence[tuple[str, str]], width: int | None = None) -> None:
    """The table with its footnotes, and what it says in sentences."""
    console = make_console(width=width)
    console.print(f"\n{_heading(report)}\n")
    console.print(results_table(report, console.width))
    for note in footnotes(report, console.width):
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
    target = "+".join(report["concepts"])
    return f"{report['name']}: {target} in {images['count']} test pictures, {images['positives']} of which show it"


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
