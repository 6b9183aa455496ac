"""torchvision's classifiers: as networks, and with published weights, a file's, or none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from composer import Architecture, Component, ComposerError, Contract, ModelSource, RecipePath, Run, hook
from composer_imagenet import class_groups, class_names
from composer_torchvision.catalogue import classifiers

if TYPE_CHECKING:
    from torch import Tensor, nn

    from composer import Population

REFERENCE = "TorchVision maintainers and contributors 2016, TorchVision: PyTorch's computer vision library"
USUAL_SIZE = 224


class Torchvision(Architecture):
    """Any of torchvision's picture classifiers that end with a linear layer, such as resnet50 or vit_b_16."""

    name = "torchvision"
    contract = Contract(reference=REFERENCE)
    head: ClassVar[str] = "head"
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)

    model: str = Field("resnet18", description="torchvision's name of the network")
    size: int = Field(USUAL_SIZE, ge=32, le=1024, description="height and width of the input, in pixels")

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        yield from model_problems(self.model)

    def build(self, outputs: int) -> nn.Module:
        from composer_torchvision.network import Network

        return Network(self, outputs)

    def own_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        from composer_torchvision.network import own_state

        return own_state(self, state)

    def usual_name(self, name: str) -> str:
        from composer_torchvision.network import usual_name

        return usual_name(self, name)

    def stacked_features(self, weights: Mapping[str, Tensor], pixels: Tensor, *, training: bool = False) -> Tensor:
        from composer_torchvision.network import stacked_features

        return stacked_features(self, weights, pixels, training)


class PretrainedTorchvision(ModelSource):
    """One of torchvision's classifiers with weights published for it, weights from a file, or untrained."""

    name = "torchvision"
    contract = Contract(reference=REFERENCE)

    model: str = Field(description="torchvision's name of the network, such as resnet50 or vit_b_16")
    weights: str | None = Field(
        "DEFAULT",
        description="published weights by name, such as IMAGENET1K_V1; DEFAULT are the newest; null: untrained with "
        "two outputs. They are downloaded once and kept in torch's own cache",
    )
    file: RecipePath | None = Field(
        None,
        description="state-dict file (.pth, .pt, .safetensors) to read in place of published weights, with any number "
        "of outputs; `weights` then only says which input it was made for",
    )
    names: Literal["imagenet"] | tuple[str, ...] | None = Field(
        None, description="names of the outputs of `file` in their order; `imagenet` for the 1000 usual ones"
    )
    size: int | None = Field(
        None, ge=32, le=1024, description="height and width of the input, in pixels; null: what `weights` were made for"
    )

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        yield from model_problems(self.model)
        known = classifiers().get(self.model)
        if known is not None and self.weights is not None and self.weights not in known:
            yield "weights", f"{self.model} has no weights {self.weights!r}; there are {', '.join(known)}"
        if self.file is not None and not self.file.is_file():
            yield "file", f"there is no file {self.file}"
        if self.file is None and self.names is not None:
            yield "names", "are for the outputs of a `file`, and there is none"

    def files(self) -> Iterable[Path]:
        return [] if self.file is None else [self.file]

    @property
    def network(self) -> Architecture:
        own = classifiers().get(self.model, {}).get(self.weights or "", USUAL_SIZE)
        return Torchvision(model=self.model, size=self.size or own)

    @property
    def base(self) -> str | None:
        weights = self.weights if self.file is None else self.file
        return f"torchvision {self.model} {weights}" if weights is not None else None

    def class_names(self) -> Sequence[str] | None:
        if self.file is None:
            return None if self.weights is None else class_names()
        if self.names == "imagenet":
            return class_names()
        if self.names is not None and len(self.names) == 1:  # a single output is read as two
            return (self.names[0], f"not {self.names[0]}")
        return self.names

    def class_groups(self) -> Mapping[str, Sequence[int]]:
        return class_groups() if self.class_names() is class_names() else {}

    def load(self, concept: str, run: Run) -> Population:
        """One member; the class or group called as the concept means it, and no output where there is none."""
        for option, message in self.problems((concept,)):
            raise ComposerError(f"{self.name}: {option}: {message}")
        from composer_torchvision.loading import load  # imports torch

        return load(self, concept, run)


def model_problems(model: str) -> Iterable[tuple[str, str]]:
    """(option, message) unless torchvision has such a classifier."""
    known = classifiers()
    if not known:
        yield "model", "torchvision is not installed: install it from the same index as torch"
    elif model not in known:
        near = get_close_matches(model, known, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        yield "model", f"torchvision has no classifier {model!r} with a linear layer at its end{hint}"


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Torchvision, PretrainedTorchvision]
