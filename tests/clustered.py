"""What the tests of clusters share: pictures, a model of untrained networks, and a keeper in memory."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from composer import ComposedModel
from tiny import tiny_images, tiny_population

IMAGES = tiny_images(per_cell=8)


def model() -> ComposedModel:
    population = tiny_population()
    return ComposedModel((population,), population.members)


class Memory:
    """A keeper of tensors that counts."""

    def __init__(self) -> None:
        self.tensors: dict[str, Mapping[str, Tensor]] = {}

    def kept(self, name: str) -> Mapping[str, Tensor] | None:
        return self.tensors.get(name)

    def keep(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        self.tensors[name] = tensors
