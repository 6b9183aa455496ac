"""Trains networks, all members at once: on a concept's own pictures, or on what the parents say of theirs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

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
from composer_few import layout

if TYPE_CHECKING:
    from composer import ComposedModel, KernelSet, Population

AT_ONCE = 32
"""Members trained as one batched program: a large population then needs no more memory at a time than a small one."""
FLOAT = 4
"""Bytes of a number."""
FINE_TUNING_RATE = 0.0003
"""Adam's largest step from trained weights: steps that suit a fresh network would undo them."""
LABELS_WEIGHT = 10.0
"""Pictures of the teachers' that a labelled one counts as: a handful among thousands has a say, not the last word."""
FEWEST_HELD_OUT = 10
"""Held-out pictures below which a loss on them says nothing."""


class Train(ModelSource):
    """Networks trained on the concept's pictures, all at once, each from a start and a sample of its own."""

    name = "train"
    contract = Contract(
        pictures="labelled",
        reference="Oza and Russell 2001, Online bagging and boosting; Kingma and Ba 2015, arXiv:1412.6980 (Adam)",
    )

    architecture: Architecture = Field(
        default_factory=CNN, description="the network to train; with `start`, leave it out: it is the start's"
    )
    start: ModelSource | None = Field(
        None,
        description="what training starts from (fine-tuning): any model source, such as `{use: torchvision, model: "
        "resnet18}` or `{use: checkpoints, pattern: base.pth, architecture: cifar_resnet}`; its own head is left out",
    )
    body: Literal["free", "frozen"] = Field(
        "free", description="`frozen` trains the head alone, on what the body of `start` sees; `free` all weights"
    )
    members: int = Field(32, ge=1, le=10_000, description="networks to train; left out: 32, and 1 with `start`")
    group: int = Field(
        AT_ONCE,
        ge=1,
        le=10_000,
        description="networks trained together, as one batched program and one stage of the run: workers train "
        "several groups at once, and one that is killed costs its group alone; no network depends on the others",
    )
    epochs: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="passes over the pictures; left out: as many as show 24,000 pictures, at least 8 and at most 20",
    )
    batch: int = Field(64, ge=1, le=8192, description="pictures per step; all members see the same")
    learning_rate: float = Field(
        0.01, gt=0, le=1, description="Adam's largest step; left out: 0.01, and 0.0003 with `start` and a free body"
    )
    schedule: Literal["onecycle", "cosine", "constant"] = Field(
        "onecycle",
        description="how the step changes: `onecycle` rises to the largest and falls to 0, `cosine` falls from there, "
        "`constant` stays",
    )
    patience: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="a network stops when its loss on held-out pictures has not fallen for so many epochs, and the "
        "weights of its best epoch are kept; left out: none stops early, and no picture is held out",
    )
    held_out: float = Field(0.2, gt=0, le=0.5, description="share of the pictures that is held out, with `patience`")
    precision: Literal["float32", "bfloat16"] = Field(
        "float32",
        description="`bfloat16` computes with half the bits where that is enough (mixed precision): faster and smaller "
        "on most GPUs, slower on most CPUs; the weights stay float32",
    )
    compile: Literal["default", "reduce-overhead"] | None = Field(
        None,
        description="compile a step with torch.compile in this mode, which takes minutes once: `default` fuses what it "
        "can, `reduce-overhead` replays it as CUDA graphs; it pays on a GPU and not on a CPU; left out: not at all",
    )
    resample: bool = Field(True, description="give every member its own sample of the pictures (online bagging)")
    flip: bool = Field(True, description="mirror half the pictures of a step; false where left and right differ")

    @model_validator(mode="before")
    @classmethod
    def _of_fine_tuning(cls, given: Any) -> Any:
        """What is usual for fine-tuning, where it is left out."""
        start = given.get("start") if isinstance(given, dict) else None
        if not isinstance(start, ModelSource):
            return given
        rate = {} if given.get("body") == "frozen" else {"learning_rate": FINE_TUNING_RATE}
        try:
            own = {"architecture": start.network}
        except ComposerError:  # the start's own `problems` say why
            own = {}
        return {**own, "members": 1, **rate, **given}

    @property
    def network(self) -> Architecture:
        return self.architecture

    def files(self) -> Iterable[Path]:
        return () if self.start is None else self.start.files()

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if self.start is None:
            if self.body == "frozen":
                yield "body", "frozen needs a `start`: an untrained body, and a head alone to train, learn little"
            return
        if self.body == "frozen" and self.compile is not None:
            yield "compile", "pays for a body that is trained, and this one is frozen; leave it out"
        if any(self.start.problems(concepts)):
            return  # which are told of the start
        own = self.start.network
        if self.architecture != own:
            yield "architecture", f"is not the start's, which is {own.options()}; leave it out"
        else:
            from composer_training.starting import misfits  # imports torch, for files alone

            yield from misfits(self)

    def fewest_pictures(self) -> tuple[str, int] | None:
        return None if self.patience is None else ("patience", ceil(FEWEST_HELD_OUT / self.held_out))

    def passes(self, pictures: int) -> int:
        """Epochs over that many pictures: small sets are passed over more often."""
        return self.epochs or min(max(ceil(24_000 / pictures), 8), 20)

    def member_count(self) -> int:
        return self.members

    def memory(self) -> Iterable[tuple[str, int, str]]:
        if (footprint := self.network.footprint()) is None or self.body == "frozen":
            return
        # Adam keeps two moments beside each weight and its gradient.
        networks = f"{self.members:,} networks in training, of {footprint.parameters:,} weights each,"
        yield "members", self.members * footprint.parameters * 4 * FLOAT, networks
        together = min(self.members, self.group)
        step = f"a step of {together} networks on {self.batch} pictures, {footprint.activations:,} numbers each,"
        yield "batch", together * self.batch * footprint.activations * FLOAT, step

    def groups(self) -> Sequence[range]:
        if self.body == "frozen":
            return ()  # the body would look at the pictures once for each group, and heads take no time
        return [range(first, min(first + self.group, self.members)) for first in range(0, self.members, self.group)]

    def load(self, concept: str, run: Run) -> Population:
        return self.load_group(concept, range(self.members), run)

    def load_group(self, concept: str, members: range, run: Run) -> Population:
        from composer_training.training import train  # imports torch

        return train(self, concept, members, run)


class Distil(Assembler):
    """One network in place of several: students that learn what the parents say of pictures, without labels.

    Each student has one output for each parent's concept, so that any formula of the concepts can be asked of it. It
    learns the parents' log-odds by least squares, on their pictures and on pictures mixed two and two. The weights kept
    are those that agree best with the teachers on pictures held out. Where no picture of the parents' is at hand, any
    folder of pictures will do or, less well, drawn ones or such as networks are asked for themselves. A handful of
    labelled pictures of the target may be learned too.
    """

    name = "distil"
    contract = Contract(
        pictures="unlabelled",
        reference="Hinton, Vinyals and Dean 2015, arXiv:1503.02531; Zhang et al. 2018, mixup, arXiv:1710.09412; "
        "pictures by Yin et al. 2020, Dreaming to distill (DeepInversion), arXiv:1912.08795",
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
    pictures: Literal["parents", "folder", "dead_leaves", "drawings", "inverted"] = Field(
        "parents",
        description="what they learn from: the parents' own pictures, or those of `folder`. Where no picture is at "
        "hand: `dead_leaves`, drawn shapes that hide each other; `drawings` of things in all colours, as the image "
        "source of that name draws them; `inverted`, found in parents with batch norm by what it remembers of theirs",
    )
    folder: RecipePath | None = Field(None, description="pictures of anything, with `pictures: folder`")
    count: int | None = Field(
        None,
        ge=20,
        le=100_000,
        description="how many pictures are made where none is at hand; left out: 9000, and of `inverted` 1000",
    )
    inversion_steps: int = Field(
        200, ge=1, le=100_000, description="steps in which a picture is found, with `pictures: inverted`"
    )
    teachers: Literal["mean", "pairs"] = Field(
        "mean",
        description="whom a student learns from: `mean`, the mean log-odds of all members of each parent, or `pairs`, "
        "the first student from the first member of each, and so on",
    )
    labels: RecipePath | None = Field(
        None,
        description="folder with a handful of pictures that show the target in `yes`, and some that do not in `no`, "
        "which the students learn beside what the teachers say; none of them may be a test picture",
    )
    labels_most: int | None = Field(
        None,
        ge=0,
        le=10_000,
        description="pictures taken of `yes`, and of `no`, at random; 0 as without `labels`, null takes all",
    )
    labels_weight: float = Field(
        LABELS_WEIGHT,
        gt=0,
        le=1000,
        description="how many pictures that the teachers speak of one labelled picture counts as",
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

    @property
    def made(self) -> int:
        """How many pictures are made where none is at hand."""
        return self.count or (1000 if self.pictures == "inverted" else 9000)

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if (self.pictures == "folder") != (self.folder is not None):
            yield "folder", "is where the pictures are with `pictures: folder`, and with that alone"
        elif self.folder is not None and not self.folder.is_dir():
            yield "folder", f"no folder {self.folder}"
        if self.labels is not None:
            for option, message in layout.labelled_problems(self.labels, self.labels_most):
                yield {"folder": "labels", "most": "labels_most"}[option], message
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
        if self.labels is not None and self.train == "head":
            yield "labels", "are learned by steps; with `body` take `train: all`"
        if (self.members or 1) > 1 and self.teachers == "mean":
            yield "members", "with `body` and `teachers: mean` all students would be the same network; leave it out"

    def files(self) -> Iterable[Path]:
        folders = [folder for folder in (self.folder, self.labels) if folder is not None]
        pictures = [file for folder in folders for file in picture_files(folder)]
        return [*pictures, *(() if self.body is None else self.body.files())]

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_training.distilling import distil  # imports torch

        return distil(self, parents, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Train, Distil]
