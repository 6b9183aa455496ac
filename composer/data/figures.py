"""Figures as data: what stages record, drawn as PNG and SVG here and as interactive ones in the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.data.expressions import cell_order

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray

BINS = 30


@dataclass(frozen=True)
class Lines:
    """Curves: name -> values, over steps from 1 on, or over the places that `x` has for that name."""

    title: str
    series: Mapping[str, Sequence[float]]
    x_label: str
    y_label: str
    logarithmic: bool = False
    x: Mapping[str, Sequence[float]] = field(default_factory=dict)

    def places(self, name: str) -> Sequence[float]:
        """Where the values of a curve lie."""
        return self.x.get(name) or range(1, len(self.series[name]) + 1)


@dataclass(frozen=True)
class Scatter:
    """Points in the plane, coloured by group; `names` is what a pointer shows. Without labels the axes mean nothing."""

    title: str
    x: Sequence[float]
    y: Sequence[float]
    groups: Sequence[str]
    names: Sequence[str] = ()
    x_label: str = ""
    y_label: str = ""


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
    """Small pictures, a labelled row each: values [rows][columns][height][width], grey, or [3] more for RGB."""

    title: str
    values: Sequence[Sequence[Sequence[Sequence[float | Sequence[float]]]]]
    rows: Sequence[str]


@dataclass(frozen=True)
class Strip:
    """A row of dots per group, such as the scores of its members; `marked` is one value of each that stands out."""

    title: str
    values: Mapping[str, Sequence[float]]
    x_label: str
    marked: Mapping[str, float] = field(default_factory=dict)
    marked_label: str = "picked"


@dataclass(frozen=True)
class Histogram:
    """How often values occur in each group; `cut` is a value that divides them."""

    title: str
    values: Mapping[str, Sequence[float]]
    x_label: str
    cut: float | None = None
    cut_label: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of texts and numbers below headings: a figure that is written as .csv, not drawn."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | float]]


Figure = Lines | Scatter | Heatmap | Tiles | Strip | Histogram | Table
KINDS: dict[str, type[Any]] = {
    kind.__name__: kind for kind in (Lines, Scatter, Heatmap, Tiles, Strip, Histogram, Table)
}


def to_json(figure: Figure) -> dict[str, Any]:
    return {"figure": type(figure).__name__, **asdict(figure)}


def from_json(data: Mapping[str, Any]) -> Figure:
    fields = dict(data)
    figure: Figure = KINDS[fields.pop("figure")](**fields)
    return figure


def bin_edges(figure: Histogram) -> NDArray[np.float64]:
    """BINS + 1 edges, the same for all groups; the few values beyond both ends count in the outermost bins."""
    import numpy as np

    values = np.concatenate([np.asarray(own, dtype=np.float64) for own in figure.values.values()])
    low, high = np.percentile(values, [0.5, 99.5]) if len(values) else (0.0, 1.0)
    if figure.cut is not None:
        low, high = min(low, figure.cut), max(high, figure.cut)
    return np.linspace(low, high if high > low else low + 1, BINS + 1)


def bin_counts(figure: Histogram) -> dict[str, NDArray[np.int64]]:
    """Group -> values in each bin of `bin_edges`."""
    import numpy as np

    edges = bin_edges(figure)
    return {
        group: np.histogram(np.clip(np.asarray(own, dtype=np.float64), edges[0], edges[-1]), edges)[0]
        for group, own in figure.values.items()
    }


def jitter(count: int) -> NDArray[np.float64]:
    """Places across a strip, within 0.35 of its middle, spread evenly and the same every time."""
    import numpy as np

    golden = (5**0.5 - 1) / 2  # multiples of it fill an interval evenly (the Kronecker sequence)
    spread: NDArray[np.float64] = 0.7 * ((np.arange(count, dtype=np.float64) + 0.5) * golden % 1 - 0.5)
    return spread if count > 1 else np.zeros(count)


def tile_sheet(figure: Tiles) -> NDArray[np.float64]:
    """All tiles in one picture, [height, width, RGBA] in 0..1, rows from above.

    Each tile goes from its least to its largest value, in all of its colours at once; between tiles it is transparent.
    One picture, because an axes for each tile would take seconds to draw.
    """
    import numpy as np

    tiles = [[np.asarray(tile, dtype=np.float64) for tile in row] for row in figure.values]
    height = max(tile.shape[0] for row in tiles for tile in row) + 1
    width = max(tile.shape[1] for row in tiles for tile in row) + 1
    sheet = np.zeros((height * len(tiles), width * max(len(row) for row in tiles), 4))
    for i, row in enumerate(tiles):
        for j, tile in enumerate(row):
            low, high = tile.min(), tile.max()
            shades = (tile - low) / (high - low) if high > low else np.full_like(tile, 0.5)
            place = sheet[i * height : i * height + tile.shape[0], j * width : j * width + tile.shape[1]]
            place[..., :3] = shades if shades.ndim == 3 else shades[..., None]
            place[..., 3] = 1
    return sheet


def draw(figure: Figure, *paths: Path) -> None:
    """Writes the figure under each path; its ending (.png, .svg) says how. A table is written once, as .csv."""
    if isinstance(figure, Table):
        return _write_csv(figure, paths[0].with_suffix(".csv"))
    return _draw(figure, *paths)


def _write_csv(figure: Table, path: Path) -> None:
    import csv

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([figure.columns, *figure.rows])


def _draw(figure: Any, *paths: Path) -> None:
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure as Canvas  # half a second to import; no pyplot, so no global state

    if isinstance(figure, Tiles):
        width = max(len(row) for row in figure.values)
        canvas = Canvas(figsize=(1.6 + 0.55 * width, 0.7 + 0.6 * len(figure.rows)), dpi=110, layout="constrained")
        _draw_tiles(figure, canvas)
    else:
        canvas = Canvas(figsize=(6.4, 4.6), dpi=110, layout="constrained")
        axes = canvas.subplots()
        axes.set_title(figure.title, fontsize=10)
        if isinstance(figure, Lines):
            _draw_lines(figure, axes)
        elif isinstance(figure, Scatter):
            _draw_scatter(figure, axes)
        elif isinstance(figure, Strip):
            _draw_strip(figure, axes)
        elif isinstance(figure, Histogram):
            _draw_histogram(figure, axes)
        else:
            _draw_heatmap(figure, axes)
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix == ".svg":
            FigureCanvasSVG(canvas).print_svg(path)  # type: ignore[no-untyped-call]
        else:
            FigureCanvasAgg(canvas).print_png(path)  # type: ignore[no-untyped-call]  # `savefig` would draw twice
        canvas.set_layout_engine("none")  # everything has its place now, which takes most of the time to find


def _draw_lines(figure: Lines, axes: Axes) -> None:
    for name, values in figure.series.items():
        marker = "." if len(values) < 12 else ""
        axes.plot(figure.places(name), values, label=name, linewidth=1.2, marker=marker)
    axes.set_xlabel(figure.x_label)
    axes.set_ylabel(figure.y_label)
    if figure.logarithmic:
        axes.set_yscale("log")
        _plain_numbers(axes)
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, frameon=False)


def _plain_numbers(axes: Axes) -> None:
    """Writes the numbers of a logarithmic axis plainly: powers of ten as TeX take longer than all the rest."""
    from matplotlib.ticker import LogFormatter

    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.4)))


def _draw_scatter(figure: Scatter, axes: Axes) -> None:
    for group in sorted(set(figure.groups), key=cell_order):
        own = [index for index, name in enumerate(figure.groups) if name == group]
        x, y = [figure.x[i] for i in own], [figure.y[i] for i in own]
        axes.scatter(x, y, s=14, alpha=0.75, label=group, linewidths=0)
    if figure.x_label:
        axes.set_xlabel(figure.x_label)
        axes.set_ylabel(figure.y_label)
    else:
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


def _draw_strip(figure: Strip, axes: Axes) -> None:
    for row, (group, values) in enumerate(figure.values.items()):
        axes.scatter(values, row + jitter(len(values)), s=9, alpha=0.5, color="tab:blue", linewidths=0)
        if group in figure.marked:
            label = figure.marked_label if row == 0 else None
            axes.scatter([figure.marked[group]], [row], s=42, marker="D", color="tab:orange", label=label)
    axes.set_yticks(range(len(figure.values)), list(figure.values), fontsize=8)
    axes.set_ylim(len(figure.values) - 0.5, -0.5)
    axes.set_xlabel(figure.x_label)
    axes.grid(alpha=0.25, axis="x")
    if figure.marked:
        axes.legend(fontsize=8, frameon=False)


def _draw_histogram(figure: Histogram, axes: Axes) -> None:
    edges = bin_edges(figure)
    for group, counts in bin_counts(figure).items():
        axes.stairs(counts, edges, label=group, fill=True, alpha=0.35)
    if figure.cut is not None:
        axes.axvline(figure.cut, color="gray", linestyle="--", linewidth=1, label=figure.cut_label or None)
    axes.set_xlabel(figure.x_label)
    axes.legend(fontsize=8, frameon=False)


def _draw_tiles(figure: Tiles, canvas: Any) -> None:
    sheet = tile_sheet(figure)
    height = sheet.shape[0] / len(figure.rows)
    axes = canvas.subplots()
    axes.set_title(figure.title, fontsize=10)
    axes.imshow(sheet, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([i * height + height / 2 - 1 for i in range(len(figure.rows))], figure.rows, fontsize=8)
    axes.tick_params(length=0)
    axes.set_frame_on(False)
