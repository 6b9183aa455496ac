"""The page's tables, made from the sheets that the terminal draws too; that of the results sorts."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from composer.data.score_info import read_declared, title_of
from composer.results.gain_table import gain_notes, gain_sheet
from composer.results.parents_table import parents_sheet
from composer.results.results_table import (
    COUNTED,
    ScoreColumn,
    all_columns,
    dead_note,
    fitting,
    footnotes,
    interval_text,
    results_sheet,
)
from composer.results.sheet import Row, Sheet, number, numeric, word
from composer.results.words import PHRASES

if TYPE_CHECKING:
    from bokeh.models import DataTable

WIDTH = 150
"""Characters of a terminal that shows all main columns and a few more."""
ROW = 32
STYLE = """
:host { color: var(--ink); font: 14px/1.4 system-ui, sans-serif; }
.bk-data-table, .slick-viewport, .grid-canvas, .slick-pane { background: transparent; }
.slick-header.ui-state-default, .slick-header { background: var(--panel); border: 0; }
.slick-header-columns { background: var(--panel); border-bottom: 1px solid var(--line); }
.slick-header-column.ui-state-default, .slick-header-column {
  background: var(--panel); color: var(--ink); font-weight: 600; font-size: 13px; border: 0; padding: 6px;
  height: 51px; line-height: 17px;
}
.slick-header-column:nth-child(n+3) { text-align: right; }
.slick-header-column .slick-column-name { display: block; float: none; white-space: normal; }
.slick-sort-indicator { position: absolute; right: 6px; bottom: 4px; }
.slick-header-column:hover { text-decoration: underline; background: var(--panel); }
.slick-cell { border: 0; border-bottom: 1px solid var(--line); color: var(--ink); padding: 6px; }
.ui-widget-content.slick-row, .slick-row { background: transparent; border: 0; }
.slick-row.odd { background: color-mix(in srgb, var(--panel) 50%, transparent); }
"""


@dataclass(frozen=True)
class Column:
    """One column: a value per row, as sorted by and as shown."""

    header: str
    values: Sequence[float | str | None]
    texts: Sequence[str]

    @property
    def is_text(self) -> bool:
        return any(isinstance(value, str) for value in self.values)

    @property
    def width(self) -> int:
        """Pixels that its longest cell, and its header on three lines, need."""
        word = max(map(len, self.header.split()), default=0)
        return round(max(20 + 7.4 * max(map(len, self.texts), default=0), 28 + 8.2 * word, 28 + 3.2 * len(self.header)))


@dataclass(frozen=True)
class Further:
    """A table of the page beside that of the results.

    sheet: from the content of report.json; None where there is nothing to show. notes: sentences below it.
    """

    title: str
    sheet: Callable[[Mapping[str, Any]], Sheet | None]
    notes: Callable[[Mapping[str, Any]], Sequence[str]] = lambda report: ()


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
    Further("Compositions against controls", comparisons_sheet, comparisons_notes),
    Further("How far from the better parent (0) to an oracle (1)", gain_sheet, gain_notes),
    Further("How well the parents know their own concepts", parents_sheet),
)
"""The page's further tables, in this order: one more line here, and it stands on the page."""


def further(report: Mapping[str, Any]) -> Iterator[tuple[str, list[Column], Sequence[str]]]:
    """(title, columns, notes) of every further table that has something to show."""
    for one in FURTHER:
        sheet = one.sheet(report)
        if sheet is not None:
            yield one.title, columns_of(sheet), one.notes(report)


def shown(report: Mapping[str, Any]) -> list[ScoreColumn]:
    """The columns of the table of results."""
    return fitting(report, all_columns(report), WIDTH)


def results(report: Mapping[str, Any]) -> list[Column]:
    """The table of results as a wide terminal shows it; what is a control says so in a column of its own."""
    name, *rest = columns_of(results_sheet(report, shown(report)))
    kinds = ["control" if report["compositions"][each]["control"] else "composition" for each in name.texts]
    return [name, Column("kind", kinds, kinds), *rest]


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


def sortable(content: Sequence[Column]) -> DataTable:
    """Bokeh's table; what is missing sorts below all numbers."""
    from bokeh.models import (
        ColumnDataSource,
        DataTable,
        HTMLTemplateFormatter,
        InlineStyleSheet,
        StringFormatter,
        TableColumn,
    )

    data: dict[str, Sequence[Any]] = {}
    made = []
    for index, column in enumerate(content):
        # Infinity, because Bokeh's sorting takes NaN for equal to everything.
        data[f"value {index}"] = [float("-inf") if value is None else value for value in column.values]
        data[f"text {index}"] = column.texts
        # Sorted by the value, shown as the text; <%- escapes what it shows.
        shown = HTMLTemplateFormatter(template=f"<div style='text-align: right'><%- obj['text {index}'] %></div>")
        formatter = StringFormatter() if column.is_text else shown
        made.append(
            TableColumn(
                field=f"value {index}",
                title=column.header,
                width=column.width,
                formatter=formatter,
                default_sort="ascending" if column.is_text else "descending",
            )
        )
    return DataTable(
        source=ColumnDataSource(data),
        columns=made,
        index_position=None,
        selectable=False,
        reorderable=False,
        autosize_mode="none",
        row_height=ROW,
        width=sum(column.width for column in content) + 4,
        height=ROW * len(content[0].texts) + 80,
        margin=0,
        stylesheets=[InlineStyleSheet(css=STYLE)],
    )
