"""Which weights of a population are its kernels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from composer import Component, Contract, KernelExtractor, Run, hook

if TYPE_CHECKING:
    from composer import KernelSet, Population


LAYERS: tuple[str, ...] | None = Field(
    None, min_length=1, description="layers to take, by their names in the network (default: all, in network order)"
)


class Convolutions(KernelExtractor):
    """The weights of 2-D convolutions, or of the linear layers below the head where a network has no convolution.

    Grouped convolutions are left out: their kernels see only a part of the channels. A linear layer's
    weights are given as 1x1 kernels.
    """

    name = "convolutions"
    contract = Contract(architecture="any")

    layers: tuple[str, ...] | None = LAYERS

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        return repeated(self.layers)

    def extract(self, population: Population, run: Run) -> KernelSet:
        from composer_kernels.extraction import extract, kernel_layers  # import torch

        return extract(population, self.layers, kernel_layers(population.architecture))


class Linear(KernelExtractor):
    """The weights of all linear layers below the head, attention's with them, and of 2-D convolutions.

    For transformers, where a convolution does no more than cut the picture into patches. A linear layer's weights are
    given as 1x1 kernels; torch's own attention gives its queries, keys and values as one layer `in_proj`.
    """

    name = "linear"
    contract = Contract(architecture="any", reference="Vaswani et al. 2017, arXiv:1706.03762 (attention)")

    layers: tuple[str, ...] | None = LAYERS
    convolutions: bool = Field(True, description="take ungrouped convolutions too")

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        return repeated(self.layers)

    def extract(self, population: Population, run: Run) -> KernelSet:
        from composer_kernels.extraction import extract, linear_layers  # import torch

        return extract(population, self.layers, linear_layers(population.architecture, self.convolutions))


def repeated(layers: Sequence[str] | None) -> Iterable[tuple[str, str]]:
    """(option, message) where layers are named twice."""
    again = sorted({layer for layer in layers or () if (layers or ()).count(layer) > 1})
    if again:
        yield "layers", f"each layer can be taken once, but {', '.join(map(repr, again))} is named again"


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Convolutions, Linear]
