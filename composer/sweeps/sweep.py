"""One recipe with many settings: what does not differ is computed once, and every composition is put beside itself."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from composer.data.score_info import main_score, read_declared, title_of
from composer.errors import ComposerError, PluginError
from composer.pipeline import opened, working
from composer.recipes.recipe import Recipe
from composer.registry import Registry
from composer.running.engine import Engine
from composer.running.last_run import recall, remember
from composer.running.outcome import choose_device, compute
from composer.running.parallel import ALONE, Parallel, work_ahead
from composer.running.plan import make_plan
from composer.running.step import Step
from composer.sweeps.grid import SEED

log = logging.getLogger("composer")

Setting = Mapping[str, str]
FEWEST = 3
"""Values of which Student's t says something."""


@dataclass(frozen=True)
class Point:
    """One recipe of a sweep: what was set, and the content of its `report.json`, or why there is none."""

    setting: Setting
    report: Mapping[str, Any] | None
    failed: str = ""


@dataclass(frozen=True)
class Spread:
    """A score of one composition with one setting: its mean over seeds and the 95 % interval of that mean.

    Of two seeds, of which Student's t knows next to nothing, it is from the lower to the higher; with one it is the
    score itself, and its interval that over the test pictures.
    """

    setting: Setting
    """What differs, without the seed."""
    composition: str
    control: bool
    values: tuple[float, ...]
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Sweep:
    """What a sweep found."""

    name: str
    keys: Sequence[str]
    """What differs between the points, without the seed."""
    points: Sequence[Point]

    @property
    def reports(self) -> list[tuple[Setting, Mapping[str, Any]]]:
        return [(point.setting, point.report) for point in self.points if point.report is not None]

    @property
    def score(self) -> str | None:
        """The score that tables compare by, of those that there are: the declared main one."""
        declared = {name: info for _, report in self.reports for name, info in read_declared(report).items()}
        arms = (arm for _, report in self.reports for arm in report["compositions"].values())
        return main_score(declared, (name for arm in arms for name in arm["scores"]))

    @property
    def title(self) -> str:
        """What people call that score."""
        return title_of(read_declared(self.reports[0][1]), self.score or "") if self.reports else ""

    def spreads(self) -> list[Spread]:
        """Every composition that has the score, with every setting, over its seeds."""
        score = self.score
        found: dict[tuple[tuple[str, ...], str], list[tuple[Setting, Mapping[str, Any], bool]]] = {}
        for setting, report in self.reports:
            for name, arm in report["compositions"].items():
                if score in arm["scores"]:
                    place = (tuple(setting[key] for key in self.keys), name)
                    found.setdefault(place, []).append((setting, arm["scores"][score], arm["control"]))
        return [
            _spread(dict(zip(self.keys, values, strict=True)), name, [given for _, given, _ in each], each[0][2])
            for (values, name), each in found.items()
        ]

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every score of every composition of every point, as a table of data has it."""
        for setting, report in self.reports:
            for name, arm in report["compositions"].items():
                for score, given in arm["scores"].items():
                    low, high = given["interval"] or (None, None)
                    yield {
                        **setting,
                        "composition": name,
                        "control": arm["control"],
                        "members": arm["members"],
                        "parameters": arm["parameters"],
                        "score": score,
                        "picked": given["picked"],
                        "low": low,
                        "high": high,
                        "median": given["median"],
                    }


def _spread(setting: Setting, name: str, given: Sequence[Mapping[str, Any]], control: bool) -> Spread:
    values = tuple(float(score["picked"]) for score in given)
    if len(values) == 1:
        low, high = given[0]["interval"] or (values[0], values[0])
        return Spread(setting, name, control, values, values[0], low, high)
    return Spread(setting, name, control, values, *interval_of_mean(values))


def interval_of_mean(values: Sequence[float]) -> tuple[float, float, float]:
    """(mean, low, high): the 95 % interval by Student's t; of one or two values the lowest and the highest."""
    mean = float(np.mean(values))
    if len(values) < FEWEST:
        return mean, min(values), max(values)
    reach = float(stats.t.ppf(0.975, len(values) - 1) * stats.sem(values))
    return mean, mean - reach, mean + reach


def sweep(
    recipes: Sequence[tuple[Setting, Recipe]],
    folder: Path,
    registry: Registry,
    say: Callable[[str], None],
    device: str = "auto",
    store: Path | None = None,
    parallel: Parallel = ALONE,
) -> Sweep:
    """Computes recipes that differ in what was set; a recipe that fails says why, and the others go on.

    folder: of the sweep, held meanwhile. say: told of every point that is done. parallel: how stages are worked at
    once.
    """
    points: list[Point] = []
    with working(folder), opened(store) as stages:
        seen = recall(folder)
        try:
            if parallel != ALONE:
                steps: dict[str, Step] = {}
                for _, recipe in recipes:
                    steps |= {step.key: step for step in make_plan(recipe).steps()}
                stages.use(*((step.name, step.key) for step in steps.values()))
                engine = Engine(stages, choose_device(device), registry, seen=seen)
                work_ahead(engine, list(steps.values()), parallel, onward=True)
            for number, (setting, recipe) in enumerate(recipes, start=1):
                points.append(
                    point_of(setting, recipe, lambda one: compute(one, stages, device, False, registry, seen))
                )
                say(f"{_named(setting)}: {number} of {len(recipes)}{points[-1].failed and ', failed'}")
        finally:
            remember(folder, seen)
    keys = [key for key in recipes[0][0] if key != SEED and len({setting[key] for setting, _ in recipes}) > 1]
    return Sweep(recipes[0][1].name, keys, points)


def point_of(setting: Setting, recipe: Recipe, computed: Callable[[Recipe], Any]) -> Point:
    """One recipe computed, or why it could not be."""
    try:
        return Point(setting, computed(recipe).report)
    except ComposerError as error:
        return Point(setting, None, str(error))
    except PluginError as error:  # what was raised is told once, here; the other settings may do without it
        log.error("%s", error, exc_info=error.__cause__)
        return Point(setting, None, str(error))


def _named(setting: Setting) -> str:
    return ", ".join(f"{key} {value}" for key, value in setting.items()) or "the recipe as it is"
