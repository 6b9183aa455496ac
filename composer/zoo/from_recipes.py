"""Concepts that a recipe's parents know, taken out of the store or made as the recipe says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from composer.data.images import Images
from composer.data.population import Population
from composer.errors import ComposerError
from composer.pipeline import opened
from composer.recipes.recipe import Recipe
from composer.registry import Registry
from composer.running.engine import Engine
from composer.running.outcome import choose_device
from composer.running.plan import make_plan
from composer.running.step import Step
from composer.zoo.learning import described, judged
from composer.zoo.writing import Entry


def parents_of(
    recipe: Recipe, registry: Registry, device: str = "auto", store: Path | None = None
) -> Iterator[tuple[Entry, list[str]]]:
    """Each of a recipe's concepts as an entry, with what its stage warned of.

    Test pictures say how well each is known; where the recipe has none, what the model source measured on training
    pictures that it held out.
    """
    plan = make_plan(recipe)
    with opened(store) as stages:
        engine = Engine(stages, choose_device(device), registry)
        for concept in recipe.concepts:
            step = plan.populations[concept.name]
            population: Population = engine.result(step)
            if not population.has_head:
                raise ComposerError(f"{recipe.path}: concepts.{concept.name}: {population.why_no_log_odds}")
            entry = _judged(engine, step, population, plan.test)
            facts = [engine.cache.facts(maker.name, maker.key) or {} for maker in step.makers]
            source = f"{described(concept.models)}, as {recipe.name} says (seed {recipe.seed})"
            kind = {} if concept.images is None else concept.images.vocabulary()
            made = replace(entry, source=source, kind=kind.get(concept.name))
            yield made, [message for each in facts for message in each.get("warnings", ())]
            engine.forget(step)


def _judged(engine: Engine, step: Step, population: Population, test: Step | None) -> Entry:
    if test is not None:
        images: Images = engine.result(test)
        shown = images.labels[population.concept]
        if shown.any() and not shown.all():
            own = Images(images.names, {population.concept: shown}, images.at(population.preprocessing.size))
            return judged(population, own, engine.device)
    values = engine.measured(step).get("held_out_auc")
    if not values:
        return Entry(population)
    seen: Images = engine.result(step.pictures[0])
    return Entry(population, auc=median(values), pictures=len(seen))
