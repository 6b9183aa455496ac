"""From a recipe to the folder of a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

from composer.data.files import clear_parts, make_writable
from composer.data.images import Images
from composer.data.population import Population
from composer.errors import ComposerError
from composer.page.gathering import gathered
from composer.publishing import publish
from composer.recipes.recipe import NO_PICTURES, Recipe
from composer.registry import Registry, load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.forecast import Forecast, forecast
from composer.running.last_run import recall, remember
from composer.running.locking import COMING, changing, run_lock
from composer.running.outcome import choose_device, compute
from composer.running.parallel import ALONE, Parallel
from composer.running.plan import make_plan
from composer.running.step import Step
from composer.running.store_folder import default_store


def run_recipe(
    recipe: Recipe,
    folder: Path,
    device: str = "auto",
    fresh: bool = False,
    registry: Registry | None = None,
    wait: bool = True,
    store: Path | None = None,
    parallel: Parallel = ALONE,
) -> dict[str, Any]:
    """Runs a recipe and writes its folder; returns the content of `report.json`.

    wait: for another run that works in the folder; without it that is a ComposerError.
    store: where stages are kept for all runs, `default_store()` unless said otherwise.
    parallel: how stages are worked at once; by default this process works alone.
    """
    choose_device(device)  # before anything is made
    with working(folder, wait), opened(store) as stages:
        seen = recall(folder)
        try:
            outcome = compute(recipe, stages, device, fresh, registry, seen, gathered, parallel)
        finally:
            remember(folder, seen)
        publish(outcome, folder)
    return outcome.report


@contextmanager
def opened(store: Path | None = None) -> Iterator[StageCache]:
    """A store, for as long as its stages are used."""
    with StageCache(default_store() if store is None else store) as stages:
        stages.clear()
        yield stages


@contextmanager
def working(folder: Path, wait: bool = True) -> Iterator[None]:
    """Holds a run's folder against other runs: one works at a time, and others wait or are refused."""
    make_writable(folder, f"--output {folder}:")
    with run_lock(folder, wait):
        if (folder / COMING).exists():
            with changing(folder):  # a run was killed while it put its results in place
                pass
        clear_parts(folder)
        yield


def forecast_recipe(recipe: Recipe, store: Path | None = None) -> list[Forecast]:
    """What a run of the recipe would do; nothing is computed or written."""
    with opened(store) as stages:
        return forecast(make_plan(recipe, gathered), stages)


def load_pictures(
    recipe: Recipe, fresh: bool = False, registry: Registry | None = None, store: Path | None = None
) -> dict[str, Images]:
    """Every split that the recipe's pictures have: `test`, `train.black`, ... -> Images."""
    plan = make_plan(recipe)
    steps: Sequence[Step] = [*([plan.test] if plan.test is not None else []), *plan.training.values()]
    if not steps:
        raise ComposerError(f"{recipe.path}: {NO_PICTURES}; there is nothing to show")
    with opened(store) as stages:
        engine = Engine(stages, "cpu", registry or load_registry(), fresh)
        return {step.subject: cast("Images", engine.result(step)) for step in steps}


def load_population(
    recipe: Recipe, concept: str, registry: Registry | None = None, store: Path | None = None
) -> Population:
    """One concept's population, trained or read as the recipe says."""
    with opened(store) as stages:
        engine = Engine(stages, choose_device("auto"), registry or load_registry())
        return cast("Population", engine.result(make_plan(recipe).populations[concept]))
