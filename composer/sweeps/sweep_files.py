"""What a sweep leaves behind: a table, every score as csv, and a page with a plot for each key that was set."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_svg import FigureCanvasSVG
from matplotlib.figure import Figure

from composer.data.files import write_text
from composer.page.template import filled, resource
from composer.results.sheet import Cell, Row, Sheet, number, word
from composer.sweeps.sweep import FEWEST, Spread, Sweep, interval_of_mean
from composer.version import __version__

CSV, PAGE = "sweep.csv", "sweep.html"
CONTROL = "#9a9a9a"


def best_first(found: Sweep) -> list[Spread]:
    """By setting in the order of the sweep, in it the best composition first, controls below."""
    order = {tuple(spread.setting.values()): place for place, spread in reversed(list(enumerate(found.spreads())))}
    return sorted(found.spreads(), key=lambda one: (order[tuple(one.setting.values())], one.control, -one.mean))


def sheet(found: Sweep) -> Sheet:
    """The table: what was set, composition, seeds, the score's mean and its interval; controls are marked."""
    rows = [
        Row(
            (
                *(word(one.setting[key]) for key in found.keys),
                word(f"{one.composition} (control)" if one.control else one.composition),
                Cell(str(len(one.values)), len(one.values)),
                Cell(number(one.mean), one.mean),
                Cell(f"{number(one.low)}-{number(one.high)}", one.low),
            )
        )
        for one in best_first(found)
    ]
    interval = "lowest-\nhighest" if _most_seeds(found) == 2 else "95%\ninterval"
    headers = (*found.keys, "composition", "seeds", found.title, interval)
    return Sheet(headers, tuple(rows), tuple(range(len(found.keys) + 1)))


def interval_note(found: Sweep) -> str:
    """What the intervals speak of."""
    most = _most_seeds(found)
    if most >= FEWEST:
        return "mean over seeds of the network picked without labels; 95% interval of that mean (Student's t)"
    if most > 1:
        return (
            "mean over two seeds of the network picked without labels, and their range; an interval takes three seeds"
        )
    return (
        "of the network picked without labels; 95% bootstrap interval over test pictures (more seeds: --set seed=1..3)"
    )


def _most_seeds(found: Sweep) -> int:
    return max((len(one.values) for one in found.spreads()), default=0)


def failures(found: Sweep) -> list[str]:
    """A line for each point that failed."""
    return [
        f"{', '.join(f'{key}={value}' for key, value in point.setting.items())}: {point.failed}"
        for point in found.points
        if point.failed
    ]


def write_csv(found: Sweep, path: Path) -> None:
    """Every score of every composition of every point, a row each."""
    rows = list(found.rows())
    text = io.StringIO()
    if rows:
        writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    write_text(path, text.getvalue())


def write_page(found: Sweep, path: Path, command: str) -> None:
    """The plots and the table in one file. command: what was asked for, in the shell's words."""
    table = sheet(found)
    content = {
        "version": __version__,
        "name": found.name,
        "command": command,
        "title": found.title,
        "plots": [(key, plot(found, key)) for key in found.keys],
        "headers": [header.replace("\n", " ") for header in table.headers],
        "words": len(table.words),
        "rows": [[cell.text for cell in row.cells] for row in table.rows],
        "note": interval_note(found),
        "failures": failures(found),
        "style": resource("page.css"),
    }
    write_text(path, filled("sweep.html.jinja", content))


def plot(found: Sweep, key: str) -> str:
    """SVG: the score of every composition against one key, averaged over all else that was set, with intervals."""
    spreads = found.spreads()
    places = {value: place for place, value in enumerate(dict.fromkeys(one.setting[key] for one in spreads))}
    names = sorted({(one.control, one.composition) for one in spreads})
    with matplotlib.rc_context():
        matplotlib.rc("svg", fonttype="none", hashsalt="composer")  # text stays text; the same plot has the same bytes
        matplotlib.rc("font", size=9)
        figure = Figure(figsize=(7.2, 3.6), layout="constrained")
        axes = figure.subplots()
        for turn, (control, name) in enumerate(names):
            own = [one for one in spreads if one.composition == name]
            at = {
                place: [v for one in own if one.setting[key] == text for v in one.values]
                for text, place in places.items()
            }
            x = [place for place in at if at[place]]
            means, lows, highs = zip(*(interval_of_mean(at[place]) for place in x), strict=True)
            beside = (turn - (len(names) - 1) / 2) * 0.03  # that intervals do not cover one another
            axes.errorbar(
                [place + beside for place in x],
                means,
                yerr=[np.subtract(means, lows).tolist(), np.subtract(highs, means).tolist()],
                label=f"{name} (control)" if control else name,
                color=CONTROL if control else f"C{turn % 10}",
                linestyle=":" if control else "-",
                marker="osv^Dxp*"[turn % 8],
                markersize=5,
                capsize=2,
                linewidth=1.4,
            )
        axes.set_xticks(list(places.values()), list(places))
        axes.set_xlabel(key)
        axes.set_ylabel(found.title)
        axes.spines[["top", "right"]].set_visible(False)
        figure.legend(loc="outside lower center", ncols=4, frameon=False, fontsize=8)
        out = io.StringIO()
        FigureCanvasSVG(figure).print_svg(out, metadata={"Date": None})  # type: ignore[no-untyped-call]
    return out.getvalue()[out.getvalue().index("<svg") :]
