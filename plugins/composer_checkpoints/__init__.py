"""Reads a concept's population from files of weights: one file per member, or all stacked in one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from composer import Architecture, Component, ComposerError, ModelSource, RecipePath, Run, hook
from composer_checkpoints.matching import explain_no_match, matching_files, may_be_stacked
from composer_cnn import CNN

if TYPE_CHECKING:
    from pathlib import Path

    from composer import Population


class Checkpoints(ModelSource):
    """Networks trained elsewhere, read from state-dict files (.pth, .pt, .safetensors), whatever saved them."""

    name = "checkpoints"

    pattern: RecipePath = Field(
        description="files, one per network, such as black_models/black_model_*.pth; or one .safetensors of all stacked"
    )
    architecture: Architecture = Field(default_factory=CNN, description="the network that the weights belong to")
    outputs: tuple[int, ...] = Field(
        (0,), description="which of the network's outputs mean the concept; 0 is the first"
    )
    members: int | None = Field(None, ge=1, description="read only the first so many; left out: all")
    mean: tuple[float, float, float] = Field(
        (0.5, 0.5, 0.5), description="subtracted from pixels in [0, 1], per channel"
    )
    std: tuple[float, float, float] = Field((0.5, 0.5, 0.5), description="what they are then divided by, per channel")

    @property
    def network(self) -> Architecture:
        return self.architecture

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        files = matching_files(self.pattern)
        if not files:
            yield "pattern", explain_no_match(self.pattern)
        elif self.members is not None and len(files) < self.members and not may_be_stacked(files):
            yield "members", f"{self.members} networks are asked for, and {len(files)} files match {self.pattern}"
        if not self.outputs or min(self.outputs) < 0 or len(set(self.outputs)) < len(self.outputs):
            yield "outputs", f"must be one or more different numbers from 0 up, not {list(self.outputs)}"
        if min(self.std) <= 0:
            yield "std", f"must be above 0, not {list(self.std)}"

    def files(self) -> Sequence[Path]:
        """The files to read, in natural order (2 before 10)."""
        return matching_files(self.pattern)[: self.members]

    def load(self, concept: str, run: Run) -> Population:
        for option, message in self.problems((concept,)):
            raise ComposerError(f"checkpoints: {option}: {message}")
        from composer_checkpoints.reading import read_population  # imports torch

        return read_population(self, concept, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Checkpoints]
