"""The page's tables, made from the sheets that the terminal draws too."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from composer.data.score_info import read_declared, title_of
from composer.results.gain_table import gain_notes, gain_sheet
from composer.results.parents_table import parents_sheet
from composer.results.results_table import (
    COUNTED,
    COUNTS,
    ScoreColumn,
    columns_by_evaluator,
    dead_note,
    fitting,
    footnotes,
    interval_text,
    results_sheet,
)
from composer.results.sheet import Row, Sheet, number, numeric, word
from composer.results.verdicts import judged
from composer.results.words import PHRASES

WIDTH = 96
"""Characters of the numbers' columns that stand beside the verdict at 1,400 pixels."""


@dataclass(frozen=True)
class Column:
    """One column: a value per row, as sorted by and as shown."""

    header: str
    values: Sequence[float | str | None]
    texts: Sequence[str]

    @property
    def is_text(self) -> bool:
        return any(isinstance(value, str) for value in self.values)


@dataclass(frozen=True)
class Further:
    """A table of the page beside that of the results.

    key: by which links find it. sheet: from the content of report.json; None where there is nothing to show.
    notes: sentences below it. folded: shown after a click on its title.
    """

    key: str
    title: str
    sheet: Callable[[Mapping[str, Any]], Sheet | None]
    notes: Callable[[Mapping[str, Any]], Sequence[str]] = lambda report: ()
    folded: bool = False


def comparisons_sheet(report: Mapping[str, Any]) -> Sheet | None:
    """A row per composition, control and compared score: the difference, and whether it can be chance."""
    found: Sequence[Mapping[str, Any]] = report.get("comparisons", ())
    if not found:
        return None
    declared = read_declared(report)
    rows = []
    for one in found:
        low, high = one["interval"]
        p = "<0.001" if one["p_holm"] < 0.001 else f"{one['p_holm']:.3f}"
        names = (one["composition"], one["control"], title_of(declared, one["score"]))
        numbers = (
            numeric(one["difference"], f"{one['difference']:+.3f}"),
            numeric(low, f"{low:+.3f} to {high:+.3f}"),
            numeric(one["p_holm"], p),
        )
        rows.append(Row((*map(word, names), *numbers, word(PHRASES[one["verdict"]]))))
    headers = ("composition", "control", "score", "difference", "95% interval", "p (Holm)", "verdict")
    return Sheet(headers, tuple(rows), words=(0, 1, 2, 6))


def comparisons_notes(report: Mapping[str, Any]) -> Sequence[str]:
    return (
        "The difference between the members picked without labels, on the same resampled test pictures (paired "
        f"bootstrap); p after Holm's correction for {len(report['comparisons'])} comparisons. Better and worse are "
        "said only where p is at most 0.05 and the interval excludes 0. Another seed may still turn out otherwise.",
    )


FURTHER = (
    Further("gain", "How far from the better parent (0) to an oracle (1)", gain_sheet, gain_notes),
    Further("parents", "How well the parents know their own concepts", parents_sheet),
    Further("comparisons", "Each composition against each control", comparisons_sheet, comparisons_notes, folded=True),
)
"""The page's further tables, in this order: one more line here, and it stands on the page."""


@dataclass(frozen=True)
class Placed:
    """A further table that has something to show."""

    key: str
    title: str
    columns: Sequence[Column]
    notes: Sequence[str]
    folded: bool


def further(report: Mapping[str, Any]) -> Iterator[Placed]:
    """Every further table that has something to show."""
    for one in FURTHER:
        sheet = one.sheet(report)
        if sheet is not None:
            yield Placed(one.key, one.title, columns_of(sheet), one.notes(report), one.folded)


@dataclass(frozen=True)
class Line:
    """A row of the table of results. verdict: which of the kinds of `verdicts.KINDS`, and why; empty of a control."""

    name: str
    title: str
    control: bool
    verdict: tuple[str, str]


@dataclass(frozen=True)
class Results:
    """The table of results: the main score, the verdict by it, the other scores, how many networks and how large."""

    lines: Sequence[Line]
    main: Sequence[Column]
    others: Sequence[Column]


def shown(report: Mapping[str, Any]) -> list[ScoreColumn]:
    """The columns of the table of results: those of the evaluator that compares, as far as there is room."""
    return fitting(report, next(iter(columns_by_evaluator(report)), []), WIDTH)


def results(report: Mapping[str, Any]) -> Results:
    """A row per composition with its verdict, the best first, then one per control."""
    chosen = shown(report)
    name, *columns = columns_of(results_sheet(report, chosen))
    counts, scores = columns[: len(COUNTS)], columns[len(COUNTS) :]
    main = 1 + (len(chosen) > 1 and (chosen[1].score, chosen[1].statistic) == (chosen[0].score, "interval"))
    found = judged(report)
    lines = [
        Line(each, title, report["compositions"][each]["control"], _verdict(each, found.get(each, ("", ""))))
        for each, title in zip(map(str, name.values), name.texts, strict=True)
    ]
    return Results(lines, scores[:main], [*scores[main:], *counts])


def _verdict(name: str, found: tuple[str, str]) -> tuple[str, str]:
    """The sentence without the name that its row begins with."""
    kind, sentence = found
    return kind, sentence.removeprefix(f"{name} is ").removeprefix(f"{name} ")


def notes(report: Mapping[str, Any]) -> list[str]:
    """What the marks of the table of results mean, as far as it has any."""
    return [*footnotes(report, shown(report)), COUNTED, *([dead] if (dead := dead_note(report)) else [])]


def every_score(report: Mapping[str, Any]) -> list[Column]:
    """A row per composition and score."""
    rows = [
        (name, score, facts) for name, arm in report["compositions"].items() for score, facts in arm["scores"].items()
    ]
    texts = {
        "composition": [name for name, _, _ in rows],
        "score": [score for _, score, _ in rows],
        "picked": [number(facts["picked"]) for *_, facts in rows],
        "95% interval": [interval_text(facts) or "-" for *_, facts in rows],
        "median": [number(facts["median"]) for *_, facts in rows],
        "quartiles": [" to ".join(map(number, facts.get("quartiles", ()))) or "-" for *_, facts in rows],
        "best": [number(facts["best"]) for *_, facts in rows],
        "labels": [facts["labels"] for *_, facts in rows],
    }
    return [Column(header, own, own) for header, own in texts.items()]


def columns_of_rows(headers: Sequence[str], rows: Sequence[Sequence[str | float]]) -> list[Column]:
    """The columns of a table that a component recorded."""
    each = [[row[index] for row in rows] for index in range(len(headers))]
    return [
        Column(header, own, [value if isinstance(value, str) else number(value) for value in own])
        for header, own in zip(headers, each, strict=True)
    ]


def columns_of(sheet: Sheet) -> list[Column]:
    """The columns of a sheet, its headers on one line."""
    return [
        Column(
            " ".join(header.replace("-\n", "").split()),
            [row.cells[index].value for row in sheet.rows],
            [row.cells[index].text for row in sheet.rows],
        )
        for index, header in enumerate(sheet.headers)
    ]
