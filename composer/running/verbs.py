"""What steps do: each function takes a step, the values of its inputs and a `Run`, and returns the step's value."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from composer.bodies.alignment import aligned
from composer.data.composed import ComposedModel
from composer.data.expressions import Expression
from composer.data.facts import Facts
from composer.data.images import Images
from composer.data.kernels import KernelSet
from composer.data.population import Population
from composer.data.run import Run
from composer.data.scores import Pick, Report
from composer.errors import ComposerError
from composer.judging import oracle, parents, picking
from composer.running.boundary import first_fault
from composer.running.step import Step


def pictures(step: Step, _: Sequence[Any], run: Run) -> Images:
    """Loads the pictures of a split; where all concepts are labelled, with what is asked for."""
    source: Any = step.component
    images: Images = source.load(step.split, run)
    if step.split is None or step.split.concept is not None or first_fault(source, images, (), step.split):
        return images
    return images.asked_for(step.split.target)


def population(step: Step, _: Sequence[Any], run: Run) -> Population:
    """Trains or reads a concept's models, with the outputs that the recipe's `classes` say."""
    models: Any = step.component
    return _with_outputs(step, models.load(step.about["concept"], run))


def population_group(step: Step, _: Sequence[Any], run: Run) -> Population:
    """Trains or reads some members of a concept's models."""
    models: Any = step.component
    found: Population = models.load_group(step.about["concept"], range(*step.about["members"]), run)
    return found


def joined_population(step: Step, inputs: Sequence[Any], run: Run) -> Population:
    """Puts a concept's groups of members together."""
    return _with_outputs(step, Population.joined(inputs))


def _with_outputs(step: Step, found: Population) -> Population:
    """The population with the outputs that the recipe's `classes` say."""
    models: Any = step.component
    concept, outputs = step.about["concept"], step.about["outputs"]
    if outputs is None or first_fault(models, found, (), None):
        return found  # a fault is found again, and said, by whoever looks at the result
    count = found.weights[f"{found.architecture.head}.weight"].shape[1]
    beyond = [output for output in outputs if output >= count]
    if beyond:
        raise ComposerError(f"concepts.{concept}.classes: the models have outputs 0 to {count - 1}, not {beyond[0]}")
    if models.class_names() is None and found.outputs not in ((), tuple(outputs)):
        raise ComposerError(
            f"concepts.{concept}.classes: say outputs {outputs}, and the models themselves say "
            f"{list(found.outputs)}; leave one of them out"
        )
    return replace(found, outputs=tuple(outputs))


def trained_oracle(step: Step, _: Sequence[Any], run: Run) -> Population:
    """Trains a network on labelled pictures of the target."""
    models: Any = step.component
    return oracle.train_oracle(models, step.about["concept"], run)


def judged_parent(_: Step, inputs: Sequence[Any], run: Run) -> Report:
    """Judges how well a parent knows its own concept, and how much of the test pictures its training pictures cover."""
    parent, images = inputs
    return parents.judge_parent(parent, images, run)


def alone(_: Step, inputs: Sequence[Any], run: Run) -> ComposedModel:
    """Takes one population for a model of the target."""
    return oracle.alone(inputs[0], run)


def aligned_parent(_: Step, inputs: Sequence[Any], run: Run) -> Population:
    """Puts the units of a parent's members in the order of those of a reference."""
    population: Population
    population, reference = inputs
    changed: Population = aligned(population, reference, population.architecture)
    return changed


def extracted(step: Step, inputs: Sequence[Any], run: Run) -> KernelSet:
    """Takes the kernels out of a population."""
    extractor: Any = step.component
    kernels: KernelSet = extractor.extract(inputs[0], run)
    return kernels


def translated(step: Step, inputs: Sequence[Any], run: Run) -> KernelSet:
    """Makes kernels of the target out of the parents'."""
    translator: Any = step.component
    kernels: KernelSet = translator.translate(list(inputs), run)
    return kernels


def learned(step: Step, inputs: Sequence[Any], run: Run) -> Facts:
    """Learns from networks of other concepts, for `assembled`."""
    assembler: Any = step.component
    groups, names = step.about["groups"], step.about["concepts"]
    known, shown = (dict(zip(names, values, strict=True)) for values in (inputs, run.pictures))
    zoo = [[known[name] for name in group] for group in groups]
    pictures = tuple(shown[name] for group in groups for name in group)
    return Facts(dict(assembler.learn(zoo, replace(run, pictures=pictures))))


def assembled(step: Step, inputs: Sequence[Any], run: Run) -> ComposedModel:
    """Makes a model of the target out of the parents, and of translated kernels where there are any."""
    assembler: Any = step.component
    with_kernels = isinstance(inputs[0], KernelSet)
    kernels, models = (inputs[0], list(inputs[1:])) if with_kernels else (None, list(inputs))
    target = Expression.parse(step.about["target"])
    model: ComposedModel = assembler.assemble(kernels, models, replace(run, target=target))
    if first_fault(assembler, model, inputs, None):
        return model  # whoever looks at the result says what is wrong
    return model.answering(target)


def picked(step: Step, inputs: Sequence[Any], run: Run) -> Pick:
    """Picks the member of a model that people get, without labels."""
    criterion: Any = step.component
    model, images = inputs
    return picking.pick_member(criterion, model, images, run)


def evaluated(step: Step, inputs: Sequence[Any], run: Run) -> Report:
    """Judges a model on pictures; every score is completed with the model's pick."""
    evaluator: Any = step.component
    model, images, pick = inputs
    report: Report = evaluator.evaluate(model, images, replace(run, picked=pick.member))
    if first_fault(evaluator, report, inputs, None):
        return report  # whoever looks at the result says what is wrong
    return Report({name: pick.completed(score) for name, score in report.scores.items()})
