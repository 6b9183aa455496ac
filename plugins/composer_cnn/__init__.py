"""The study's network: a small convolutional classifier, many of which run at once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field

from composer import Architecture, Component, Contract, Footprint, hook

if TYPE_CHECKING:
    from torch import Tensor, nn

Filters = Annotated[int, Field(ge=1, le=4096)]


class CNN(Architecture):
    """Two convolutions, each with ReLU and 2x2 max-pool, and one linear layer."""

    name = "cnn"
    contract = Contract(reference="LeCun et al. 1998, Gradient-based learning applied to document recognition")
    head: ClassVar[str] = "fc1"
    width_options: ClassVar[tuple[str, ...]] = ("filters",)

    filters: tuple[Filters, Filters] = Field((6, 16), description="filters of the two convolutions")
    kernel_size: int = Field(5, ge=1, le=15, description="height and width of a kernel, in pixels")
    size: int = Field(32, ge=8, le=512, description="height and width of the input, in pixels")

    @property
    def feature_count(self) -> int:
        """Numbers that the head sees."""
        side = ((self.size - self.kernel_size + 1) // 2 - self.kernel_size + 1) // 2
        return self.filters[1] * side**2

    def footprint(self) -> Footprint:
        first, second = self.filters
        kernel = self.kernel_size**2
        weights = first * (3 * kernel + 1) + second * (first * kernel + 1) + 2 * (self.feature_count + 1)
        convolved = first * (self.size - self.kernel_size + 1) ** 2
        return Footprint(weights, self.feature_count, convolved)

    def unfilled(self) -> str:
        return ""

    def problems(self, concepts: Iterable[str]) -> Iterable[tuple[str, str]]:
        if ((self.size - self.kernel_size + 1) // 2 - self.kernel_size + 1) // 2 < 1:
            yield "size", f"{self.size} pixels are too few for two {self.kernel_size}x{self.kernel_size} convolutions"

    def build(self, outputs: int) -> nn.Module:
        from composer_cnn.network import Network

        return Network(self.filters, self.kernel_size, self.feature_count, outputs)

    def stacked_features(self, weights: Mapping[str, Tensor], pixels: Tensor, *, training: bool = False) -> Tensor:
        from composer_cnn.network import stacked_features

        return stacked_features(weights, pixels)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [CNN]
