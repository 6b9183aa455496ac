"""The plan of a recipe: its stages, what each needs, and under which key its result is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from composer.component import Component
from composer.composed import ComposedModel
from composer.data.expressions import Expression
from composer.errors import ComposerError
from composer.images import Images
from composer.interfaces import Evaluator, Split
from composer.judging import gain
from composer.judging.oracle import alone, train_oracle
from composer.judging.parents import judge_parent
from composer.kernels import KernelSet
from composer.population import Population
from composer.recipes.contracts import log_odds_needed
from composer.recipes.recipe import Composition, Concept, Recipe, why_no_oracle
from composer.run import Run
from composer.running.boundary import first_fault
from composer.running.cache import component_identity, digest, stage_seed
from composer.running.code import core_digest
from composer.running.storage import Value
from composer.runs import sealing
from composer.version import __version__


@dataclass(frozen=True, eq=False)
class Step:
    """One stage of the plan: a component at work on the results of other steps.

    name decides the seed; subject is what the result is for, and says it to people.
    about: what the work is told beside its inputs. files: those it reads, where the component's own list is
    too long. pictures, kernels: steps whose results `run.pictures` and `run.kernels` hold. split: which pictures an
    image source is asked for.
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
    split: Split | None = None
    verb: bool = True

    @property
    def seed(self) -> int:
        return stage_seed(self.recipe_seed, self.name)

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

    test: Step | None
    """The test pictures; None where a recipe has none, and nothing is judged."""
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

        test = () if self.test is None else (self.test,)
        made = [step for arm in self.arms for step in (arm.model, *arm.reports.values())]
        beside = (self.oracle.report, *self.oracle.parents.values()) if self.oracle else ()
        for last in (*test, *self.parents.values(), *made, *beside):
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
        about = {**source.decided_by(split), **({} if split.concept else {"target": split.target.text})}
        files = tuple(source.split_files(split))
        work = partial(_load_pictures, source, split)
        return step(name, str(split), source, work, about=about, files=files, split=split)

    def population(concept: Concept) -> Step:
        own = (training[concept.name],) if concept.models.contract.pictures != "none" else ()
        work = partial(_load_population, concept, log_odds_needed(recipe, concept.name))
        about = {"concept": concept.name, "outputs": concept.outputs and list(concept.outputs)}
        return step(f"population.{concept.name}", concept.name, concept.models, work, pictures=own, about=about)

    def shown(component: Component, composition: Composition) -> tuple[Step, ...]:
        needed = component.terms.pictures != "none"
        return tuple(training[name] for name in composition.parents) if needed else ()

    def arm(composition: Composition) -> Arm:
        parents = tuple(populations[name] for name in composition.parents)
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
            seen = shown(translator, composition)
            work = partial(_translate, translator)
            kernels = step(f"translate.{translator.name}", subject, translator, work, inputs=extracted, pictures=seen)
        seen = shown(assembler, composition)
        inputs = parents if kernels is None else (kernels, *parents)
        assemble = partial(_assemble, assembler, recipe.target, kernels is not None)
        name, about = f"assemble.{assembler.name}", {"target": recipe.target.text}
        model = step(name, subject, assembler, assemble, inputs=inputs, pictures=seen, about=about)

        def judged(label: str, evaluator: Evaluator, test: Step) -> Step:
            seen = extracted if evaluator.contract.kernels else ()
            inputs = (model, test)
            return step(f"evaluate.{label}", subject, evaluator, evaluator.evaluate, inputs=inputs, kernels=seen)

        reports = {} if test is None else {name: judged(name, one, test) for name, one in recipe.evaluators.items()}
        return Arm(composition, model, kernels, reports)

    def oracle() -> OracleSteps | None:
        evaluator = recipe.evaluators.get(gain.EVALUATOR)
        if not recipe.oracle or evaluator is None or why_no_oracle(recipe) or recipe.images is None or test is None:
            return None
        split = replace(recipe.split(), labelled=True)
        models, target = recipe.concepts[-1].models, str(split.target)
        labelled = pictures(recipe.images, split)
        work = partial(train_oracle, models, target)
        about = {"concept": target}
        trained = step(f"population.{target}", target, models, work, pictures=(labelled,), about=about)

        def judged(concept: str, component: Component, known: Step, test: Step = test) -> Step:
            model = step(f"alone.{concept}", concept, component, alone, inputs=(known,), files=(), verb=False)
            name = f"evaluate.{gain.EVALUATOR}"
            return step(name, f"{concept} alone", evaluator, evaluator.evaluate, inputs=(model, test))

        parents = {one.name: judged(one.name, one.models, populations[one.name]) for one in recipe.concepts}
        return OracleSteps(trained, judged(target, models, trained), parents)

    test = None if recipe.images is None else pictures(recipe.images, recipe.split())
    training = {
        concept.name: pictures(concept.images, recipe.split(concept.name))
        for concept in recipe.concepts
        if concept.images is not None
    }
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
        if test is not None
    }
    arms = tuple(arm(composition) for composition in recipe.compositions)
    return Plan(test, training, populations, parents, arms, oracle())


def _load_pictures(source: Any, split: Split, run: Run) -> Images:
    """The pictures of a split; where all concepts are labelled, with what is asked for."""
    images: Images = source.load(split, run)
    if split.concept is not None or first_fault(source, images, (), split):
        return images
    return images.asked_for(split.target)


def _load_population(concept: Concept, log_odds: bool, run: Run) -> Population:
    """The concept's models, with the outputs that the recipe's `classes` say; log_odds: whether these are needed."""
    population = concept.models.load(concept.name, run)
    if first_fault(concept.models, population, (), None):
        return population  # the engine looks at it and says what is wrong
    if concept.outputs is None:
        if log_odds and not population.has_head:
            raise ComposerError(population.why_no_log_odds)
        return population
    count = population.weights[f"{population.architecture.head}.weight"].shape[1]
    beyond = [output for output in concept.outputs if output >= count]
    if beyond:
        raise ComposerError(
            f"concepts.{concept.name}.classes: the models have outputs 0 to {count - 1}, not {beyond[0]}"
        )
    if concept.models.class_names() is None and population.outputs not in ((), concept.outputs):
        raise ComposerError(
            f"concepts.{concept.name}.classes: say outputs {list(concept.outputs)}, and the models themselves say "
            f"{list(population.outputs)}; leave one of them out"
        )
    return replace(population, outputs=concept.outputs)


def _translate(translator: Any, *kernels_and_run: Any) -> KernelSet:
    *kernels, run = kernels_and_run
    translated: KernelSet = translator.translate(kernels, run)
    return translated


def _assemble(assembler: Any, target: Expression, with_kernels: bool, *inputs_and_run: Any) -> ComposedModel:
    *inputs, run = inputs_and_run
    kernels, parents = (inputs[0], inputs[1:]) if with_kernels else (None, inputs)
    model: ComposedModel = assembler.assemble(kernels, parents, run)
    if first_fault(assembler, model, inputs, None):
        return model  # the engine looks at it and says what is wrong
    return model.answering(target)
