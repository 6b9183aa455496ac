"""torchvision's classifiers: as networks, and with published weights, a file's, or none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from composer import Architecture, Component, ComposerError, Contract, ModelSource, RecipePath, Run, hook
from composer_imagenet import class_groups, class_names
from composer_torchvision.catalogue import classifiers

if TYPE_CHECKING:
    from torch import Tensor, nn

    from composer import NetworkLibrary, Population

REFERENCE = "TorchVision maintainers and contributors 2016, TorchVision: PyTorch's computer vision library"
USUAL_SIZE = 224
WITH_OWN_INPUT = ("googlenet", "inception_v3")
"""Networks that torchvision gives pixels in [-1, 1] with its published weights, by its argument `transform_input`."""
TRANSFORM_INPUT = (
    "whether googlenet and inception_v3 take pixels in [-1, 1], as with torchvision's published weights and when "
    "fine-tuned from them; false: those normalised as usual, as when trained from scratch. No file says it; "
)


class Torchvision(Architecture):
    """Any of torchvision's picture classifiers that end with a linear layer, such as resnet50 or vit_b_16."""

    name = "torchvision"
    contract = Contract(reference=REFERENCE)
    head: ClassVar[str] = "head"

    model: str = Field("resnet18", description="torchvision's name of the network")
    size: int | None = Field(
        None,
        ge=32,
        le=1024,
        description="height and width of the input, in pixels; null: what the newest published weights were made for",
    )
    transform_input: bool | None = Field(None, description=f"{TRANSFORM_INPUT}null: true, and the run says so")

    @model_validator(mode="before")
    @classmethod
    def _own_size(cls, given: Any) -> Any:
        """A size that is left out is the network's own, so that both ways of writing it are one architecture."""
        if not isinstance(given, dict) or given.get("size") is not None:
            return given
        own = classifiers().get(str(given.get("model", "resnet18")), {})
        return {**given, "size": own.get("DEFAULT", USUAL_SIZE)}

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        yield from model_problems(self.model)
        if self.transform_input is not None and self.model not in WITH_OWN_INPUT:
            yield "transform_input", f"is for {' and '.join(WITH_OWN_INPUT)}, not for {self.model}"

    @property
    def mean(self) -> tuple[float, float, float]:  # type: ignore[override]  # two networks have their own
        """ImageNet's, but for networks that take pixels in [-1, 1]."""
        return (0.5, 0.5, 0.5) if self._takes_own_input() else (0.485, 0.456, 0.406)

    @property
    def std(self) -> tuple[float, float, float]:  # type: ignore[override]
        """ImageNet's, but for networks that take pixels in [-1, 1]."""
        return (0.5, 0.5, 0.5) if self._takes_own_input() else (0.229, 0.224, 0.225)

    def _takes_own_input(self) -> bool:
        return self.model in WITH_OWN_INPUT and self.transform_input is not False

    def assumption(self) -> str:
        if self.model not in WITH_OWN_INPUT or self.transform_input is not None:
            return ""
        return (
            f"{self.model} is taken to have been trained on pixels in [-1, 1], as all are that started from "
            "torchvision's weights; if it was trained from scratch say `transform_input: false`"
        )

    def require_usable(self) -> None:
        from composer_torchvision.network import require_size

        require_size(self.model, self.input_size)

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
    transform_input: bool | None = Field(
        None, description=f"{TRANSFORM_INPUT}null: false where `weights` is null, else true, and the run says so"
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
        if self.transform_input is not None and self.model not in WITH_OWN_INPUT:
            yield "transform_input", f"is for {' and '.join(WITH_OWN_INPUT)}, not for {self.model}"
        if self.transform_input is False and self.file is None and self.weights is not None:
            yield "transform_input", "is true of published weights; false is for a `file` trained from scratch"

    def files(self) -> Iterable[Path]:
        return [] if self.file is None else [self.file]

    @property
    def network(self) -> Architecture:
        own = classifiers().get(self.model, {}).get(self.weights or "", USUAL_SIZE)
        own_input = self.transform_input
        if self.model in WITH_OWN_INPUT and own_input is None and (self.file is None or self.weights is None):
            own_input = self.weights is not None
        return Torchvision(model=self.model, size=self.size or own, transform_input=own_input)

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
        return self._read(concept, run, headless=False)

    def load_body(self, concept: str, run: Run) -> Population:
        return self._read(concept, run, headless=True)

    def _read(self, concept: str, run: Run, *, headless: bool) -> Population:
        for option, message in self.problems((concept,)):
            raise ComposerError(f"{self.name}: {option}: {message}")
        from composer_torchvision.loading import load  # imports torch

        return load(self, concept, run, headless=headless)


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


@hook
def composer_networks() -> NetworkLibrary:
    from composer_torchvision.library import Torchvisions  # imports torch

    return Torchvisions()
