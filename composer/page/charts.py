"""The page's figures, drawn by Bokeh."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from bokeh.models import (
    ColorBar,
    ColumnDataSource,
    FixedTicker,
    HoverTool,
    Legend,
    LegendItem,
    LinearColorMapper,
    Span,
    UIElement,
)
from bokeh.palettes import Viridis256
from bokeh.plotting import figure

from composer.data.expressions import cell_order
from composer.data.figures import (
    Figure,
    Heatmap,
    Histogram,
    Lines,
    Scatter,
    Strip,
    Table,
    Tiles,
    bin_counts,
    bin_edges,
    jitter,
    tile_sheet,
)
from composer.page.colours import INK, Palette

MARKERS = ("circle", "triangle", "square", "diamond", "inverted_triangle", "star", "hex", "plus")
HEIGHT = 340
TILE = 36
"""Screen pixels of a row of tiles."""


def chart(drawn: Figure, palette: Palette, base: float | None = None) -> UIElement:
    """The figure as Bokeh draws it; its title is left to the page. base: the base rate of a strip of accuracies."""
    match drawn:
        case Lines():
            return _lines(drawn, palette)
        case Scatter():
            return _scatter(drawn, palette)
        case Heatmap():
            return _heatmap(drawn)
        case Tiles():
            return _tiles(drawn)
        case Strip():
            return _strip(drawn, palette, base)
        case Histogram():
            return _histogram(drawn, palette)
        case Table():
            raise ValueError("a table is no chart")


def empty(height: int = HEIGHT, **options: Any) -> Any:
    """A plot with nothing in it, as wide as there is room."""
    plot = figure(height=height, sizing_mode="stretch_width", toolbar_location=None, **{"tools": "", **options})
    plot.background_fill_color = plot.border_fill_color = None
    plot.outline_line_color = None
    for axis in plot.axis:
        axis.axis_line_color = axis.major_tick_line_color = INK
        axis.minor_tick_line_color = None
        axis.major_label_text_color = axis.axis_label_text_color = INK
        axis.axis_label_text_font_style = "normal"
        axis.major_label_text_font_size = axis.axis_label_text_font_size = "12px"
    plot.grid.grid_line_color = INK
    plot.grid.grid_line_alpha = 0.18
    return plot


def add_legend(plot: Any, items: Sequence[LegendItem]) -> None:
    """Below the plot; a click on a name hides what it stands for."""
    labels = [str(item.label.value) for item in items]
    columns = 2 if len(labels) > 4 or sum(len(label) + 5 for label in labels) > 44 else max(1, len(labels))
    if columns == 2 and sum(sorted(map(len, labels))[-2:]) > 50:  # side by side they would be wider than the plot
        columns = 1
    if plot.height == HEIGHT:  # what is drawn stays as high as it is with a legend of two rows
        plot.height += 26 * max(0, math.ceil(len(labels) / columns) - 2)
    plot.add_layout(
        Legend(
            items=list(items),
            ncols=columns,
            click_policy="hide",
            background_fill_alpha=0,
            border_line_color=None,
            inactive_fill_color=INK,
            inactive_fill_alpha=0.35,
            label_text_color=INK,
            label_text_font_size="13px",
            spacing=8,
            padding=2,
        ),
        "below",
    )


def _lines(drawn: Lines, palette: Palette) -> Any:
    plot = empty(y_axis_type="log" if drawn.logarithmic else "linear")
    plot.xaxis.axis_label, plot.yaxis.axis_label = drawn.x_label, drawn.y_label
    items, shown = [], []
    for (name, values), colour in zip(drawn.series.items(), palette.of(list(drawn.series)), strict=True):
        source = ColumnDataSource({"x": list(drawn.places(name)), "y": list(values), "name": [name] * len(values)})
        renderers = [plot.line("x", "y", source=source, color=colour, line_width=2, line_dash=palette.dash(name))]
        if len(values) < 12 and name != "chance":
            renderers.append(plot.scatter("x", "y", source=source, color=colour, size=6))
        items.append(LegendItem(label=name, renderers=renderers))
        shown += renderers[:1]
    add_legend(plot, items)
    plot.add_tools(HoverTool(renderers=shown, tooltips=[("", "@name"), (drawn.x_label, "@x"), (drawn.y_label, "@y")]))
    return plot


def _scatter(drawn: Scatter, palette: Palette) -> Any:
    plot = empty()
    if drawn.x_label:
        plot.xaxis.axis_label, plot.yaxis.axis_label = drawn.x_label, drawn.y_label
    else:
        plot.axis.visible = plot.grid.visible = False
    groups = sorted(set(drawn.groups), key=cell_order)
    names = drawn.names or [""] * len(drawn.x)
    items = []
    for group, colour, marker in zip(groups, palette.of(groups), cycled(MARKERS, len(groups)), strict=True):
        own = [index for index, name in enumerate(drawn.groups) if name == group]
        data = {key: [values[i] for i in own] for key, values in (("x", drawn.x), ("y", drawn.y), ("name", names))}
        dots = plot.scatter("x", "y", source=ColumnDataSource(data), marker=marker, size=7, color=colour, alpha=0.75)
        items.append(LegendItem(label=group, renderers=[dots]))
    add_legend(plot, items)
    plot.add_tools(HoverTool(tooltips=[("", "@name")]))
    return plot


def _heatmap(drawn: Heatmap) -> Any:
    rows, columns = len(drawn.rows), len(drawn.columns)
    values = np.asarray(drawn.values, dtype=np.float64)
    low = float(values.min()) if drawn.low is None else drawn.low
    high = float(values.max()) if drawn.high is None else drawn.high
    plot = empty(90 + max(180, 34 * rows), x_range=(-0.5, columns - 0.5), y_range=(rows - 0.5, -0.5))
    plot.grid.visible = False
    _name_ticks(plot.xaxis[0], drawn.columns)
    _name_ticks(plot.yaxis[0], drawn.rows)
    plot.xaxis.major_label_orientation = 0.5 if sum(map(len, drawn.columns)) > 30 else 0
    y, x = np.mgrid[0:rows, 0:columns]
    light = values > low + 0.6 * (high - low)
    source = ColumnDataSource(
        {
            "x": x.ravel(),
            "y": y.ravel(),
            "value": values.ravel(),
            "text": [f"{value:.2f}" for value in values.ravel()],
            "ink": np.where(light, "black", "white").ravel(),
            "row": [drawn.rows[i] for i in y.ravel()],
            "column": [drawn.columns[i] for i in x.ravel()],
        }
    )
    mapper = LinearColorMapper(palette=Viridis256, low=low, high=high if high > low else low + 1)
    squares = plot.rect(
        "x", "y", 1, 1, source=source, fill_color={"field": "value", "transform": mapper}, line_color=None
    )
    if rows * columns <= 100:
        plot.text(
            "x",
            "y",
            text="text",
            source=source,
            text_color="ink",
            text_align="center",
            text_baseline="middle",
            text_font_size="12px",
        )
    bar = ColorBar(color_mapper=mapper, width=10, background_fill_alpha=0, major_label_text_color=INK, padding=4)
    plot.add_layout(bar, "right")
    plot.add_tools(HoverTool(renderers=[squares], tooltips=[("", "@row / @column"), ("", "@value{0.000}")]))
    return plot


def _tiles(drawn: Tiles) -> Any:
    sheet = tile_sheet(drawn)
    height, width, _ = sheet.shape
    each = height / len(drawn.rows)
    scale = TILE * len(drawn.rows) / height  # screen pixels for one value
    plot = empty(round(height * scale) + 20, x_range=(0, width), y_range=(0, height), match_aspect=True)
    plot.max_width = round(width * scale) + 80
    plot.grid.visible = plot.xaxis.visible = False
    # Bokeh's pictures grow from below: the first row goes to the top.
    pixels = np.ascontiguousarray(np.flipud(np.round(sheet * 255))).astype(np.uint8).view(np.uint32)[..., 0]
    plot.image_rgba(image=[pixels], x=0, y=0, dw=width, dh=height)
    places = [height - (row + 0.5) * each for row in range(len(drawn.rows))]
    plot.yaxis.ticker = FixedTicker(ticks=places)
    plot.yaxis.major_label_overrides = dict(zip(places, drawn.rows, strict=True))
    plot.yaxis.axis_line_color = plot.yaxis.major_tick_line_color = None
    return plot


def _strip(drawn: Strip, palette: Palette, base: float | None) -> Any:
    names = list(drawn.values)
    plot = empty(90 + 28 * len(names), y_range=(len(names) - 0.5, -0.5))
    plot.ygrid.visible = False
    plot.xaxis.axis_label = drawn.x_label
    _name_ticks(plot.yaxis[0], names)
    data: dict[str, list[Any]] = {"value": [], "row": [], "name": [], "colour": []}
    for row, ((name, values), colour) in enumerate(zip(drawn.values.items(), palette.of(names), strict=True)):
        data["value"] += list(values)
        data["row"] += np.round(row + jitter(len(values)), 3).tolist()
        data["name"] += [name] * len(values)
        data["colour"] += [colour] * len(values)
    renderers = [plot.scatter("value", "row", source=ColumnDataSource(data), size=6, color="colour", alpha=0.5)]
    items = []
    if drawn.marked:
        having = [row for row, name in enumerate(names) if name in drawn.marked]
        source = ColumnDataSource(
            {
                "value": [drawn.marked[names[row]] for row in having],
                "row": having,
                "name": [f"{names[row]}, {drawn.marked_label}" for row in having],
            }
        )
        marks = plot.scatter(
            "value", "row", source=source, size=13, marker="diamond", fill_color=None, line_color=INK, line_width=2
        )
        items.append(LegendItem(label=drawn.marked_label, renderers=[marks]))
        renderers.append(marks)
    if base is not None:
        at = plot.line([base, base], [-0.5, len(names) - 0.5], color=INK, line_dash="dashed", line_width=2)
        items.append(LegendItem(label=f"always the same answer: {base:.3f}", renderers=[at]))
    if items:
        add_legend(plot, items)
    plot.add_tools(HoverTool(renderers=renderers, tooltips=[("", "@name"), ("", "@value{0.000}")]))
    return plot


def _histogram(drawn: Histogram, palette: Palette) -> Any:
    plot = empty()
    plot.xaxis.axis_label, plot.yaxis.axis_label = drawn.x_label, "pictures"
    plot.y_range.start = 0
    edges = bin_edges(drawn)
    items, hovered = [], []
    for (group, counts), colour in zip(bin_counts(drawn).items(), palette.of(list(drawn.values)), strict=True):
        data = {"left": edges[:-1], "right": edges[1:], "top": counts, "group": [group] * len(counts)}
        bars = plot.quad(
            left="left",
            right="right",
            top="top",
            bottom=0,
            source=ColumnDataSource(data),
            fill_color=colour,
            fill_alpha=0.2,
            line_color=None,
        )
        outline = plot.step(
            np.append(edges, edges[-1]), np.append(counts, [counts[-1], 0]), mode="after", color=colour, line_width=2
        )
        hovered.append(bars)
        items.append(LegendItem(label=group, renderers=[bars, outline]))
    add_legend(plot, items)
    if drawn.cut is not None:
        plot.add_layout(Span(location=drawn.cut, dimension="height", line_color=INK, line_dash="dashed", line_width=2))
    plot.add_tools(
        HoverTool(renderers=hovered, tooltips=[("", "@group: @top"), (drawn.x_label, "@left{0.00} to @right{0.00}")])
    )
    return plot


def _name_ticks(axis: Any, names: Sequence[str]) -> None:
    axis.ticker = FixedTicker(ticks=list(range(len(names))))
    axis.major_label_overrides = dict(enumerate(names))


def cycled(items: Sequence[str], count: int) -> list[str]:
    """The first `count` items, from the beginning again where there are fewer."""
    return [items[index % len(items)] for index in range(count)]
