"""Reads a concept's population from files of weights: one file per member, or all stacked in one."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from composer import Architecture, Component, ComposerError, ModelSource, RecipePath, Run, hook
from composer_checkpoints.matching import explain_no_match, matching_files, may_be_stacked
from composer_cnn import CNN
from composer_imagenet import class_groups, class_names

if TYPE_CHECKING:
    from pathlib import Path

    from composer import Population


class Checkpoints(ModelSource):
    """Networks trained elsewhere, read from state-dict files (.pth, .pt, .safetensors), whatever saved them.

    The files may hold any number of outputs, a training script's other data, and the prefixes of wrappers.
    """

    name = "checkpoints"

    pattern: RecipePath = Field(
        description="files, one per network, such as black_models/black_model_*.pth; or one .safetensors of all stacked"
    )
    architecture: Architecture = Field(default_factory=CNN, description="the network that the weights belong to")
    outputs: tuple[int, ...] | None = Field(
        None,
        description="which of the network's outputs mean the concept, 0 being the first; null: those called as the "
        "concept, or the only one; where several have no names it has to be said",
    )
    outputs_are: Literal["softmax", "sigmoids"] = Field(
        "softmax",
        description="how outputs become probabilities: of classes that exclude each other by `softmax`, or `sigmoids` "
        "where each says for itself whether its label applies",
    )
    names: Literal["imagenet"] | tuple[str, ...] | None = Field(
        None, description="names of the outputs in their order; `imagenet` for the 1000 usual ones"
    )
    members: int | None = Field(None, ge=1, le=1_000_000, description="read only the first so many; left out: all")
    key: str | None = Field(
        None,
        description="what the weights lie under in each file, such as model_ema; or a prefix of names, such as "
        "encoder_q; null: the usual ones (model, state_dict), an average (ema) only where it is alone",
    )
    mean: tuple[float, float, float] | None = Field(
        None, description="subtracted from pixels in [0, 1], per channel; null: what is usual for the architecture"
    )
    std: tuple[float, float, float] | None = Field(
        None, description="what they are then divided by, per channel; null: what is usual for the architecture"
    )

    @property
    def network(self) -> Architecture:
        return self.architecture

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        files = matching_files(self.pattern)
        if not files:
            yield "pattern", explain_no_match(self.pattern)
        elif self.members is not None and len(files) < self.members and not may_be_stacked(files):
            yield "members", f"{self.members} networks are asked for, and {len(files)} files match {self.pattern}"
        if self.outputs is not None and not _different_from_zero_up(self.outputs):
            yield "outputs", f"must be one or more different numbers from 0 up, not {list(self.outputs)}"
        if self.outputs is not None and self.names is not None:
            yield "outputs", "are said twice, by numbers and by `names`; leave one out"
        if self.std is not None and min(self.std) <= 0:
            yield "std", f"must be above 0, not {list(self.std)}"

    def files(self) -> Sequence[Path]:
        """The files to read, in natural order (2 before 10)."""
        return matching_files(self.pattern)[: self.members]

    def class_names(self) -> Sequence[str] | None:
        if self.outputs_are == "sigmoids":
            return None  # of all outputs one is kept, see `load`
        names = self.output_names()
        if names is not None and len(names) == 1:  # a single output is read as two
            return (names[0], f"not {names[0]}")
        return names

    def output_names(self) -> Sequence[str] | None:
        """Names of the outputs that a file has."""
        return class_names() if self.names == "imagenet" else self.names

    def class_groups(self) -> Mapping[str, Sequence[int]]:
        return class_groups() if self.names == "imagenet" else {}

    def load(self, concept: str, run: Run) -> Population:
        return self._read(concept, run, headless=False)

    def load_body(self, concept: str, run: Run) -> Population:
        return self._read(concept, run, headless=True)

    def _read(self, concept: str, run: Run, *, headless: bool) -> Population:
        for option, message in self.problems((concept,)):
            raise ComposerError(f"checkpoints: {option}: {message}")
        from composer_checkpoints.reading import read_population  # imports torch

        return read_population(self, concept, run, headless=headless)


def _different_from_zero_up(outputs: Sequence[int]) -> bool:
    return bool(outputs) and min(outputs) >= 0 and len(set(outputs)) == len(outputs)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Checkpoints]
