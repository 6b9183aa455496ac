"""The residual networks of the CIFAR experiments, and weights that others have trained for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from composer import (
    Architecture,
    Component,
    ComposerError,
    Contract,
    Footprint,
    ModelSource,
    RecipePath,
    Run,
    hook,
)

if TYPE_CHECKING:
    from torch import Tensor, nn

    from composer import Population

REFERENCE = "He et al. 2015, arXiv:1512.03385, section 4.2"
CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
GROUPS: Mapping[str, tuple[int, ...]] = {
    "animal": (2, 3, 4, 5, 6, 7),
    "car": (1,),
    "plane": (0,),
    "vehicle": (0, 1, 8, 9),
}

Depth = Literal[20, 32, 44, 56, 110]


class CifarResNet(Architecture):
    """Residual network for small pictures: three stages of 16, 32 and 64 filters, shortcuts without weights."""

    name = "cifar_resnet"
    contract = Contract(reference=REFERENCE)
    head: ClassVar[str] = "linear"
    width_options: ClassVar[tuple[str, ...]] = ("filters",)
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    depth: Depth = Field(20, description="layers with weights: 6n + 2")
    filters: int = Field(16, ge=1, le=512, description="filters of the first stage; the others have 2 and 4 times that")
    size: int = Field(32, ge=8, le=512, description="height and width of the input, in pixels")

    def build(self, outputs: int) -> nn.Module:
        from composer_cifar_resnet.network import Network

        return Network(self.blocks, self.filters, outputs)

    def stacked_features(self, weights: Mapping[str, Tensor], pixels: Tensor, *, training: bool = False) -> Tensor:
        from composer_cifar_resnet.stacking import stacked_features

        return stacked_features(weights, pixels, self.blocks, training)

    @property
    def blocks(self) -> int:
        """Residual blocks of each stage, of two convolutions."""
        return (self.depth - 2) // 6

    def footprint(self) -> Footprint:
        weights, seen, channels, side = 29 * self.filters, 2, self.filters, self.size
        activations = self.filters * side**2
        for stage in range(3):
            if stage:
                channels, side = 2 * channels, (side + 1) // 2
            weights += self.blocks * (18 * channels**2 + 4 * channels) - (9 * channels**2 // 2 if stage else 0)
            activations += 2 * self.blocks * seen * channels * side**2
        return Footprint(weights + 2 * (channels + 1), channels, activations)


class PretrainedCifarResNet(ModelSource):
    """One network trained on CIFAR-10, read from its checkpoint; any of the ten classes can be the concept."""

    name = "cifar_resnet"
    contract = Contract(reference=REFERENCE)

    depth: Depth = Field(20, description="layers with weights: 6n + 2")
    weights: RecipePath = Field(
        description="checkpoint of a network with ten outputs: a state dict, or a dict with one under `state_dict`"
    )

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if not self.weights.is_file():
            yield "weights", f"there is no file {self.weights}"

    def files(self) -> Iterable[Path]:
        return [self.weights]

    @property
    def network(self) -> Architecture:
        return CifarResNet(depth=self.depth)

    def class_names(self) -> Sequence[str] | None:
        return CLASSES

    def class_groups(self) -> Mapping[str, Sequence[int]]:
        return GROUPS

    def load(self, concept: str, run: Run) -> Population:
        """One member; the class or group called as the concept means it, and no output where there is none."""
        for option, message in self.problems((concept,)):
            raise ComposerError(f"{self.name}: {option}: {message}")
        from composer import Population, Preprocessing, read_weights, stack  # imports torch

        weights = read_weights(self.weights, self.network)
        outputs = GROUPS.get(concept) or tuple(index for index, name in enumerate(CLASSES) if name == concept)
        preprocessing = Preprocessing(CifarResNet(depth=self.depth).size, CifarResNet.mean, CifarResNet.std)
        return Population(
            concept, self.network, stack([weights]), (f"cifar_resnet{self.depth}",), preprocessing, outputs
        )


@hook
def composer_components() -> Iterable[type[Component]]:
    return [CifarResNet, PretrainedCifarResNet]
