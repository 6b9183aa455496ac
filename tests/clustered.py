"""What the tests of clusters share: pictures, a model of untrained networks, and a keeper in memory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from composer import ComposedModel
from composer_clustering import Tuned
from tiny import tiny_images, tiny_population

IMAGES = tiny_images(per_cell=8)
Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
OBJECTIVES = ("stability", "dbcv", "silhouette", "davies_bouldin")


def model() -> ComposedModel:
    population = tiny_population()
    return ComposedModel((population,), population.members)


def tuned_by_stability(**options: Any) -> Tuned:
    """A search for which no parent is asked."""
    return Tuned(**{"objective": "stability", **options})


def groups(apart: float = 8, each: int = 15, seed: int = 0) -> Floats:
    """Three clear groups of pictures in four dimensions."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(each, 4)) + apart * np.eye(4)[group] for group in range(3)])


class Memory:
    """A keeper of tensors that counts."""

    def __init__(self) -> None:
        self.tensors: dict[str, Mapping[str, Tensor]] = {}

    def kept(self, name: str) -> Mapping[str, Tensor] | None:
        return self.tensors.get(name)

    def keep(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        self.tensors[name] = tensors
