"""Writes `report.html` from the files in a run's folder; nothing is computed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from composer.data.figures import Figure, Heatmap, Histogram, Lines, Strip, Tiles, from_json
from composer.data.files import AGAIN, read_part, write_text
from composer.data.records import PageRecord
from composer.data.score_info import main_score, read_declared
from composer.errors import ComposerError
from composer.results.run_folder import read_run
from composer.running.sealing import file_digest

if TYPE_CHECKING:
    from bokeh.models import UIElement

PAGE = "report.html"
FORMAT = 1
JUDGED_ORDER = (Strip, Histogram, Lines, Heatmap)
PAGE_DATA = "page.json"


@dataclass(frozen=True)
class Shown:
    """A figure on the page: its heading, what it is of, and its name among the drawn ones."""

    heading: str
    subject: str
    key: str
    figure: Figure
    note: str


def write_page(folder: Path) -> Path:
    """Writes the page of a finished run and returns its path; ComposerError where the run's files are not all there."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    run = read_run(folder)
    for name in ("report.json", PAGE_DATA):  # the page joins the two
        stored = run.run.get("files", {}).get(name)
        if stored is not None and (folder / name).is_file() and file_digest(folder / name) != stored:
            raise ComposerError(f"{folder / name}: is not what the run wrote: {AGAIN}")
    page = _page_data(folder)
    recipe = (folder / "recipe.yaml").read_text(encoding="utf-8")
    environment = Environment(
        loader=PackageLoader("composer.page", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    text = environment.get_template("page.html.jinja").render(_content(run.report, run.run, page, recipe))
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
    from bokeh.document import Document
    from bokeh.embed import components

    from composer.page import charts, table, words
    from composer.page.explorer import explorer
    from composer.results.results_table import count_text
    from composer.text import seconds_text

    columns = table.results(report)
    drawn: dict[str, UIElement] = {"table": table.sortable(columns)}
    shown = _arranged(page, report)
    drawn |= {one.key: charts.chart(one.figure) for group in shown.values() for one in group}
    order = _best_first(report)
    views = _views(page, order)
    if views:
        drawn["explorer"] = explorer(page["pictures"]["cells"], _scatter_pictures(page), views)
    document = Document()
    with document.models.freeze():  # else every figure that is added looks at all others again
        for model in drawn.values():
            document.add_root(model)
    script, divisions = components(drawn)
    return {
        "report": report,
        "run": run,
        "summary": words.summary(report, page["random_pairs"]),
        "target": words.target_words(report),
        "columns": columns,
        "notes": table.notes(report),
        "tables": list(table.further(report)),
        "every_score": table.every_score(report),
        "figures": shown,
        "galleries": _galleries(report, page, order),
        "limits": {
            name: page["compositions"][name]["limits"] for name in order if not report["compositions"][name]["control"]
        },
        "stages": page["stages"],
        "costs": {name: said["cost"] for name, said in page["compositions"].items()},
        "recipe": _without_root(recipe),
        "style": _resource("page.css"),
        "library": _library(),
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


def _best_first(report: Mapping[str, Any]) -> list[str]:
    """Compositions by their main score, then controls."""
    arms = report["compositions"]
    main = main_score(read_declared(report), (name for arm in arms.values() for name in arm["scores"]))

    def rank(name: str) -> tuple[bool, float]:
        score = arms[name]["scores"].get(main)
        if score is None:
            return arms[name]["control"], math.inf
        return arms[name]["control"], -score["picked"] if score["higher_is_better"] else score["picked"]

    return sorted(arms, key=rank)


def _figure(found: Mapping[str, Any]) -> Figure:
    return from_json({key: value for key, value in found.items() if key not in ("shows", "subject", "name")})


def _arranged(page: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, list[Shown]]:
    """Section -> its figures: `made`, `judged`, and, folded away on the page, those of `controls` and `parents`."""
    controls = {name for name, arm in report["compositions"].items() if arm["control"]}
    found: dict[str, list[Shown]] = {"made": [], "judged": [], "controls": [], "parents": []}
    for index, data in enumerate(page["figures"]):
        figure, subject = _figure(data), data["subject"]
        note = f"Dashed: {figure.cut_label}." if isinstance(figure, Histogram) and figure.cut_label else ""
        one = Shown(figure.title or data["name"], "" if subject == "all" else subject, f"figure {index}", figure, note)
        found["controls" if subject in controls else data["shows"]].append(one)
    found["made"].sort(key=lambda one: not isinstance(one.figure, Tiles))
    found["judged"].sort(
        key=lambda one: JUDGED_ORDER.index(type(one.figure)) if type(one.figure) in JUDGED_ORDER else 9
    )
    return found


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
    return f"{_probability(log_odds)}: {verdict}, {'right' if called == shown else 'wrong'}"


def _probability(log_odds: float) -> str:
    return f"{1 / (1 + math.exp(-log_odds)) if log_odds > -700 else 0:.3f}"


def _scatter_pictures(page: Mapping[str, Any]) -> dict[str, list[str]]:
    pictures = page["pictures"]
    return {
        "cell": [pictures["cells"][pictures["cell"][index]] for index in pictures["scatter"]],
        "name": [pictures["names"][index] for index in pictures["scatter"]],
        "picture": [pictures["thumbnails"][str(index)] for index in pictures["scatter"]],
    }


def _galleries(
    report: Mapping[str, Any], page: Mapping[str, Any], order: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """Composition -> for each cell the pictures that it is surest of, right and wrong; controls are left out."""
    pictures = page["pictures"]
    found: dict[str, list[dict[str, Any]]] = {}
    for name in order:
        said = page["compositions"][name]
        if "gallery" not in said or report["compositions"][name]["control"]:
            continue
        log_odds = said["members"][0]["log_odds"]
        found[name] = [
            {
                "cell": cell,
                "counts": sides["counts"],
                **{
                    side: [
                        {
                            "picture": pictures["thumbnails"][str(index)],
                            "name": pictures["names"][index],
                            "probability": _probability(log_odds[index]),
                        }
                        for index in sides[side]
                    ]
                    for side in ("right", "wrong")
                },
            }
            for cell, sides in said["gallery"].items()
        ]
    return found


def _without_root(recipe: str) -> str:
    """The recipe without the folder that its paths start from, which is the user's own."""
    return "".join(line for line in recipe.splitlines(keepends=True) if not line.startswith("root:"))


@cache
def _library() -> str:
    """The scripts of Bokeh that the page needs, to stand in it."""
    from bokeh.resources import Resources

    return str(Resources(mode="inline", components=["bokeh", "bokeh-widgets", "bokeh-tables"]).render())


def _resource(name: str) -> str:
    return (Path(__file__).parent / name).read_text(encoding="utf-8")
