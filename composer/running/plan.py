"""The plan of a recipe: its steps, and what each needs."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any

from composer.component import Component
from composer.data.expressions import cell_name
from composer.data.facts import Facts
from composer.data.run import Run
from composer.interfaces import Assembler, Evaluator, Split
from composer.judging import gain
from composer.judging.declared import declared_scores
from composer.recipes.contracts import log_odds_needed
from composer.recipes.recipe import Composition, Concept, Recipe, why_no_oracle
from composer.running import sealing
from composer.running.step import Step, in_order

VERBS = "composer.running.verbs"
Gather = Callable[[Step, Sequence[Any], Run], Facts]
"""A verb that gathers what is shown of a composition; whoever shows it stands above, and hands it in."""


@dataclass(frozen=True)
class Arm:
    """The steps of one composition."""

    composition: Composition
    model: Step
    kernels: Step | None
    pick: Step | None
    """Which of its members people get; None without pictures."""
    reports: Mapping[str, Step]
    page: Step | None
    """Gathers what the page shows of it; None where there is to be none."""


@dataclass(frozen=True)
class OracleSteps:
    """A network trained on labelled target pictures, judged, and the parents judged alone as it is.

    score: what composition gain is measured in, `LABEL.NAME`.
    """

    score: str
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
        return in_order(self._last())

    def _last(self) -> Iterator[Step]:
        if self.test is not None:
            yield self.test
        yield from self.parents.values()
        for arm in self.arms:
            yield arm.model
            if arm.pick is not None:
                yield arm.pick
            yield from arm.reports.values()
        if self.oracle is not None:
            yield from (self.oracle.report, *self.oracle.parents.values())
        yield from (arm.page for arm in self.arms if arm.page is not None)

    def inputs(self) -> dict[str, str]:
        """Every file that the steps read -> sha256 of its content."""
        files = {file for step in self.steps() for file in step.read_files}
        return {str(file.absolute()): sealing.file_digest(file) for file in sorted(files)}


def make_plan(recipe: Recipe, gather: Gather | None = None) -> Plan:
    """The steps that a recipe asks for; two compositions that share a step share its result.

    gather: the verb of the steps that gather what the page shows, a function that its module names; none, no such step.
    """
    maker = _Maker(recipe, gather)
    parents = maker.parents()
    arms = tuple(maker.arm(composition) for composition in recipe.compositions)
    return Plan(maker.test, maker.training, maker.populations, parents, arms, maker.oracle())


class _Maker:
    """Makes the steps of one recipe, each once."""

    def __init__(self, recipe: Recipe, gather: Gather | None) -> None:
        self.recipe = recipe
        self.gather = gather
        self.known: dict[str, Step] = {}
        self.test = None if recipe.images is None else self.pictures(recipe.images, recipe.split())
        self.training = {
            concept.name: self.pictures(concept.images, recipe.split(concept.name))
            for concept in recipe.concepts
            if concept.images is not None
        }
        self.populations = {
            concept.name: self.population(concept, self.training.get(concept.name)) for concept in recipe.concepts
        }

    def step(self, name: str, subject: str, component: Component, verb: str, **rest: Any) -> Step:
        """A step, or the one of the same key that was made before."""
        at = verb if ":" in verb else f"{VERBS}:{verb}"
        made = Step(name, subject, component, at, self.recipe.seed, **rest)
        return self.known.setdefault(made.key, made)

    def pictures(self, source: Any, split: Split) -> Step:
        about = {**source.decided_by(split), **({} if split.concept else {"target": split.target.text})}
        files = tuple(source.split_files(split))
        return self.step(f"images.{split}", str(split), source, "pictures", about=about, files=files, split=split)

    def population(self, concept: Concept, shown: Step | None) -> Step:
        own = (shown,) if shown is not None and concept.models.contract.pictures != "none" else ()
        about = {"concept": concept.name, "outputs": concept.outputs and list(concept.outputs)}
        needed = log_odds_needed(self.recipe, concept.name)
        name = f"population.{concept.name}"
        rest: dict[str, Any] = {"pictures": own, "log_odds": needed}
        groups = concept.models.groups()
        if len(groups) < 2:
            return self.step(name, concept.name, concept.models, "population", about=about, **rest)
        parts = tuple(self.group(name, concept, members, **rest) for members in groups)
        rest |= {"about": about, "inputs": parts, "joins": True}
        return self.step(name, concept.name, concept.models, "joined_population", **rest)

    def group(self, name: str, concept: Concept, members: range, **rest: Any) -> Step:
        """Some members of a population: of its name, and so of its seed."""
        about = {"concept": concept.name, "members": [members.start, members.stop]}
        subject = f"{concept.name} {members.start}-{members[-1]}"
        return self.step(name, subject, concept.models, "population_group", about=about, **rest)

    def parents(self) -> dict[str, Step]:
        """How well each population knows its own concept, where there are test pictures."""
        if self.test is None:
            return {}
        found = {}
        for concept in self.recipe.concepts:
            name, inputs = concept.name, (self.populations[concept.name], self.test)
            # Of a concept that the target negates it is looked at what its "no" was learned on.
            seen = (self.training[name],) if name in self.recipe.target.negated and name in self.training else ()
            found[name] = self.step(
                f"parent.{name}",
                name,
                concept.models,
                "judged_parent",
                inputs=inputs,
                pictures=seen,
                files=(),
                own=False,
            )
        return found

    def shown(self, component: Component, parents: Sequence[str]) -> tuple[Step, ...]:
        """The parents' own pictures, where a component asks for them."""
        needed = component.terms.pictures != "none"
        return tuple(self.training[name] for name in parents) if needed else ()

    def arm(self, composition: Composition) -> Arm:
        translator, assembler = composition.translator, composition.assembler
        subject = composition.name
        parents = tuple(self.populations[name] for name in composition.parents)
        if translator is not None and translator.aligns:
            parents = self.aligned(composition, parents)
        extracted = () if translator is None else self.extracted(composition, parents)
        kernels = None
        if translator is not None:
            seen = self.shown(translator, composition.parents)
            name = f"translate.{translator.name}"
            whole = parents if translator.terms.populations else ()
            kernels = self.step(name, subject, translator, "translated", inputs=extracted, pictures=seen, parents=whole)
        model = self.step(
            f"assemble.{assembler.name}",
            subject,
            assembler,
            "assembled",
            inputs=parents if kernels is None else (kernels, *parents),
            pictures=self.shown(assembler, composition.parents),
            learned=self.learned(assembler),
            about={"target": self.recipe.target.text},
        )
        if self.test is None:
            return Arm(composition, model, kernels, None, {}, self.page(composition, (model,), {}))
        pick = self.picked(subject, subject, model, self.test)
        inputs = (model, self.test, pick)
        reports = {
            label: self.evaluated(label, subject, evaluator, inputs, composition.parents, extracted)
            for label, evaluator in self.recipe.evaluators.items()
        }
        return Arm(composition, model, kernels, pick, reports, self.page(composition, inputs, reports))

    def learned(self, assembler: Assembler) -> Step | None:
        """What an assembler learns from networks of other concepts, made as those of the last concept are."""
        groups = assembler.learns_from()
        if not groups or self.recipe.images is None:
            return None
        names = list(dict.fromkeys(chain.from_iterable(groups)))
        shown = {name: self.pictures(self.recipe.images, self.recipe.split(name)) for name in names}
        models = self.recipe.concepts[-1].models
        known = [self.population(Concept(name, self.recipe.images, models), shown[name]) for name in names]
        return self.step(
            f"learn.{assembler.name}",
            ", ".join(map(cell_name, groups)),
            assembler,
            "learned",
            inputs=tuple(known),
            pictures=tuple(shown.values()),
            about={"groups": [list(group) for group in groups], "concepts": names},
            own=False,
        )

    def aligned(self, composition: Composition, parents: tuple[Step, ...]) -> tuple[Step, ...]:
        """The parents' members with their units in the order of those of the first parent's first member."""
        rest: dict[str, Any] = {"files": (), "own": False}
        return tuple(
            self.step(f"aligned.{name}", name, parent.component, "aligned_parent", inputs=(parent, parents[0]), **rest)
            for name, parent in zip(composition.parents, parents, strict=True)
        )

    def extracted(self, composition: Composition, parents: tuple[Step, ...]) -> tuple[Step, ...]:
        extractor = self.recipe.extractor
        named = zip(composition.parents, parents, strict=True)
        return tuple(
            self.step(f"kernels.{name}", name, extractor, "extracted", inputs=(parent,)) for name, parent in named
        )

    def picked(self, name: str, subject: str, model: Step, test: Step) -> Step:
        """Which member of a model people get."""
        return self.step(f"pick.{name}", subject, self.recipe.pick, "picked", inputs=(model, test))

    def evaluated(
        self,
        label: str,
        subject: str,
        evaluator: Evaluator,
        inputs: tuple[Step, ...],
        parents: Sequence[str],
        kernels: tuple[Step, ...] = (),
    ) -> Step:
        """What an evaluator says of a model; inputs: the model, the test pictures, and the model's pick."""
        return self.step(
            f"evaluate.{label}",
            subject,
            evaluator,
            "evaluated",
            inputs=inputs,
            pictures=self.shown(evaluator, parents),
            kernels=kernels if evaluator.contract.kernels else (),
            parents=tuple(self.populations[name] for name in parents) if evaluator.terms.populations else (),
        )

    def page(self, composition: Composition, judged: tuple[Step, ...], reports: Mapping[str, Step]) -> Step | None:
        if self.gather is None:
            return None
        model, test = judged[0], self.test
        about = {
            "labels": list(reports),
            "declared": {name: info.facts() for name, info in declared_scores(self.recipe.evaluators).items()},
            "control": composition.control,
            "seed": model.seed if test is None else test.seed,
            "code": sealing.file_digest(Path(inspect.getfile(self.gather))),
        }
        inputs = (*judged, *reports.values())
        subject, verb = composition.name, f"{self.gather.__module__}:{self.gather.__qualname__}"
        return self.step("page", subject, composition.assembler, verb, inputs=inputs, about=about, files=(), own=False)

    def oracle(self) -> OracleSteps | None:
        recipe, test = self.recipe, self.test
        measured_in = gain.measured_in(recipe.evaluators)
        if not recipe.oracle or measured_in is None or why_no_oracle(recipe) or recipe.images is None or test is None:
            return None
        label = measured_in.partition(".")[0]
        split = replace(recipe.split(), labelled=True)
        models, target = recipe.concepts[-1].models, str(split.target)
        labelled = self.pictures(recipe.images, split)
        name, about = f"population.{target}", {"concept": target}
        trained = self.step(name, target, models, "trained_oracle", pictures=(labelled,), about=about)

        def judged(concept: str, component: Component, known: Step) -> Step:
            model = self.step(f"alone.{concept}", concept, component, "alone", inputs=(known,), files=(), own=False)
            subject = f"{concept} alone"
            inputs = (model, test, self.picked(concept, subject, model, test))
            return self.evaluated(label, subject, recipe.evaluators[label], inputs, recipe.names)

        parents = {one.name: judged(one.name, one.models, self.populations[one.name]) for one in recipe.concepts}
        return OracleSteps(measured_in, trained, judged(target, models, trained), parents)
