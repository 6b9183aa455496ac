"""The residual networks of the CIFAR experiments, and weights that others have trained for them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from composer import Architecture, Component, ComposerError, Contract, ModelSource, RecipePath, Run, hook

if TYPE_CHECKING:
    from torch import nn

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

        return Network((self.depth - 2) // 6, self.filters, outputs)


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

    @property
    def base(self) -> str | None:
        return f"cifar_resnet {self.weights}"

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
