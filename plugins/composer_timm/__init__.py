"""timm's networks: with weights from the Hugging Face hub, from a file, or untrained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from composer import Architecture, Component, ComposerError, Contract, ModelSource, RecipePath, Run, hook
from composer_imagenet import class_groups, class_names
from composer_timm.catalogue import networks

if TYPE_CHECKING:
    from torch import Tensor, nn

    from composer import Population

REFERENCE = "Wightman 2019, PyTorch Image Models"


class Timm(Architecture):
    """Any of timm's networks whose outputs come of linear layers, such as efficientvit_b0 or convnext_tiny."""

    name = "timm"
    contract = Contract(reference=REFERENCE)
    head: ClassVar[str] = "head"
    model: str = Field("resnet18", description="timm's name of the network")
    size: int | None = Field(
        None, ge=32, le=1024, description="height and width of the input, in pixels; null: what timm says of the model"
    )

    @model_validator(mode="before")
    @classmethod
    def _own_size(cls, given: Any) -> Any:
        """A size that is left out is the network's own, so that both ways of writing it are one architecture."""
        model = given.get("model", "resnet18") if isinstance(given, dict) else None
        if not isinstance(model, str) or given.get("size") is not None or any(model_problems(model)):
            return given
        from composer_timm.building import usual_size

        return {**given, "size": usual_size(model)}

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        yield from model_problems(self.model)

    @property
    def mean(self) -> tuple[float, float, float]:  # type: ignore[override]  # each network has its own
        """What timm subtracts from the network's pixels."""
        from composer_timm.building import channels

        return channels(self.model, "mean")

    @property
    def std(self) -> tuple[float, float, float]:  # type: ignore[override]
        """What timm divides the network's pixels by."""
        from composer_timm.building import channels

        return channels(self.model, "std")

    def require_usable(self) -> None:
        from composer_timm.network import require_same_logits

        require_same_logits(self.model, self.input_size)

    def build(self, outputs: int) -> nn.Module:
        from composer_timm.network import Network

        return Network(self, outputs)

    def own_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        from composer_timm.network import own_state

        return own_state(self, state)

    def usual_name(self, name: str) -> str:
        from composer_timm.network import usual_name

        return usual_name(self, name)


class PretrainedTimm(ModelSource):
    """One of timm's networks with weights from the Hugging Face hub, from a file, or untrained."""

    name = "timm"
    contract = Contract(reference=REFERENCE)

    model: str = Field(description="timm's name, with a tag where there are several weights: resnet18.a1_in1k")
    pretrained: bool = Field(
        True, description="weights from the Hugging Face hub, downloaded once; false: untrained with two outputs"
    )
    file: RecipePath | None = Field(
        None, description="state-dict file (.pth, .pt, .safetensors) to read in place of the hub's weights"
    )
    names: Literal["imagenet"] | tuple[str, ...] | None = Field(
        None,
        description="names of the outputs in their order; `imagenet` for the 1000 usual ones, which the hub's weights "
        "are taken to have",
    )
    size: int | None = Field(
        None, ge=32, le=1024, description="height and width of the input, in pixels; null: what timm says of the model"
    )

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        yield from model_problems(self.model)
        if self.file is not None and not self.file.is_file():
            yield "file", f"there is no file {self.file}"
        if self.file is None and not self.pretrained and self.names is not None:
            yield "names", "are for the outputs of trained weights, and there are none"

    def files(self) -> Iterable[Path]:
        return [] if self.file is None else [self.file]

    @property
    def network(self) -> Architecture:
        return Timm(model=self.model, size=self.size)

    def class_names(self) -> Sequence[str] | None:
        if self.names == "imagenet" or (self.names is None and self.file is None and self.pretrained):
            return class_names()
        if isinstance(self.names, tuple) and len(self.names) == 1:  # a single output is read as two
            return (self.names[0], f"not {self.names[0]}")
        return self.names if isinstance(self.names, tuple) else None

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
        from composer_timm.loading import load  # imports torch

        return load(self, concept, run, headless=headless)


def model_problems(model: str) -> Iterable[tuple[str, str]]:
    """(option, message) unless the installed timm has such a network."""
    known = networks()
    if not known:
        yield "model", "the package timm is not installed: pip install -e '.[timm]' in composer's own folder"
    elif model.partition(".")[0] not in known:
        near = get_close_matches(model, known, n=3)
        hint = f"; did you mean {' or '.join(map(repr, near))}?" if near else ""
        yield "model", f"timm has no network {model!r}{hint}"


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Timm, PretrainedTimm]
