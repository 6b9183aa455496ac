"""The oracle: what a network of the same architecture learns from labelled pictures of the target.

No composition sees these pictures: they are a stage of their own, and the oracle is all that is trained on it.
"""

from __future__ import annotations

from dataclasses import replace

from composer.data.composed import ComposedModel
from composer.data.population import Population
from composer.data.run import Run
from composer.interfaces import ModelSource


def train_oracle(models: ModelSource, target: str, run: Run) -> Population:
    """A population that knows the target, from `run.pictures[0]` with labels of every concept."""
    (pictures,) = run.pictures
    return models.load(target, replace(run, pictures=(pictures.as_one_concept(target),)))


def alone(population: Population, run: Run) -> ComposedModel:
    """One population as a model of the target, all of it."""
    return ComposedModel((population,), population.members)
