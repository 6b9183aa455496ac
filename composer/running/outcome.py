"""What comes out of a recipe. Nothing here knows a run's folder, the page or the terminal."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from composer.data.composed import ComposedModel
from composer.data.images import Images
from composer.data.population import Population
from composer.data.scores import Pick, Report
from composer.errors import ComposerError, PluginError
from composer.recipes.recipe import Recipe
from composer.registry import Registry, load_registry
from composer.running import reporting, sealing
from composer.running.cache import StageCache
from composer.running.engine import Engine, Seen, told
from composer.running.labelled import refuse_test_pictures
from composer.running.parallel import ALONE, Parallel, work_ahead
from composer.running.plan import Arm, Gather, OracleSteps, Plan, make_plan
from composer.running.watching import Watchers


@dataclass(frozen=True)
class Outcome:
    """All that a recipe gave: the content of `report.json` and `run.json`, and where in the store the results lie.

    inputs: every file that was read -> its sha256, taken before it was read.
    """

    recipe: Recipe
    plan: Plan
    store: StageCache
    report: dict[str, Any]
    run: Mapping[str, Any]
    arms: Sequence[reporting.Judged]
    test: Images | None
    inputs: Mapping[str, str]
    hook: Watchers

    @property
    def stages(self) -> list[Path]:
        """The folders in the store that the results came from."""
        return [self.store.path(step.name, step.key) for step in self.plan.steps()]

    @property
    def shown(self) -> dict[str, Mapping[str, Any]]:
        """Composition -> what the page shows of it."""
        return {arm.composition.name: arm.shown for arm in self.arms}

    @property
    def kept(self) -> dict[str, str]:
        """Every file of its stages, from the store's folder on -> sha256."""
        return sealing.kept_digests(self.stages)


def compute(
    recipe: Recipe,
    store: StageCache,
    device: str = "auto",
    fresh: bool = False,
    registry: Registry | None = None,
    seen: Seen | None = None,
    gather: Gather | None = None,
    parallel: Parallel = ALONE,
) -> Outcome:
    """Computes a recipe, or takes from the store what it has.

    seen: what each stage was made from in the run before, to tell why it is computed again; brought up to date.
    gather: gathers what the page shows of each composition; without it there is nothing to publish a page from.
    parallel: how steps are worked at once; by default this process works alone.
    """
    started = time.perf_counter()
    engine = Engine(store, choose_device(device), registry or load_registry(), fresh, seen)
    plan = make_plan(recipe, gather)
    store.use(*((step.name, step.key) for step in plan.steps()))
    inputs = plan.inputs()  # before they are read, so that one that is edited meanwhile shows
    work_ahead(engine, plan.steps(), parallel)
    parents = {concept: _judge_parent(engine, plan, concept) for concept in plan.populations}
    test: Images | None = None if plan.test is None else engine.result(plan.test)
    arms = [_judge(engine, arm, test) for arm in plan.arms]
    oracle = judge_oracle(engine, plan.oracle)
    engine.complete(plan)
    report = reporting.report(recipe, test, arms, parents, [*recipe.notes, *engine.warnings(plan)])
    report["oracle"] = reporting.oracle_facts(recipe, oracle, arms, () if test is None else test.cells)
    stages = list(engine.finished.values())
    run = reporting.provenance(recipe, engine.device, stages, time.perf_counter() - started, engine.registry)
    return Outcome(recipe, plan, store, report, run, arms, test, inputs, engine.hook)


def choose_device(device: str) -> str:
    """`auto` is cuda where there is one; cuda where there is none is an error."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cuda" and not torch.cuda.is_available():
        raise ComposerError("--device cuda: torch sees no CUDA device here; use --device cpu")
    return device


def _judge_parent(engine: Engine, plan: Plan, concept: str) -> reporting.Parent:
    """How well one concept's population knows it, as far as the test pictures and its own source say."""
    step = plan.populations[concept]
    population: Population = engine.result(step)
    report: Report = engine.result(plan.parents[concept]) if concept in plan.parents else Report({})
    return reporting.Parent(len(population), population.parameters, engine.measured(step), report)


def judge_oracle(engine: Engine, steps: OracleSteps | None) -> reporting.Oracle | None:
    """The oracle's scores and, as it was judged, the parents'."""
    if steps is None:
        return None
    population: Population = engine.result(steps.population)
    parents = {concept: engine.result(step) for concept, step in steps.parents.items()}
    return reporting.Oracle(len(population), population.parameters, engine.result(steps.report), parents, steps.score)


def _judge(engine: Engine, arm: Arm, test: Images | None) -> reporting.Judged:
    """Evaluates one composition; its features are let go of before the next."""
    reports: dict[str, Report] = {}
    try:
        model: ComposedModel = engine.result(arm.model)
        refuse_test_pictures(model, arm.model.read_files, test)
        for label, step in arm.reports.items():
            reports[label] = engine.result(step)
    except (ComposerError, PluginError) as error:
        raise told(error, f"composition {arm.composition.name!r}") from (error.__cause__ or error)
    pick: Pick | None = None if arm.pick is None else engine.result(arm.pick)
    shown = {} if arm.page is None else engine.result(arm.page).content
    judged = reporting.Judged(
        arm.composition, len(model), model.members, model.parameters, model.labels, pick, reports, shown
    )
    for part in model.parts:
        part.forget_features()
    engine.forget(arm.model)
    return judged
