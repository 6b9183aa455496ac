"""A handful of labelled pictures, and untrained parents, for tests of what labels are good for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from composer import ComposedModel, Population, auc
from composer_cnn import CNN
from tiny import tiny_images, tiny_population

IMAGES = tiny_images(per_cell=30, seed=5)
"""Labelled pictures are of the first 80, tests of the last 40."""
TEST = IMAGES.select(range(80, 120))


def written(folder: Path, count: int) -> Path:
    """A folder of `count` pictures of each kind."""
    for answer, kind in (("yes", True), ("no", False)):
        (folder / answer).mkdir(parents=True)
        for index in np.flatnonzero(IMAGES.target[:80] == kind)[:count]:
            pixels = IMAGES.at(16)[index].permute(1, 2, 0).numpy()
            Image.fromarray(pixels).save(folder / answer / f"{index}.png")
    return folder


def parent(concept: str, members: int = 2, architecture: CNN | None = None) -> Population:
    """Untrained networks."""
    seed = {"black": 0, "cat": 1}[concept]
    return tiny_population(concept, members, seed, architecture or CNN(filters=(4, 6), size=16))


def turned(population: Population) -> Population:
    """The same networks, which say the opposite."""
    head = {name: -population.weights[name] for name in ("fc1.weight", "fc1.bias")}
    return replace(population, weights={**population.weights, **head}, _memo={})


PARENTS = (parent("black"), parent("cat"))


def ranked(model: ComposedModel) -> float:
    return float(auc(model.log_odds(TEST).double().numpy(), TEST.target).mean())
