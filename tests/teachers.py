"""Parents that know black and cats in pictures made here, and students that they teach."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray

from composer import (
    ComposedModel,
    Images,
    Population,
    Preprocessing,
    Run,
)
from composer_cnn import CNN
from composer_training import Distil
from tiny import tiny_images, training_images

SMALL, LARGE = CNN(filters=(2, 2), size=24), CNN(filters=(6, 8), size=24)
IMAGES = tiny_images(per_cell=20, size=24)


class Secret(dict[str, NDArray[np.bool_]]):
    """Labels that nobody may look at."""

    def __getitem__(self, concept: str) -> NDArray[np.bool_]:
        raise AssertionError("a student looked at a label")

    def items(self) -> NoReturn:
        raise AssertionError("a student looked at the labels")

    values = items


OTHERS = training_images("black", 80, 24, seed=9)
"""Pictures as the students learn from, and others."""


def clear(concept: str) -> Population:
    """Two networks that see how bright a ninth of the picture is, and know black by all of it and cats by a corner."""
    light = torch.zeros(2, 3, 3)
    if concept == "black":
        light -= 1
    else:
        light[:, 0, 0], light[:, 2, 2] = 1, -1
    weights = {
        "conv1.weight": torch.full((2, 2, 3, 5, 5), 1 / 75),
        "conv1.bias": torch.ones(2, 2),
        "conv2.weight": torch.full((2, 2, 2, 5, 5), 1 / 50),
        "conv2.bias": torch.zeros(2, 2),
        "fc1.weight": torch.stack([light.flatten(), torch.zeros(18)]).expand(2, -1, -1),
        "fc1.bias": torch.zeros(2, 2),
    }
    parent = Population(concept, SMALL, weights, (f"{concept} 0", f"{concept} 1"), Preprocessing(24))
    said = parent.log_odds(IMAGES)
    scale = float(3 / said.std())
    bias = torch.tensor([-float(said.mean()), 0.0]).expand(2, -1)
    head = {"fc1.weight": weights["fc1.weight"] * scale, "fc1.bias": bias * scale}
    return replace(parent, weights={**weights, **head}, _memo={})


def opposite_members(parent: Population) -> Population:
    """The second member says the opposite of the first."""
    sign = torch.tensor([1.0, -1.0])
    head = {"fc1.weight": sign[:, None, None], "fc1.bias": sign[:, None]}
    weights = {name: tensor * head.get(name, 1.0) for name, tensor in parent.weights.items()}
    return replace(parent, weights=weights, _memo={})


PARENTS = [clear("black"), clear("cat")]


def pictures(count: int = 80) -> tuple[Images, ...]:
    shown = tuple(training_images(concept, count, 24) for concept in ("black", "cat"))
    for images in shown:
        images.labels = Secret(images.labels)
    return shown


def taught(parents: list[Population] = PARENTS, seed: int = 4, **options: object) -> tuple[ComposedModel, Run]:
    run = Run(seed=seed, pictures=pictures())
    settings: dict[str, Any] = {"architecture": LARGE, "steps": 150, "batch": 32, "flip": False, **options}
    return Distil(**settings).assemble(None, parents, run), run


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(np.corrcoef(one.flatten().numpy(), other.flatten().numpy())[0, 1])
