"""Trains networks, all members at once: on a concept's own pictures, or on what the parents say of theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from composer import (
    Architecture,
    Assembler,
    Component,
    ComposerError,
    Contract,
    ModelSource,
    RecipePath,
    Run,
    hook,
    picture_files,
)
from composer_cnn import CNN

if TYPE_CHECKING:
    from composer import ComposedModel, KernelSet, Population

AT_ONCE = 32
"""Members per forward pass, so that a large population needs no more memory at a time than a small one."""
FLOAT = 4
"""Bytes of a number."""


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

    def member_count(self) -> int:
        return self.members

    def memory(self) -> Iterable[tuple[str, int, str]]:
        if (footprint := self.architecture.footprint()) is None:
            return
        # Adam keeps two moments beside each weight and its gradient.
        networks = f"{self.members:,} networks in training, of {footprint.parameters:,} weights each,"
        yield "members", self.members * footprint.parameters * 4 * FLOAT, networks
        together = min(self.members, AT_ONCE)
        step = f"a step of {together} networks on {self.batch} pictures, {footprint.activations:,} numbers each,"
        yield "batch", together * self.batch * footprint.activations * FLOAT, step

    def load(self, concept: str, run: Run) -> Population:
        from composer_training.training import train  # imports torch

        return train(self, concept, run)


class Distil(Assembler):
    """One network in place of several: students that learn what the parents say of pictures, without labels.

    Each student has one output for each parent's concept, so that any formula of the concepts can be asked of it. It
    learns the parents' log-odds by least squares, on their pictures and on pictures mixed two and two. The weights kept
    are those that agree best with the teachers on pictures held out. Where no picture of the parents' is at hand, any
    folder of pictures will do or, less well, drawn ones.
    """

    name = "distil"
    contract = Contract(
        pictures="unlabelled",
        reference="Hinton, Vinyals and Dean 2015, arXiv:1503.02531; Zhang et al. 2018, mixup, arXiv:1710.09412",
    )
    needs_kernels: ClassVar[bool] = False

    architecture: Architecture | None = Field(
        None, description="the students; left out: as the parents, where these differ as the smallest of them"
    )
    body: ModelSource | None = Field(
        None,
        description="a pretrained network to make the student of, in place of `architecture`: "
        "`{use: torchvision, model: mobilenet_v3_small}`",
    )
    train: Literal["head", "all"] = Field(
        "head", description="of `body`: the head alone, by least squares, or then `all` of it by steps"
    )
    width: float = Field(
        1.0,
        gt=0,
        le=8,
        description="how many times as many units as the architecture each layer has, where it has a width to choose",
    )
    members: int | None = Field(
        None, ge=1, le=10_000, description="students; left out: as many as the product of the parents has"
    )
    pictures: Literal["parents", "folder", "dead_leaves"] = Field(
        "parents",
        description="what they learn from: the parents' own pictures, those of `folder`, or drawn shapes that hide "
        "each other, for which no picture is needed",
    )
    folder: RecipePath | None = Field(None, description="pictures of anything, with `pictures: folder`")
    count: int = Field(9000, ge=20, le=1_000_000, description="how many pictures are drawn, with `dead_leaves`")
    teachers: Literal["mean", "pairs"] = Field(
        "mean",
        description="whom a student learns from: `mean`, the mean log-odds of all members of each parent, or `pairs`, "
        "the first student from the first member of each, and so on",
    )
    mixed: float = Field(0.5, ge=0, le=0.9, description="share of the pictures that are mixed of two (mixup)")
    steps: int = Field(800, ge=1, le=1_000_000, description="steps of each student")
    batch: int = Field(128, ge=1, le=8192, description="pictures per step; all students see the same")
    learning_rate: float = Field(0.01, gt=0, le=1, description="Adam's largest step; it rises to this and falls to 0")
    clip: float = Field(5.0, gt=0, le=100, description="log-odds beyond this count as this: certainty is not taught")
    flip: bool = Field(True, description="mirror half the pictures of a step; false where left and right differ")

    @property
    def terms(self) -> Contract:
        return self.contract if self.pictures == "parents" else replace(self.contract, pictures="none")

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if (self.pictures == "folder") != (self.folder is not None):
            yield "folder", "is where the pictures are with `pictures: folder`, and with that alone"
        elif self.folder is not None and not self.folder.is_dir():
            yield "folder", f"no folder {self.folder}"
        if self.body is not None:
            yield from self._body_problems()
        elif self.train == "all":
            yield "train", "is of `body`, and there is none; other students are trained whole"
        if self.architecture is not None:
            try:
                self.architecture.scaled(self.width)
            except ComposerError as error:
                yield "width", str(error).removeprefix("width: ")

    def _body_problems(self) -> Iterable[tuple[str, str]]:
        if self.architecture is not None:
            yield "architecture", "is the body's own with `body`; leave one of the two out"
        if self.width != 1:
            yield "width", "is of students that start from nothing; with `body` leave it out"
        if (self.members or 1) > 1 and self.teachers == "mean":
            yield "members", "with `body` and `teachers: mean` all students would be the same network; leave it out"

    def files(self) -> Iterable[Path]:
        pictures = () if self.folder is None else picture_files(self.folder)
        return [*pictures, *(() if self.body is None else self.body.files())]

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_training.distilling import distil  # imports torch

        return distil(self, parents, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Train, Distil]
