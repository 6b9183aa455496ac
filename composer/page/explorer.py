"""The page's scatter of test pictures: each is shown under the pointer, and a choice says whose features it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.layouts import column
from bokeh.models import (
    CDSView,
    ColumnDataSource,
    CustomJS,
    Div,
    GroupFilter,
    HoverTool,
    InlineStyleSheet,
    LegendItem,
    Select,
    TapTool,
    UIElement,
)
from markupsafe import escape

from composer.page.charts import HEIGHT, MARKERS, add_legend, cycled, empty
from composer.page.colours import INK, Palette

NAME, TAPPED = "explorer", "tapped"
"""By which the plot, and what shows the tapped pictures, are found in the page's document."""
TOOLTIP = """
<div style='max-width: 13em; font-size: 13px; overflow-wrap: anywhere'>
<img src='@picture' alt='' width='96' height='96' style='display: block'>
<b>@cell</b><br>@says<br>@name
</div>
"""
CHOICE_STYLE = """
.bk-input {
  appearance: auto; background: var(--panel); color: var(--ink); border-color: var(--line); font-size: 15px;
}
label { color: var(--soft); }
"""
SHOW_CHOSEN = """
const view = views instanceof Map ? views.get(this.value) : views[this.value];
source.data = {...source.data, ...(view instanceof Map ? Object.fromEntries(view) : view)};
"""
TAPPED_STYLE = """
:host { color: var(--ink); font: 13px/1.4 system-ui, sans-serif; }
figure { display: inline-block; vertical-align: top; width: 10em; margin: 4px 12px 4px 0; overflow-wrap: anywhere; }
img { display: block; }
"""
SHOW_TAPPED = """
const {picture, label, says} = source.data;
shown.text = source.selected.indices.slice(0, 8).map(
  i => `<figure><img src="${picture[i]}" alt="" width="96" height="96">${label[i]}<br>${says[i]}</figure>`
).join("");
"""


def explorer(
    cells: Sequence[str],
    pictures: Mapping[str, Sequence[Any]],
    views: Mapping[str, Mapping[str, Sequence[Any]]],
    palette: Palette,
) -> UIElement:
    """The scatter with its choice.

    pictures: `cell`, `name` and `picture` (a data URI) of each. views: title -> `x`, `y` and `says` of each picture.
    """
    labels = [
        f"<b>{escape(cell)}</b><br>{escape(name)}"
        for cell, name in zip(pictures["cell"], pictures["name"], strict=True)
    ]
    source = ColumnDataSource({**pictures, "label": labels, **next(iter(views.values()))})
    plot = empty(HEIGHT + 160, x_range=(-1.08, 1.08), y_range=(-1.08, 1.08))
    plot.name = NAME
    plot.axis.visible = plot.grid.visible = False
    plot.min_border = 4
    add_legend(plot, [_cell(plot, source, *each) for each in _marks(cells, palette)])
    # Fingers do not hover, so that what is tapped is shown below. No tool to drag with: a swipe scrolls the page.
    plot.add_tools(HoverTool(tooltips=TOOLTIP, attachment="horizontal"), TapTool())
    return column(_choice(source, views), plot, _tapped(source), sizing_mode="stretch_width")


def _tapped(source: ColumnDataSource) -> Div:
    """The pictures that were tapped or clicked; they stay until the next tap."""
    shown = Div(name=TAPPED, stylesheets=[InlineStyleSheet(css=TAPPED_STYLE)])
    source.selected.js_on_change("indices", CustomJS(args={"source": source, "shown": shown}, code=SHOW_TAPPED))
    return shown


def _marks(cells: Sequence[str], palette: Palette) -> list[tuple[str, str, str]]:
    """(cell, colour, marker): told apart without colours too."""
    return list(zip(cells, palette.of(cells), cycled(MARKERS, len(cells)), strict=True))


def _cell(plot: Any, source: ColumnDataSource, cell: str, colour: str, marker: str) -> LegendItem:
    """Draws the pictures of one cell."""
    dots = plot.scatter(
        "x",
        "y",
        source=source,
        view=CDSView(filter=GroupFilter(column_name="cell", group=cell)),
        marker=marker,
        size=9,
        color=colour,
        fill_alpha=0.75,
        line_alpha=0.9,
        hover_line_color=INK,
        hover_fill_alpha=1,
        nonselection_fill_alpha=0.3,
        nonselection_line_alpha=0.3,
    )
    return LegendItem(label=cell, renderers=[dots])


def _choice(source: ColumnDataSource, views: Mapping[str, Mapping[str, Sequence[Any]]]) -> Select:
    choice = Select(title="Features of", value=next(iter(views)), options=list(views))
    choice.stylesheets = [InlineStyleSheet(css=CHOICE_STYLE)]
    choice.width_policy = "max"
    choice.max_width = 480
    choice.margin = (4, 0)
    shown = {title: dict(view) for title, view in views.items()}
    choice.js_on_change("value", CustomJS(args={"source": source, "views": shown}, code=SHOW_CHOSEN))
    return choice
