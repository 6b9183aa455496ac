"""What the page needs, saved in the run's folder: `page.json`, and its own figures in `figures/`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image

from composer.data.decoding import printable
from composer.data.expressions import cell_names
from composer.data.figures import Figure, Histogram, Lines, Scatter, Strip, draw, to_json
from composer.data.files import write_json
from composer.data.images import Images
from composer.data.score_info import read_declared, title_of
from composer.models.model_folder import read_folder
from composer.page import gathering
from composer.page.bars import base_rate
from composer.page.template import data_uri
from composer.page.writing import FORMAT, PAGE_DATA
from composer.recipes.recipe import Recipe
from composer.results import model_card
from composer.results.results_table import random_pairs

if TYPE_CHECKING:
    from composer.running.cache import StageCache
    from composer.running.plan import Plan

SIDE = 64
"""Pixels of a thumbnail's side; smaller pictures stay as they are."""
QUALITY = 85
MEMBERS = "members "
"""Before a score's name: the figure of its values of all members."""
CUT_LABEL = "as likely as not"


def save(
    folder: Path,
    recipe: Recipe,
    cache: StageCache,
    plan: Plan,
    images: Images | None,
    report: Mapping[str, Any],
    shown: Mapping[str, Any],
) -> None:
    """Writes `page.json` beside the other results, which are there already, and draws the page's own figures.

    shown: composition -> what `gather` found.
    """
    figures = _recorded(cache, plan, 0 if images is None else len(images))
    for (subject, name), figure in ({} if images is None else _own_figures(images, report, shown)).items():
        about: dict[str, Any] = {"shows": "judged", "subject": subject, "name": name}
        if name.startswith(MEMBERS):
            about["base"] = base_rate(report, name.removeprefix(MEMBERS))
        figures.append({**about, **to_json(figure)})
        draw(figure, *(folder / "figures" / f"{subject} - {name}.{ending}" for ending in ("png", "svg")))
    content = {
        "format": FORMAT,
        "compositions": {
            name: {
                **said,
                "limits": model_card.limits(read_folder(folder / "models" / name).config, report, name),
            }
            for name, said in shown.items()
        },
        "pictures": _pictures(images, shown),
        "figures": figures,
        "stages": _stages(cache, plan),
        "random_pairs": random_pairs(recipe),
    }
    write_json(folder / PAGE_DATA, content)


def thumbnail(pixels: torch.Tensor) -> str:
    """A data URI of a picture uint8 [3, S, S]."""
    return data_uri(Image.fromarray(pixels.permute(1, 2, 0).numpy()), quality=QUALITY, optimize=True)


def _recorded(cache: StageCache, plan: Plan, pictures: int) -> list[dict[str, Any]]:
    """The figures that the stages recorded: what they show, what they are of, their names, and their data."""
    makers = [("parents", step.subject, step) for whole in plan.populations.values() for step in whole.makers]
    for arm in plan.arms:
        name = arm.composition.name
        made_by = (arm.model,) if arm.kernels is None else (arm.kernels, arm.model)
        makers += [("made", name, step) for step in made_by]
        makers += [("judged", name, step) for step in arm.reports.values()]
    return [
        {"shows": shows, "subject": subject, "name": name, **to_json(figure)}
        for shows, subject, step in makers
        for name, figure in cache.figures(step.name, step.key).items()
        if not (
            isinstance(figure, Scatter) and len(figure.names) == pictures
        )  # the page has its own, with the pictures
    ]


def _stages(cache: StageCache, plan: Plan) -> list[dict[str, Any]]:
    """What each stage took when it was computed, in this run or in one before."""
    found = []
    for step in plan.steps():
        facts = cache.facts(step.name, step.key) or {}
        took = {name: facts.get(name, 0) for name in ("seconds", "device_memory")}
        found.append({"name": step.name, "subject": step.subject, **took})
    return found


def _own_figures(images: Images, report: Mapping[str, Any], shown: Mapping[str, Any]) -> dict[tuple[str, str], Figure]:
    """(subject, name) -> figure: the scores of all members, the ROC curves, and each composition's log-odds."""
    found: dict[tuple[str, str], Figure] = {}
    for name in _scores_to_show(report, shown):
        having = {arm: said["values"][name] for arm, said in shown.items() if name in said["values"]}
        marked = {arm: report["compositions"][arm]["scores"][name]["picked"] for arm in having}
        title = title_of(read_declared(report), name)
        found["all", f"{MEMBERS}{name}"] = Strip(
            f"{title} of every member", having, title, marked, "picked without labels"
        )
    curves = {arm: said["roc"] for arm, said in shown.items() if said.get("roc")}
    if curves:
        found["all", "roc"] = Lines(
            "ROC of the member picked without labels",
            {**{arm: curve["true"] for arm, curve in curves.items()}, "chance": [0.0, 1.0]},
            "share of others called the target",
            "share of the target found",
            x={**{arm: curve["false"] for arm, curve in curves.items()}, "chance": [0.0, 1.0]},
        )
    if scatter := _novelty(report, shown):
        found["all", "novelty"] = scatter
    for arm, said in shown.items():
        if "log_odds" in said["members"][0] and not report["compositions"][arm]["control"]:
            found[arm, "log-odds"] = _histogram(images, said["members"][0]["log_odds"])
    return found


def _novelty(report: Mapping[str, Any], shown: Mapping[str, Any]) -> Scatter | None:
    """Every member's distance to the nearest parent against its main score: what is new, and what is any good."""
    having = {arm: said for arm, said in shown.items() if said.get("novelty")}
    main = next((said["main_score"] for said in having.values()), None)
    having = {arm: said["novelty"] for arm, said in having.items() if said["main_score"] == main}
    if not having:
        return None
    title = title_of(read_declared(report), str(main))
    groups = [arm for arm, pairs in having.items() for _ in pairs["score"]]
    return Scatter(
        "Novelty against performance",
        [value for pairs in having.values() for value in pairs["distance"]],
        [value for pairs in having.values() for value in pairs["score"]],
        groups,
        groups,
        "distance of a member's kernels to the nearest parent's",
        title,
    )


def _histogram(images: Images, log_odds: Sequence[float]) -> Histogram:
    cells = images.cells
    groups = {
        cell: [value for value, own in zip(log_odds, cells, strict=True) if own == cell]
        for cell in cell_names(images.concepts)
        if cell in cells
    }
    return Histogram("Log-odds of the target by cell", groups, "log-odds of the target", 0.0, CUT_LABEL)


def _scores_to_show(report: Mapping[str, Any], shown: Mapping[str, Any]) -> Iterator[str]:
    """The main scores, and those that gain is measured in or whose best member has a column, each once."""
    names = list(dict.fromkeys(name for said in shown.values() for name in said["values"]))
    wanted = [said["main_score"] for said in shown.values() if said["main_score"]]
    wanted += [name for name, info in read_declared(report).items() if info.gain or "best" in info.shows]
    yield from (name for name in dict.fromkeys(wanted) if name in names)


def _pictures(images: Images | None, shown: Mapping[str, Any]) -> dict[str, Any]:
    if images is None:
        return {"names": [], "cells": [], "cell": [], "scatter": [], "thumbnails": {}}
    scatter = gathering.chosen_pictures(images)
    galleries = [side for said in shown.values() for side in said.get("gallery", {}).values()]
    wanted = sorted({*scatter, *(index for side in galleries for index in (*side["right"], *side["wrong"]))})
    size = SIDE if images.native is None else min(SIDE, images.native.shape[-1])
    pixels = images.select(wanted).at(size)
    cells = [cell for cell in cell_names(images.concepts) if cell in images.cells]
    return {
        "names": [printable(name) for name in images.names],
        "cells": cells,
        "cell": [cells.index(cell) for cell in images.cells],
        "scatter": scatter,
        "thumbnails": {str(index): thumbnail(own) for index, own in zip(wanted, pixels, strict=True)},
    }
