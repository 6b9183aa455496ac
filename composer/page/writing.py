"""Writes `report.html` from the files in a run's folder; nothing is computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.data.figures import Figure, Heatmap, Histogram, Lines, Strip, Table, Tiles, from_json
from composer.data.files import AGAIN, read_part, write_text
from composer.data.records import PageRecord
from composer.errors import ComposerError
from composer.page.gallery import probability
from composer.page.template import filled, resource
from composer.results.run_folder import read_run
from composer.running.sealing import file_digest

if TYPE_CHECKING:
    from bokeh.models import UIElement

    from composer.page.colours import Palette
    from composer.page.table import Column

PAGE = "report.html"
FORMAT = 2
JUDGED_ORDER = (Strip, Histogram, Lines)
TRIAL = "trial"
"""What the steps of a search are called: its curves say how members are judged, those of others how far they lie."""
SPREAD = 1e-4
"""Relative difference of log-odds below which a network gives one answer for all pictures."""
PAGE_DATA = "page.json"
ABOUT = ("shows", "subject", "name", "base")
"""What page.json says of a figure beside its data."""


@dataclass(frozen=True)
class Shown:
    """A figure on the page: its heading, what it is of, its name among the drawn ones, and what is said of it.

    figure: None where words or a table stand in its place. base: the base rate of accuracies.
    """

    heading: str
    subject: str
    key: str
    figure: Figure | None
    note: str
    base: float | None
    columns: Sequence[Column] = ()


def write_page(folder: Path) -> Path:
    """Writes the page of a finished run and returns its path; ComposerError where the run's files are not all there."""
    run = read_run(folder)
    for name in ("report.json", PAGE_DATA):  # the page joins the two
        stored = run.run.get("files", {}).get(name)
        if stored is not None and (folder / name).is_file() and file_digest(folder / name) != stored:
            raise ComposerError(f"{folder / name}: is not what the run wrote: {AGAIN}")
    page = _page_data(folder)
    recipe = (folder / "recipe.yaml").read_text(encoding="utf-8")
    text = filled("page.html.jinja", _content(run.report, run.run, page, recipe))
    write_text(folder / PAGE, text)
    return folder / PAGE


def _page_data(folder: Path) -> dict[str, Any]:
    """The content of page.json; ComposerError where there is none that this composer reads."""
    again = "run its recipe again, which computes nothing that is kept"
    if not (folder / PAGE_DATA).exists():
        raise ComposerError(f"{folder}: has no {PAGE_DATA}; an older composer made it: {again}")
    page = read_part(folder / PAGE_DATA, PageRecord)
    if page["format"] != FORMAT:
        raise ComposerError(
            f"{folder / PAGE_DATA}: is of format {page['format']!r}, this composer reads {FORMAT}; {again}"
        )
    return page


def _content(report: Mapping[str, Any], run: Mapping[str, Any], page: Mapping[str, Any], recipe: str) -> dict[str, Any]:
    """All that the template shows."""
    from bokeh.embed import components

    from composer.page import table, words
    from composer.page.bars import panels
    from composer.page.colours import palette
    from composer.page.gallery import galleries
    from composer.results.results_table import best_first, count_text
    from composer.text import seconds_text

    colours = palette(report, page["pictures"]["cells"])
    order = [name for control in (False, True) for name, arm in best_first(report) if arm["control"] is control]
    figures = _arranged(page, report)
    drawn = _drawn(report, page, figures, order, colours)
    script, divisions = components(drawn) if drawn else ("", {})
    common, own = _limits(report, page, order)
    shown = {
        "report": report,
        "run": run,
        "summary": words.summary(report, page["random_pairs"]),
        "target": words.target_words(report),
        "panels": panels(report, colours),
        "results": table.results(report),
        "notes": table.notes(report),
        "tables": list(table.further(report)),
        "every_score": table.every_score(report),
        "figures": figures,
        "galleries": galleries(report, page, order),
        "networks": {name: said["networks"] for name, said in page["compositions"].items()},
        "colours": colours,
        "common_limits": common,
        "limits": own,
        "stages": page["stages"],
        "costs": {name: said["cost"] for name, said in page["compositions"].items()},
        "recipe": _without_root(recipe),
        "style": resource("page.css"),
        "sorting": resource("sorting.js"),
        "library": _library() if drawn else "",
        "script": script,
        "divisions": divisions,
        "layouts": sorted(
            {
                member["layout"]
                for said in page["compositions"].values()
                for member in said["members"]
                if member["layout"]
            }
        ),
        "points": len(page["pictures"]["scatter"]),
        "seconds_text": seconds_text,
        "count_text": count_text,
    }
    return {**shown, "contents": contents(shown)}


def contents(shown: Mapping[str, Any]) -> dict[str, str]:
    """The page's sections that have something to show: by what links find them -> title."""
    figures, report = shown["figures"], shown["report"]
    best = next(iter(shown["galleries"]), None)
    made = figures["kernels"] or figures["losses"] or figures["parents"]
    sections: list[tuple[str, str, Any]] = [
        ("pictures", f"What {best} is surest of, right and wrong", best),
        ("scores", "How good each is", shown["panels"]),
        ("table", "Compositions and controls", True),
        *((one.key, one.title, not one.folded) for one in shown["tables"]),
        ("scatter", "The pictures, as a member sees them", "explorer" in shown["divisions"]),
        ("judged", "How they judge", figures["judged"] or figures["distances"] or figures["controls"]),
        ("made", "How they were made", made),
        ("cost", "Cost", True),
        ("warnings", "Warnings", report["warnings"]),
        ("limits", "Limits", True),
        ("repeat", "To repeat it", True),
    ]
    return {key: title for key, title, there in sections if there}


def _drawn(
    report: Mapping[str, Any],
    page: Mapping[str, Any],
    figures: Mapping[str, Sequence[Shown]],
    order: Sequence[str],
    colours: Palette,
) -> dict[str, UIElement]:
    """Key -> figure of Bokeh's."""
    from bokeh.document import Document

    from composer.page import charts
    from composer.page.explorer import explorer

    drawn: dict[str, UIElement] = {
        one.key: charts.chart(one.figure, colours, one.base)
        for group in figures.values()
        for one in group
        if one.figure is not None
    }
    if views := _views(page, order):
        drawn["explorer"] = explorer(page["pictures"]["cells"], _scatter_pictures(page), views, colours)
    document = Document()
    with document.models.freeze():  # else every figure that is added looks at all others again
        for model in drawn.values():
            document.add_root(model)
    return drawn


def _limits(
    report: Mapping[str, Any], page: Mapping[str, Any], order: Sequence[str]
) -> tuple[list[str], dict[str, list[str]]]:
    """What holds of all compositions, and for each what holds of it besides."""
    each = {name: page["compositions"][name]["limits"] for name in order if not report["compositions"][name]["control"]}
    first: list[str] = next(iter(each.values()), [])
    common = [point for point in first if all(point in points for points in each.values())]
    own = {name: [point for point in points if point not in common] for name, points in each.items()}
    return common, {name: points for name, points in own.items() if points}


def _figure(found: Mapping[str, Any]) -> Figure:
    return from_json({key: value for key, value in found.items() if key not in ABOUT})


def _arranged(page: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, list[Shown]]:
    """Section -> its figures, those of the controls and of the parents apart; heat maps of one kind share a scale."""
    from composer.page.table import columns_of_rows

    controls = {name for name, arm in report["compositions"].items() if arm["control"]}
    found: dict[str, list[Shown]] = {
        section: [] for section in ("judged", "distances", "kernels", "losses", "controls", "parents")
    }
    figures = _one_scale([_figure(data) for data in page["figures"]])
    for index, (data, figure) in enumerate(zip(page["figures"], figures, strict=True)):
        subject = data["subject"]
        heading = figure.title or data["name"]
        one = Shown(heading, "" if subject == "all" else subject, f"figure {index}", figure, "", data.get("base"))
        if isinstance(figure, Histogram):
            one = _told(one, figure)
        elif isinstance(figure, Table):
            one = replace(one, figure=None, columns=columns_of_rows(figure.columns, figure.rows))
        found[_section(data, figure, subject in controls)].append(one)
    found["judged"].sort(key=lambda one: JUDGED_ORDER.index(type(one.figure)) if one.figure is not None else 1)
    return found


def _section(data: Mapping[str, Any], figure: Figure, control: bool) -> str:
    if control:
        return "controls"
    if data["shows"] == "parents":
        return "parents"
    if data["shows"] == "made":
        return "kernels" if isinstance(figure, Tiles) else "losses"
    history = isinstance(figure, Lines) and (data["subject"] == "all" or figure.x_label == TRIAL)
    return "judged" if history or isinstance(figure, Strip | Histogram | Table) else "distances"


def _told(one: Shown, figure: Histogram) -> Shown:
    """A histogram with what its dashed line means or, of a network with one answer for all, the answer in its place."""
    values = [value for own in figure.values.values() for value in own]
    low, high = min(values, default=0.0), max(values, default=0.0)
    if high - low <= SPREAD * max(1.0, abs(low), abs(high)):
        return replace(one, figure=None, note=f"It gives every picture the same answer: {figure.x_label} {high:.3g}.")
    if figure.cut is None:
        return one
    sides = {"above": high > figure.cut, "below": low < figure.cut}
    empty = "".join(f" No picture lies {side} it." for side, there in sides.items() if not there)
    return replace(one, note=f"Dashed: {figure.cut_label or figure.cut}.{empty}")


def _one_scale(figures: Sequence[Figure]) -> list[Figure]:
    """Heat maps of one title with the same ends of their scale, so that one colour is one number in all of them."""
    found: dict[str, list[float]] = {}
    for figure in figures:
        if isinstance(figure, Heatmap):
            own = [value for row in figure.values for value in row]
            own += [end for end in (figure.low, figure.high) if end is not None]
            found.setdefault(figure.title, []).extend(own)
    return [
        replace(figure, low=min(found[figure.title]), high=max(found[figure.title]))
        if isinstance(figure, Heatmap)
        else figure
        for figure in figures
    ]


def _views(page: Mapping[str, Any], order: Sequence[str]) -> dict[str, dict[str, list[Any]]]:
    """Title of a member -> places of the pictures and what it says of them."""
    pictures = page["pictures"]
    found = {}
    for name in order:
        for member in page["compositions"][name]["members"]:
            if member["layout"] is None:
                continue
            says = [""] * len(pictures["scatter"])
            if "log_odds" in member:
                says = [
                    _says(member["log_odds"][i], member["called"][i], pictures["cell"][i] == 0)
                    for i in pictures["scatter"]
                ]
            title = f"{name}: {member['how']} member ({member['name']}), {member['layout']}"
            found[title] = {"x": member["x"], "y": member["y"], "says": says}
    return found


def _says(log_odds: float, called: bool, shown: bool) -> str:
    verdict = "target" if called else "not the target"
    return f"{probability(log_odds)}: {verdict}, {'right' if called == shown else 'wrong'}"


def _scatter_pictures(page: Mapping[str, Any]) -> dict[str, list[str]]:
    pictures = page["pictures"]
    return {
        "cell": [pictures["cells"][pictures["cell"][index]] for index in pictures["scatter"]],
        "name": [pictures["names"][index] for index in pictures["scatter"]],
        "picture": [pictures["thumbnails"][str(index)] for index in pictures["scatter"]],
    }


def _without_root(recipe: str) -> str:
    """The recipe without the folder that its paths start from, which is the user's own."""
    return "".join(line for line in recipe.splitlines(keepends=True) if not line.startswith("root:"))


@cache
def _library() -> str:
    """The scripts of Bokeh that the page needs, to stand in it."""
    from bokeh.resources import Resources

    return str(Resources(mode="inline", components=["bokeh", "bokeh-widgets"]).render())
