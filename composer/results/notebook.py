"""A finished run in a notebook: its table as HTML, its scores as a data frame, its main score drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, StrictUndefined
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from composer.data.score_info import main_score, read_declared, title_of
from composer.errors import ComposerError
from composer.results.results_table import (
    COUNTED,
    best_first,
    columns_by_evaluator,
    dead_note,
    footnotes,
    heading,
    results_sheet,
)
from composer.results.verdicts import in_short

if TYPE_CHECKING:
    from pandas import DataFrame

MADE, CONTROL = "#1f6f8b", "#8a8a8a"
"""Colours of compositions and of controls."""
LINE = 0.32
"""Inches of height that a composition takes."""


TABLE = """\
{% macro side(index) %}{% if index in sheet.words %} style="text-align:left"{% endif %}{% endmacro %}
<p><b>{{ heading }}</b></p><table><thead><tr>
{% for header in sheet.headers %}<th{{ side(loop.index0) }}>{{ header.replace("\n", " ") }}</th>{% endfor %}
</tr></thead><tbody>
{% for row in sheet.rows %}
{% if row.group and loop.changed(row.group) %}
<tr><th colspan="{{ sheet.headers | length }}" style="text-align:left">{{ row.group }}</th></tr>
{% endif %}
<tr{% if row.group %} style="color:#777"{% endif %}>
{% for cell in row.cells %}<td{{ side(loop.index0) }}>{{ cell.text }}</td>{% endfor %}
</tr>
{% endfor %}
</tbody></table>
{% for note in notes %}<div><small>{{ note }}</small></div>{% endfor %}
{% for sentence in sentences %}<p>{{ sentence }}</p>{% endfor %}
"""


def as_html(report: Mapping[str, Any]) -> str:
    """The table by which compositions are compared, its notes, and what it says in short; every text escaped."""
    columns = next(iter(columns_by_evaluator(report)), [])
    notes = [note for note in (*footnotes(report, columns), COUNTED, dead_note(report)) if note]
    sentences = [*(f"warning: {warning}" for warning in report["warnings"]), *in_short(report)]
    template = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True).from_string(TABLE)
    sheet = results_sheet(report, columns)
    return template.render(heading=heading(report), sheet=sheet, notes=notes, sentences=sentences)


def as_frame(rows: Sequence[Mapping[str, Any]]) -> DataFrame:
    """Rows as a data frame of pandas; ComposerError where it is not installed."""
    try:
        import pandas  # an optional extra; half a second to import
    except ModuleNotFoundError as error:
        if error.name != "pandas":
            raise
        raise ComposerError(
            "a data frame of the scores needs pandas: pip install 'kernel-composer[notebook]'"
        ) from None
    return pandas.DataFrame(rows)


class Plot(Figure):
    """A figure of matplotlib that notebooks show, whether pyplot is loaded or not."""

    def _repr_png_(self) -> bytes:
        picture = BytesIO()
        self.savefig(picture, format="png", dpi=110)
        return picture.getvalue()


def plotted(report: Mapping[str, Any]) -> Plot:
    """The main score of every composition with its interval, the best above; controls in grey below.

    ComposerError where no composition has a score.
    """
    declared, arms = read_declared(report), best_first(report)
    main = main_score(declared, [name for _, arm in arms for name in arm["scores"]])
    shown = [(name, arm) for control in (False, True) for name, arm in arms if arm["control"] is control]
    shown = [(name, arm) for name, arm in shown if main in arm["scores"]]
    if main is None or not shown:
        raise ComposerError("there is nothing to plot: no composition has a score")
    figure = Plot(figsize=(7, 1.2 + LINE * len(shown)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for place, (_, arm) in enumerate(shown):
        score = arm["scores"][main]
        colour = CONTROL if arm["control"] else MADE
        axes.plot([score["picked"]], [place], "o", color=colour)
        if interval := score.get("interval"):
            axes.plot(interval, [place, place], "-", color=colour, linewidth=2)
    axes.set_yticks(range(len(shown)), [name for name, _ in shown])
    for label, (_, arm) in zip(axes.get_yticklabels(), shown, strict=True):
        label.set_color(CONTROL if arm["control"] else "black")
    axes.invert_yaxis()
    axes.grid(visible=True, axis="x", alpha=0.3)
    axes.set_xlabel(f"{title_of(declared, main)} of the picked member, with its 95% interval; controls in grey")
    axes.set_title(heading(report), fontsize=10)
    return figure
