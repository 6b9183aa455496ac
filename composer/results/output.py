"""What a run leaves behind: report.json, recipe.yaml, run.json, figures/ and models/."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from composer.data.figures import Figure, draw
from composer.data.files import write_json, write_text
from composer.models.folder_files import CONFIG, WEIGHTS
from composer.recipes.recipe import Recipe
from composer.results import model_card
from composer.results.run_folder import COLUMNS, SCORES
from composer.running.reporting import Judged
from composer.running.storage import FACTS, TENSORS

if TYPE_CHECKING:
    from composer.running.cache import StageCache
    from composer.running.plan import Plan


def score_rows(judged: Iterable[Judged]) -> list[tuple[Any, ...]]:
    """A row for every composition, score and member, its values in the order of COLUMNS."""
    rows: list[tuple[Any, ...]] = []
    for arm in judged:
        own = (arm.composition.name, str(arm.composition.control).lower())
        for label, said in arm.reports.items():
            for name, score in said.scores.items():
                higher = str(score.higher_is_better).lower()
                for index, value in enumerate(score.values):
                    member = score.member(index)
                    picked = str(index == score.picked).lower()
                    who = (member, arm.names[member])
                    rows.append((*own, f"{label}.{name}", *who, repr(float(value)), picked, score.labels, higher))
    return rows


def write_scores(folder: Path, judged: Iterable[Judged]) -> None:
    """Writes scores.csv."""
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(COLUMNS)
    lines.writerows(score_rows(judged))
    write_text(folder / SCORES, text.getvalue())


def write(folder: Path, recipe: Recipe, content: Mapping[str, Any], run: Mapping[str, Any]) -> None:
    write_text(folder / "recipe.yaml", yaml.safe_dump(dict(recipe.document), sort_keys=False, allow_unicode=True))
    write_json(folder / "run.json", run)
    write_json(folder / "report.json", content)


def copy_results(folder: Path, cache: StageCache, plan: Plan, content: Mapping[str, Any]) -> None:
    """Draws the figures, and copies the models out of the store, with a card each."""
    figures, models = folder / "figures", folder / "models"
    figures.mkdir()
    models.mkdir()
    for step in (maker for whole in plan.populations.values() for maker in whole.makers):
        _draw_figures(cache.figures(step.name, step.key), figures, step.subject)
    for arm in plan.arms:
        name = arm.composition.name
        kernels = () if arm.kernels is None else (arm.kernels,)
        for made_by in (*kernels, arm.model, *arm.reports.values()):
            _draw_figures(cache.figures(made_by.name, made_by.key), figures, name)
        home = models / name
        home.mkdir()
        made = cache.path(arm.model.name, arm.model.key)
        shutil.copyfile(made / TENSORS, home / WEIGHTS)
        shutil.copyfile(made / FACTS, home / CONFIG)
        model_card.complete(home, content, name)


def _draw_figures(recorded: Mapping[str, Figure], figures: Path, subject: str) -> None:
    for name, figure in recorded.items():
        draw(figure, *(figures / f"{subject} - {name}.{ending}" for ending in ("png", "svg")))
