"""The page's scatter of test pictures: each is shown under the pointer, and a choice says whose features it is of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from bokeh.layouts import column
from bokeh.models import (
    CDSView,
    ColumnDataSource,
    CustomJS,
    GroupFilter,
    HoverTool,
    InlineStyleSheet,
    LegendItem,
    Select,
    UIElement,
)

from composer.page.charts import HEIGHT, INK, MARKERS, add_legend, cycled, empty, group_colours

NAME = "explorer"
"""By which the plot is found in the page's document."""
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


def explorer(
    cells: Sequence[str], pictures: Mapping[str, Sequence[Any]], views: Mapping[str, Mapping[str, Sequence[Any]]]
) -> UIElement:
    """The scatter with its choice.

    pictures: `cell`, `name` and `picture` (a data URI) of each. views: title -> `x`, `y` and `says` of each picture.
    """
    source = ColumnDataSource({**pictures, **next(iter(views.values()))})
    plot = empty(HEIGHT + 160, x_range=(-1.08, 1.08), y_range=(-1.08, 1.08), tools="pan,wheel_zoom,reset")
    plot.name = NAME
    plot.axis.visible = plot.grid.visible = False
    plot.min_border = 4
    add_legend(plot, [_cell(plot, source, *each) for each in _marks(cells)])
    plot.add_tools(HoverTool(tooltips=TOOLTIP, attachment="horizontal"))
    return column(_choice(source, views), plot, sizing_mode="stretch_width")


def _marks(cells: Sequence[str]) -> list[tuple[str, str, str]]:
    """(cell, colour, marker): told apart without colours too."""
    return list(zip(cells, group_colours(cells), cycled(MARKERS, len(cells)), strict=True))


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
