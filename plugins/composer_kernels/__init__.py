"""Which weights of a population are its kernels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from composer import Component, Contract, KernelExtractor, Run, hook

if TYPE_CHECKING:
    from composer import KernelSet, Population


class Convolutions(KernelExtractor):
    """The weights of 2-D convolutions, or of the linear layers below the head where a network has no convolution.

    Grouped convolutions are left out: their kernels see only a part of the channels. A linear layer's
    weights are given as 1x1 kernels.
    """

    name = "convolutions"
    contract = Contract(architecture="any")

    layers: tuple[str, ...] | None = Field(
        None, min_length=1, description="layers to take, by their names in the network (default: all, in network order)"
    )

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        repeated = sorted({layer for layer in self.layers or () if (self.layers or ()).count(layer) > 1})
        if repeated:
            yield "layers", f"each layer can be taken once, but {', '.join(map(repr, repeated))} is named again"

    def extract(self, population: Population, run: Run) -> KernelSet:
        from composer_kernels.extraction import extract  # imports torch

        return extract(population, self.layers)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Convolutions]
