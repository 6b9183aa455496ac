"""From a recipe to a report."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from composer.composed import ComposedModel
from composer.errors import ComposerError, PluginError
from composer.images import Images
from composer.page import gathering, saving, writing
from composer.population import Population
from composer.recipes.recipe import Recipe
from composer.registry import Registry, load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine, told
from composer.running.plan import Arm, OracleSteps, Plan, Step, make_plan
from composer.runs import output, sealing
from composer.scores import Report


def choose_device(device: str) -> str:
    """`auto` is cuda where there is one; cuda where there is none is an error."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ComposerError("--device cuda: torch sees no CUDA device here; use --device cpu")
    return device


def prepare_output(folder: Path) -> None:
    """Makes the run's folder; ComposerError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / f".probe-{os.getpid()}"
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise ComposerError(f"--output {folder}: cannot be written: {error.strerror or error}") from None


def run_recipe(
    recipe: Recipe, folder: Path, device: str = "auto", fresh: bool = False, registry: Registry | None = None
) -> dict[str, Any]:
    """Runs a recipe and writes its folder; returns the content of `report.json`."""
    registry = registry or load_registry()
    started = time.perf_counter()
    chosen = choose_device(device)
    prepare_output(folder)
    engine = Engine(StageCache(folder / "stages"), chosen, registry, fresh)
    plan = make_plan(recipe)
    inputs = plan.inputs()  # before they are read, so that one that is edited meanwhile shows
    try:
        parents = {concept: _judge_parent(engine, plan, concept) for concept in plan.parents}
        arms = [_judge(engine, arm, plan.test) for arm in plan.arms]
        oracle = judge_oracle(engine, plan.oracle)
    finally:
        engine.cache.remember({**engine.before, **engine.identities})
    report = output.report(recipe, engine.result(plan.test), arms, parents, [*recipe.notes, *engine.warnings(plan)])
    report["oracle"] = output.oracle_facts(recipe, oracle, arms, engine.result(plan.test).cells)
    stages = list(engine.finished.values())
    run = output.provenance(recipe, chosen, stages, time.perf_counter() - started, registry)
    output.write(folder, recipe, report, run)
    output.write_scores(folder, arms)
    output.copy_results(folder, engine.cache, plan, report)
    shown = {arm.composition.name: arm.shown for arm in arms}
    saving.save(folder, recipe, engine.cache, plan, engine.result(plan.test), report, shown)
    writing.write_page(folder)
    engine.hook.composer_run_finished(report=report, folder=folder)
    sealing.seal(folder, inputs, [engine.cache.path(step.name, step.key) for step in plan.steps()])
    return report


def _judge_parent(engine: Engine, plan: Plan, concept: str) -> output.Parent:
    """How well one concept's population knows it, as far as the test pictures and its own source say."""
    step = plan.populations[concept]
    population: Population = engine.result(step)
    report: Report = engine.result(plan.parents[concept])
    return output.Parent(len(population), population.parameters, engine.measured(step), report)


def judge_oracle(engine: Engine, steps: OracleSteps | None) -> output.Oracle | None:
    """The oracle's scores and, as it was judged, the parents'."""
    if steps is None:
        return None
    population: Population = engine.result(steps.population)
    parents = {concept: engine.result(step) for concept, step in steps.parents.items()}
    return output.Oracle(len(population), population.parameters, engine.result(steps.report), parents)


def _judge(engine: Engine, arm: Arm, test: Step) -> output.Judged:
    """Evaluates one composition; its features are let go of before the next."""
    reports: dict[str, Report] = {}
    for label, step in arm.reports.items():
        try:
            reports[label] = engine.result(step)
        except (ComposerError, PluginError) as error:
            raise told(error, f"composition {arm.composition.name!r}") from (error.__cause__ or error)
    model: ComposedModel = engine.result(arm.model)
    gather = partial(
        gathering.gather, model, engine.result(test), reports, test.seed, engine.device, arm.composition.control
    )
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
    prepare_output(folder)
    engine = Engine(StageCache(folder / "stages"), "cpu", registry or load_registry(), fresh)
    plan = make_plan(recipe)
    steps: Sequence[Step] = [plan.test, *plan.training.values()]
    return {step.subject: cast("Images", engine.result(step)) for step in steps}


def load_population(recipe: Recipe, folder: Path, concept: str, registry: Registry | None = None) -> Population:
    """One concept's population, trained or read as the recipe says."""
    prepare_output(folder)
    engine = Engine(StageCache(folder / "stages"), choose_device("auto"), registry or load_registry())
    return cast("Population", engine.result(make_plan(recipe).populations[concept]))
