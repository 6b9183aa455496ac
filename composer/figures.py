"""Figures as data: what stages record, drawn as PNG and SVG here and as interactive ones in the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Lines:
    """Curves over steps: name -> values."""

    title: str
    series: Mapping[str, Sequence[float]]
    x_label: str
    y_label: str
    logarithmic: bool = False


@dataclass(frozen=True)
class Scatter:
    """Points in the plane, coloured by group; `names` is what a pointer shows."""

    title: str
    x: Sequence[float]
    y: Sequence[float]
    groups: Sequence[str]
    names: Sequence[str] = ()


@dataclass(frozen=True)
class Heatmap:
    """A matrix [rows, columns] of numbers."""

    title: str
    values: Sequence[Sequence[float]]
    rows: Sequence[str]
    columns: Sequence[str]
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True)
class Tiles:
    """Small grey pictures, a labelled row each: values [rows][columns][height][width]."""

    title: str
    values: Sequence[Sequence[Sequence[Sequence[float]]]]
    rows: Sequence[str]


Figure = Lines | Scatter | Heatmap | Tiles
KINDS: dict[str, type[Any]] = {kind.__name__: kind for kind in (Lines, Scatter, Heatmap, Tiles)}


def to_json(figure: Figure) -> dict[str, Any]:
    return {"figure": type(figure).__name__, **asdict(figure)}


def from_json(data: Mapping[str, Any]) -> Figure:
    fields = dict(data)
    figure: Figure = KINDS[fields.pop("figure")](**fields)
    return figure


def draw(figure: Figure, path: Path) -> None:
    """Writes the figure; the ending of `path` (.png, .svg) says how."""
    from matplotlib.figure import Figure as Canvas  # half a second to import; no pyplot, so no global state

    if isinstance(figure, Tiles):
        width = max(len(row) for row in figure.values)
        canvas = Canvas(figsize=(1.6 + 0.55 * width, 0.7 + 0.6 * len(figure.rows)), layout="constrained")
        _draw_tiles(figure, canvas)
    else:
        canvas = Canvas(figsize=(6.4, 4.6), layout="constrained")
        axes = canvas.subplots()
        axes.set_title(figure.title, fontsize=10)
        if isinstance(figure, Lines):
            _draw_lines(figure, axes)
        elif isinstance(figure, Scatter):
            _draw_scatter(figure, axes)
        else:
            _draw_heatmap(figure, axes)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=110)


def _draw_lines(figure: Lines, axes: Axes) -> None:
    for name, values in figure.series.items():
        axes.plot(range(1, len(values) + 1), values, label=name, linewidth=1.2, marker="." if len(values) < 12 else "")
    axes.set_xlabel(figure.x_label)
    axes.set_ylabel(figure.y_label)
    if figure.logarithmic:
        axes.set_yscale("log")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False)


def _draw_scatter(figure: Scatter, axes: Axes) -> None:
    for group in sorted(set(figure.groups), key=lambda name: (name == "none", -name.count("+"), name)):
        own = [index for index, name in enumerate(figure.groups) if name == group]
        x, y = [figure.x[i] for i in own], [figure.y[i] for i in own]
        axes.scatter(x, y, s=14, alpha=0.75, label=group, linewidths=0)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.legend(fontsize=8, frameon=False)


def _draw_heatmap(figure: Heatmap, axes: Axes) -> None:
    image = axes.imshow(figure.values, vmin=figure.low, vmax=figure.high, cmap="viridis", aspect="auto")
    axes.set_xticks(range(len(figure.columns)), figure.columns, rotation=30, ha="right", fontsize=8)
    axes.set_yticks(range(len(figure.rows)), figure.rows, fontsize=8)
    low, high = image.get_clim()
    if len(figure.rows) * len(figure.columns) <= 100:
        for i, row in enumerate(figure.values):
            for j, value in enumerate(row):
                color = "black" if value > low + 0.6 * (high - low) else "white"
                axes.text(j, i, f"{value:.2f}", ha="center", va="center", fontsize=8, color=color)
    axes.figure.colorbar(image, ax=axes, shrink=0.8)


def _draw_tiles(figure: Tiles, canvas: Any) -> None:
    import numpy as np

    tiles = [[np.asarray(tile, dtype=float) for tile in row] for row in figure.values]
    height = max(tile.shape[0] for row in tiles for tile in row) + 1
    width = max(tile.shape[1] for row in tiles for tile in row) + 1
    # One picture of all tiles: an axes for each would take seconds to draw.
    sheet = np.full((height * len(tiles), width * max(len(row) for row in tiles)), np.nan)
    for i, row in enumerate(tiles):
        for j, tile in enumerate(row):
            low, high = tile.min(), tile.max()
            shades = (tile - low) / (high - low) if high > low else np.full_like(tile, 0.5)
            sheet[i * height : i * height + tile.shape[0], j * width : j * width + tile.shape[1]] = shades
    axes = canvas.subplots()
    axes.set_title(figure.title, fontsize=10)
    axes.imshow(sheet, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([i * height + height / 2 - 1 for i in range(len(tiles))], figure.rows, fontsize=8)
    axes.tick_params(length=0)
    axes.set_frame_on(False)
