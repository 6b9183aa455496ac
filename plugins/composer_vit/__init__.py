"""A small vision transformer for small pictures, many of which run at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from composer import Architecture, Component, Contract, Footprint, hook

if TYPE_CHECKING:
    from torch import Tensor, nn

MLP = 4
"""Hidden units of a block's two linear layers, as a multiple of the width."""


class ViT(Architecture):
    """Vision transformer: patches, blocks of attention and two linear layers, and the mean over patches."""

    name = "vit"
    contract = Contract(
        reference="Dosovitskiy et al. 2021, arXiv:2010.11929; the mean in place of a class token as in Beyer, Zhai and "
        "Kolesnikov 2022, arXiv:2205.01580"
    )
    head: ClassVar[str] = "head"

    patch: int = Field(4, ge=1, le=64, description="height and width of a patch, in pixels; it has to divide `size`")
    width: int = Field(64, ge=1, le=4096, description="numbers for each patch; `heads` has to divide it")
    layers: int = Field(6, ge=1, le=64, description="blocks, each of attention and two linear layers")
    heads: int = Field(4, ge=1, le=64, description="heads of each attention")
    size: int = Field(32, ge=8, le=512, description="height and width of the input, in pixels")

    @property
    def tokens(self) -> int:
        """Patches of a picture."""
        return (self.size // self.patch) ** 2

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if self.size % self.patch:
            yield "patch", f"{self.patch} does not divide the size {self.size}: a picture is cut into whole patches"
        if self.width % self.heads:
            yield "heads", f"{self.heads} does not divide the width {self.width}: each head has its part of it"

    def footprint(self) -> Footprint:
        width = self.width
        block = (4 + 2 * MLP) * width**2 + (9 + MLP) * width
        weights = (3 * self.patch**2 + 1 + self.tokens) * width + self.layers * block + 2 * width
        kept = self.layers * ((8 + 2 * MLP) * self.tokens * width + self.heads * self.tokens**2)
        return Footprint(weights + 2 * (width + 1), width, kept)

    def build(self, outputs: int) -> nn.Module:
        from composer_vit.network import Network

        return Network(self, outputs)

    def stacked_features(self, weights: Mapping[str, Tensor], pixels: Tensor, *, training: bool = False) -> Tensor:
        from composer_vit.stacking import stacked_features

        return stacked_features(self, weights, pixels)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [ViT]
