"""From a recipe to a report: a plan of stages, each computed at most once."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any, cast

import torch

from composer import __version__, gain, output, sealing
from composer.boundary import first_fault, overhearing, run_faults
from composer.cache import StageCache, component_identity, core_digest, digest, stage_seed
from composer.composed import ComposedModel
from composer.errors import ComposerError, PluginError
from composer.hookspecs import Stage
from composer.images import Images
from composer.interfaces import Component, Evaluator, Split
from composer.kernels import KernelSet
from composer.oracle import alone, train_oracle
from composer.page import gathering, saving, writing
from composer.parents import judge_parent
from composer.population import Population
from composer.recipe import Composition, Concept, Recipe, why_no_oracle
from composer.registry import Registry, load_registry
from composer.run import Run
from composer.scores import Report
from composer.storage import Value
from composer.watching import Watchers
from composer.writes import noting_writes


@dataclass(frozen=True, eq=False)
class Step:
    """One stage of the plan: a component at work on the results of other steps.

    name decides the seed; subject is what the result is for, and says it to people.
    about: what the work is told beside its inputs. files: those it reads, where the component's own list is
    too long. pictures, kernels: steps whose results `run.pictures` and `run.kernels` hold.
    verb: whether the work is the component's own, and its result is looked at.
    """

    name: str
    subject: str
    component: Component
    work: Callable[..., Value]
    recipe_seed: int
    inputs: tuple[Step, ...] = ()
    pictures: tuple[Step, ...] = ()
    kernels: tuple[Step, ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] | None = None
    verb: bool = True

    @property
    def seed(self) -> int:
        return stage_seed(self.recipe_seed, self.name)

    @property
    def split(self) -> Split | None:
        """Which pictures an image source is asked for."""
        return Split(tuple(self.about["concepts"]), self.about["concept"]) if "concepts" in self.about else None

    @cached_property
    def read_files(self) -> tuple[Path, ...]:
        return tuple(self.component.files()) if self.files is None else self.files

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that the result depends on."""
        return {
            "stage": self.name,
            **component_identity(self.component, self.read_files),
            "about": dict(self.about),
            "seed": self.seed,
            "inputs": [step.key for step in self.inputs],
            "pictures": [step.key for step in self.pictures],
            "kernels": [step.key for step in self.kernels],
            "composer": [__version__, core_digest()],
        }

    @cached_property
    def key(self) -> str:
        return digest(self.identity)

    @property
    def title(self) -> str:
        return f"{self.name} for {self.subject}"


@dataclass(frozen=True)
class Arm:
    """The steps of one composition."""

    composition: Composition
    model: Step
    kernels: Step | None
    reports: Mapping[str, Step]


@dataclass(frozen=True)
class OracleSteps:
    """A network trained on labelled target pictures, judged, and the parents judged alone as it is."""

    population: Step
    report: Step
    parents: Mapping[str, Step]


@dataclass(frozen=True)
class Plan:
    """All steps of a recipe; nothing is computed yet."""

    test: Step
    training: Mapping[str, Step]
    populations: Mapping[str, Step]
    parents: Mapping[str, Step]
    """How well each population knows its own concept."""
    arms: tuple[Arm, ...]
    oracle: OracleSteps | None = None

    def steps(self) -> list[Step]:
        """Every step that a run needs, each after those that it works on."""
        found: dict[str, Step] = {}

        def visit(step: Step) -> None:
            for other in (*step.inputs, *step.pictures, *step.kernels):
                visit(other)
            found.setdefault(step.key, step)

        reports = [report for arm in self.arms for report in arm.reports.values()]
        beside = (self.oracle.report, *self.oracle.parents.values()) if self.oracle else ()
        for last in (self.test, *self.parents.values(), *reports, *beside):
            visit(last)
        return list(found.values())

    def inputs(self) -> dict[str, str]:
        """Every file that the steps read -> sha256 of its content."""
        files = {file for step in self.steps() for file in step.read_files}
        return {str(file.absolute()): sealing.file_digest(file) for file in sorted(files)}


def make_plan(recipe: Recipe) -> Plan:
    """The steps that a recipe asks for; two compositions that share a step share its result."""
    known: dict[str, Step] = {}

    def step(name: str, subject: str, component: Component, work: Callable[..., Value], **rest: Any) -> Step:
        made = Step(name, subject, component, work, recipe.seed, **rest)
        return known.setdefault(made.key, made)

    def pictures(source: Any, split: Split) -> Step:
        name = f"images.{split}"
        about = source.decided_by(split)
        files = tuple(source.split_files(split))
        return step(name, str(split), source, partial(source.load, split), about=about, files=files)

    def population(concept: Concept) -> Step:
        own = (training[concept.name],) if concept.models.contract.pictures != "none" else ()
        work = partial(_load_population, concept)
        about = {"concept": concept.name, "outputs": concept.outputs and list(concept.outputs)}
        return step(f"population.{concept.name}", concept.name, concept.models, work, pictures=own, about=about)

    def arm(composition: Composition) -> Arm:
        parents = tuple(populations[name] for name in composition.parents)
        shown = tuple(training[name] for name in composition.parents)
        subject = composition.name
        translator, assembler = composition.translator, composition.assembler
        kernels = None
        extracted: tuple[Step, ...] = ()
        if translator is not None:
            extract = recipe.extractor.extract
            extracted = tuple(
                step(f"kernels.{name}", name, recipe.extractor, extract, inputs=(parent,))
                for name, parent in zip(composition.parents, parents, strict=True)
            )
            seen = shown if translator.contract.pictures != "none" else ()
            work = partial(_translate, translator)
            kernels = step(f"translate.{translator.name}", subject, translator, work, inputs=extracted, pictures=seen)
        seen = shown if assembler.contract.pictures != "none" else ()
        inputs = parents if kernels is None else (kernels, *parents)
        assemble = partial(_assemble, assembler, kernels is not None)
        model = step(f"assemble.{assembler.name}", subject, assembler, assemble, inputs=inputs, pictures=seen)

        def judged(label: str, evaluator: Evaluator) -> Step:
            seen = extracted if evaluator.contract.kernels else ()
            inputs = (model, test)
            return step(f"evaluate.{label}", subject, evaluator, evaluator.evaluate, inputs=inputs, kernels=seen)

        reports = {label: judged(label, evaluator) for label, evaluator in recipe.evaluators.items()}
        return Arm(composition, model, kernels, reports)

    def oracle() -> OracleSteps | None:
        evaluator = recipe.evaluators.get(gain.EVALUATOR)
        if not recipe.oracle or evaluator is None or why_no_oracle(recipe):
            return None
        split = replace(recipe.split(), oracle=True)
        models, target = recipe.concepts[-1].models, split.target
        shown = pictures(recipe.images, split)
        work = partial(train_oracle, models, target)
        about = {"concept": target}
        trained = step(f"population.{target}", target, models, work, pictures=(shown,), about=about)

        def judged(concept: str, component: Component, known: Step) -> Step:
            model = step(f"alone.{concept}", concept, component, alone, inputs=(known,), files=())
            name = f"evaluate.{gain.EVALUATOR}"
            return step(name, f"{concept} alone", evaluator, evaluator.evaluate, inputs=(model, test))

        parents = {one.name: judged(one.name, one.models, populations[one.name]) for one in recipe.concepts}
        return OracleSteps(trained, judged(target, models, trained), parents)

    test = pictures(recipe.images, recipe.split())
    training = {concept.name: pictures(concept.images, recipe.split(concept.name)) for concept in recipe.concepts}
    populations = {concept.name: population(concept) for concept in recipe.concepts}
    parents = {
        concept.name: step(
            f"parent.{concept.name}",
            concept.name,
            concept.models,
            judge_parent,
            inputs=(populations[concept.name], test),
            files=(),
            verb=False,
        )
        for concept in recipe.concepts
    }
    arms = tuple(arm(composition) for composition in recipe.compositions)
    return Plan(test, training, populations, parents, arms, oracle())


def _load_population(concept: Concept, run: Run) -> Population:
    population = concept.models.load(concept.name, run)
    if concept.outputs is None or first_fault(concept.models, population, (), None):
        return population  # the engine looks at it and says what is wrong
    count = population.weights[f"{population.architecture.head}.weight"].shape[1]
    beyond = [output for output in concept.outputs if output >= count]
    if beyond:
        raise ComposerError(
            f"concepts.{concept.name}.classes: the models have outputs 0 to {count - 1}, not {beyond[0]}"
        )
    return replace(population, outputs=concept.outputs)


def _translate(translator: Any, *kernels_and_run: Any) -> KernelSet:
    *kernels, run = kernels_and_run
    translated: KernelSet = translator.translate(kernels, run)
    return translated


def _assemble(assembler: Any, with_kernels: bool, *inputs_and_run: Any) -> ComposedModel:
    *inputs, run = inputs_and_run
    kernels, parents = (inputs[0], inputs[1:]) if with_kernels else (None, inputs)
    model: ComposedModel = assembler.assemble(kernels, parents, run)
    return model


class Engine:
    """Computes steps, or reads their results from the cache, and tells the watchers.

    draws: whether figures are drawn, which takes longer than many a stage.
    """

    def __init__(
        self, cache: StageCache, device: str, registry: Registry, fresh: bool = False, draws: bool = True
    ) -> None:
        self.cache = cache
        self.draws = draws
        self.device = device
        self.registry = registry
        self.hook = Watchers(registry)
        self.fresh = fresh
        self.before = cache.last()
        self.results: dict[str, Value] = {}
        self.finished: dict[str, Stage] = {}
        self.identities: dict[str, dict[str, Any]] = {}

    def result(self, step: Step) -> Any:
        """The step's result, from memory, from the cache, or computed now."""
        if step.key not in self.results:
            kept = self._kept(step)
            self.results[step.key] = self._computed(step) if kept is None else kept
        return self.results[step.key]

    def forget(self, step: Step) -> None:
        """Lets go of a result in memory; the cache still has it."""
        self.results.pop(step.key, None)

    def warnings(self, plan: Plan) -> list[str]:
        """What the stages of a finished plan warned of, now or when they were computed."""
        found = []
        for step in plan.steps():
            facts = self.cache.facts(step.name, step.key) or {}
            found += [f"{step.title}: {message}" for message in facts.get("warnings", ())]
        return found

    def measured(self, step: Step) -> dict[str, list[float]]:
        """What a step measured on the way when it was computed, a value per member."""
        measured: dict[str, list[float]] = (self.cache.facts(step.name, step.key) or {}).get("measured", {})
        return measured

    def _kept(self, step: Step) -> Value | None:
        made_now = step.key in self.finished
        if self.fresh and not made_now:
            return None
        started = time.perf_counter()
        value = self.cache.load(step.name, step.key)
        if value is None:
            return None
        if not made_now:
            stage = Stage(step.name, step.subject, "kept", seconds=time.perf_counter() - started)
            self._finish(step, stage)
        return value

    def _computed(self, step: Step) -> Value:
        inputs = [self.result(other) for other in step.inputs]
        pictures = tuple(self.result(other) for other in step.pictures)
        kernels = tuple(self.result(other) for other in step.kernels)
        stage = Stage(step.name, step.subject, reason=self._reason(step))
        self.hook.composer_stage_started(stage=stage)

        def progress(what: str, done: int, total: int) -> None:
            self.hook.composer_stage_progress(stage=stage, what=what, done=done, total=total)

        run = Run(step.seed, self.device, pictures, kernels, progress)
        started = time.perf_counter()
        try:
            value = self._worked(step, inputs, run)
            seconds = time.perf_counter() - started
            facts = {
                "identity": step.identity,
                "subject": step.subject,
                "device": self.device,
                "seconds": round(seconds, 3),
                "warnings": run.warnings,
                "measured": run.measured,
            }
            self.cache.store(step.name, step.key, value, facts, run.figures if self.draws else {})
        except (ComposerError, PluginError) as error:
            self._finish(step, replace(stage, status="failed", seconds=time.perf_counter() - started))
            raise told(error, step.title) from (error.__cause__ or error)
        if isinstance(value, Images):
            value.folder = self.cache.path(step.name, step.key)
        memory = peak_memory()
        self._finish(step, replace(stage, status="computed", seconds=seconds, peak_memory=memory))
        return value

    def _worked(self, step: Step, inputs: Sequence[Value], run: Run) -> Value:
        """What a component makes, looked at; PluginError for what it raises that is no ComposerError."""
        try:
            with overhearing() as overheard, noting_writes(self.cache.folder.parent) as written:
                value = step.work(*inputs, run)
        except (ComposerError, KeyboardInterrupt):
            raise
        except BaseException as error:  # a component that calls sys.exit() is broken too
            raise PluginError(f"this is {self.registry.bug(error, step.component)}") from error
        plugin = self.registry.offering(type(step.component)) or f"the component {step.component.name!r}"
        fault = first_fault(step.component, value, inputs, step.split) if step.verb else None
        if fault:
            raise ComposerError(f"{plugin} returned {fault}")
        for fault in run_faults(run):
            raise ComposerError(f"{plugin} {fault}")
        for file in written:
            run.warn(f"{plugin} wrote {file}, which is outside the run's folder; run.figure() and results are kept")
        if overheard.beginning.strip():
            run.warn(f"{plugin} printed, which only the command should: {overheard.beginning.strip()!r}")
        return value

    def _finish(self, step: Step, stage: Stage) -> None:
        self.finished[step.key] = stage
        self.identities[step.title] = step.identity
        self.hook.composer_stage_finished(stage=stage)

    def _reason(self, step: Step) -> str:
        """Why a step has to be computed, by what the run before made it from."""
        if self.fresh:
            return "asked for afresh"
        before = self.before.get(step.title)
        if before is None:
            return "new"
        changed = [part for part, value in step.identity.items() if before.get(part) != value]
        return f"changed: {', '.join(changed)}" if changed else "not kept"


def peak_memory() -> int:
    """Bytes of memory that this process held at its fullest; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows has no such figure
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


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
    report = output.report(recipe, engine.result(plan.test), arms, parents, engine.warnings(plan))
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


def told(error: ComposerError | PluginError, where: str) -> ComposerError | PluginError:
    """The error that says where it arose."""
    kind = PluginError if isinstance(error, PluginError) else ComposerError
    return kind(f"{where}: {error}")


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
