"""From a recipe to a report."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from composer.composed import ComposedModel
from composer.errors import ComposerError, PluginError
from composer.images import Images
from composer.page import gathering, saving, writing
from composer.population import Population
from composer.recipes.recipe import NO_PICTURES, Recipe
from composer.registry import Registry, load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine, told
from composer.running.plan import Arm, OracleSteps, Plan, Step, make_plan
from composer.runs import files, output, sealing
from composer.runs.files import clear_parts, part_of, remove
from composer.runs.locking import COMING, changing, put_in_place, run_lock
from composer.scores import Report


def choose_device(device: str) -> str:
    """`auto` is cuda where there is one; cuda where there is none is an error."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ComposerError("--device cuda: torch sees no CUDA device here; use --device cpu")
    return device


@contextmanager
def working(folder: Path, wait: bool = True) -> Iterator[StageCache]:
    """The cache of a run's folder, held against other runs: one works at a time, and others wait or are refused."""
    prepare_output(folder)
    with run_lock(folder, wait):
        if (folder / COMING).exists():
            with changing(folder):  # a run was killed while it put its results in place
                pass
        cache = StageCache(folder / "stages")
        for place in (folder, cache.folder, *cache.folder.glob("*/")):
            clear_parts(place)
        yield cache


def prepare_output(folder: Path) -> None:
    """Makes the run's folder; ComposerError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = part_of(folder / "probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ComposerError(f"--output {folder}: cannot be written: {error.strerror or error}") from None


def run_recipe(
    recipe: Recipe,
    folder: Path,
    device: str = "auto",
    fresh: bool = False,
    registry: Registry | None = None,
    wait: bool = True,
) -> dict[str, Any]:
    """Runs a recipe and writes its folder; returns the content of `report.json`.

    wait: for another run that works in the folder; without it that is a ComposerError.
    """
    chosen = choose_device(device)
    with working(folder, wait) as cache:
        engine = Engine(cache, chosen, registry or load_registry(), fresh)
        return _run(recipe, folder, engine)


def _run(recipe: Recipe, folder: Path, engine: Engine) -> dict[str, Any]:
    started = time.perf_counter()
    plan = make_plan(recipe)
    inputs = plan.inputs()  # before they are read, so that one that is edited meanwhile shows
    try:
        parents = {concept: _judge_parent(engine, plan, concept) for concept in plan.populations}
        arms = [_judge(engine, arm, plan.test) for arm in plan.arms]
        oracle = judge_oracle(engine, plan.oracle)
        engine.complete(plan)
    finally:
        engine.cache.remember({**engine.before, **engine.identities})
    test = None if plan.test is None else engine.result(plan.test)
    report = output.report(recipe, test, arms, parents, [*recipe.notes, *engine.warnings(plan)])
    report["oracle"] = output.oracle_facts(recipe, oracle, arms, () if test is None else test.cells)
    stages = list(engine.finished.values())
    run = output.provenance(recipe, engine.device, stages, time.perf_counter() - started, engine.registry)
    kept = [engine.cache.path(step.name, step.key) for step in plan.steps()]
    shown = {arm.composition.name: arm.shown for arm in arms}
    with files.writing(folder), making(folder) as made:
        output.write(made, recipe, report, run)
        output.write_scores(made, arms)
        output.copy_results(made, engine.cache, plan, report)
        saving.save(made, recipe, engine.cache, plan, test, report, shown)
        writing.write_page(made)
        sealing.seal(made, inputs, kept)
        put_in_place(folder, made)
    engine.hook.composer_run_finished(report=report, folder=folder)
    with files.writing(folder), changing(folder):
        sealing.seal(folder, inputs, kept)  # with what the watchers wrote
    return report


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A hidden folder in a run's, for results that are not yet whole; it is gone afterwards."""
    made = part_of(folder / "results")
    made.mkdir()
    try:
        yield made
    finally:
        remove(made)


def _judge_parent(engine: Engine, plan: Plan, concept: str) -> output.Parent:
    """How well one concept's population knows it, as far as the test pictures and its own source say."""
    step = plan.populations[concept]
    population: Population = engine.result(step)
    report: Report = engine.result(plan.parents[concept]) if concept in plan.parents else Report({})
    return output.Parent(len(population), population.parameters, engine.measured(step), report)


def judge_oracle(engine: Engine, steps: OracleSteps | None) -> output.Oracle | None:
    """The oracle's scores and, as it was judged, the parents'."""
    if steps is None:
        return None
    population: Population = engine.result(steps.population)
    parents = {concept: engine.result(step) for concept, step in steps.parents.items()}
    return output.Oracle(len(population), population.parameters, engine.result(steps.report), parents)


def _judge(engine: Engine, arm: Arm, test: Step | None) -> output.Judged:
    """Evaluates one composition; its features are let go of before the next."""
    reports: dict[str, Report] = {}
    for label, step in arm.reports.items():
        try:
            reports[label] = engine.result(step)
        except (ComposerError, PluginError) as error:
            raise told(error, f"composition {arm.composition.name!r}") from (error.__cause__ or error)
    model: ComposedModel = engine.result(arm.model)
    images = None if test is None else engine.result(test)
    seed = arm.model.seed if test is None else test.seed
    gather = partial(gathering.gather, model, images, reports, seed, engine.device, arm.composition.control)
    shown = saving.gathered(engine.cache.folder / "page", arm, test, engine.fresh, gather)
    judged = output.Judged(arm.composition, len(model), model.members, model.parameters, reports, shown)
    for part in model.parts:
        part.forget_features()
    engine.forget(arm.model)
    return judged


def load_pictures(
    recipe: Recipe, folder: Path, fresh: bool = False, registry: Registry | None = None
) -> dict[str, Images]:
    """Every split that the recipe's pictures have: `test`, `train.black`, ... -> Images."""
    plan = make_plan(recipe)
    steps: Sequence[Step] = [*([plan.test] if plan.test is not None else []), *plan.training.values()]
    if not steps:
        raise ComposerError(f"{recipe.path}: {NO_PICTURES}; there is nothing to show")
    with working(folder) as cache:
        engine = Engine(cache, "cpu", registry or load_registry(), fresh)
        return {step.subject: cast("Images", engine.result(step)) for step in steps}


def load_population(recipe: Recipe, folder: Path, concept: str, registry: Registry | None = None) -> Population:
    """One concept's population, trained or read as the recipe says."""
    with working(folder) as cache:
        engine = Engine(cache, choose_device("auto"), registry or load_registry())
        return cast("Population", engine.result(make_plan(recipe).populations[concept]))
