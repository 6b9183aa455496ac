"""Trains a concept's population from its own pictures, all members at once."""

from __future__ import annotations

from collections.abc import Iterable
from math import ceil
from typing import TYPE_CHECKING

from pydantic import Field

from composer import Architecture, Component, Contract, ModelSource, Run, hook
from composer_cnn import CNN

if TYPE_CHECKING:
    from composer import Population


class Train(ModelSource):
    """Networks trained on the concept's pictures, all at once, each from a start and a sample of its own."""

    name = "train"
    contract = Contract(
        pictures="labelled",
        reference="Oza and Russell 2001, Online bagging and boosting; Kingma and Ba 2015, arXiv:1412.6980 (Adam)",
    )

    architecture: Architecture = Field(default_factory=CNN, description="the network to train")
    members: int = Field(32, ge=1, le=10_000, description="networks to train")
    epochs: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="passes over the pictures; left out: as many as show 24,000 pictures, at least 8 and at most 20",
    )
    batch: int = Field(64, ge=1, le=8192, description="pictures per step; all members see the same")
    learning_rate: float = Field(0.01, gt=0, le=1, description="Adam's largest step; it rises to this and falls to 0")
    resample: bool = Field(True, description="give every member its own sample of the pictures (online bagging)")
    flip: bool = Field(True, description="mirror half the pictures of a step; false where left and right differ")

    @property
    def network(self) -> Architecture:
        return self.architecture

    def passes(self, pictures: int) -> int:
        """Epochs over that many pictures: small sets are passed over more often."""
        return self.epochs or min(max(ceil(24_000 / pictures), 8), 20)

    def load(self, concept: str, run: Run) -> Population:
        from composer_training.training import train  # imports torch

        return train(self, concept, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Train]
