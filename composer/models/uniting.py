"""Classifiers that know different classes, read from their files and put side by side as one model of all classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from composer.data.composed import ComposedModel
from composer.data.expressions import NONE
from composer.data.images import Images
from composer.data.population import Population, Preprocessing
from composer.data.run import Run
from composer.errors import ComposerError
from composer.models.calibrating import calibrated
from composer.models.file_networks import read_network
from composer.models.in_memory import whole_network
from composer.models.shown import Shown, labels_for
from composer.models.union import LEFT_OUT, Knower, Outputs, Way, union_of, united
from composer.models.union_words import COMMAND, PYTHON, Words
from composer.networks.architecture import Architecture

AT_ONCE = 512
"""Pictures whose features are held at a time."""


@dataclass(frozen=True)
class United:
    """A model of the union of several networks' classes.

    model: a network for each knower, whose part is called after its file; of a student a single one.
    """

    model: ComposedModel
    knowers: tuple[Knower, ...]
    outputs: Outputs
    notes: list[str] = field(default_factory=list)

    @property
    def classes(self) -> tuple[str, ...]:
        """Of the union, in the order in which the networks have them."""
        return union_of(self.knowers)

    def log_odds(self, images: Images, device: str = "cpu") -> Tensor:
        """Of each class, float32 [N, U]."""
        return united(self.knowers, logits_of_all(self.model.parts, images, device), self.outputs)


def read_parent(
    file: Path, names: Sequence[str] | None, architecture: Architecture | None, run: Run, words: Words = COMMAND
) -> tuple[Population, tuple[str, ...]]:
    """The network in a checkpoint, and a name for each of its outputs; ComposerError where nobody says them.

    names: of all outputs in their order, `-` for one that is to be left out; left out where the file's plugin has them.
    Where the file holds several networks, which was taken is warned of.
    """
    say_which = words.say_which.replace("FILE", str(file))
    population, count, classes = read_network(file, architecture, run, say_which)
    given = tuple(names) if names is not None else classes if len(classes) == count else ()
    rows = population.weights[f"{population.architecture.head}.weight"].shape[1]
    checked = _checked(given, count, str(file), words, said=names is not None, inspected=True)
    return population, (*checked, *[NONE] * (rows - count))  # a row of zeros may stand beside an only output


def parent_in_memory(
    network: nn.Module, names: Sequence[str], preprocessing: Preprocessing, words: Words = PYTHON
) -> tuple[Population, tuple[str, ...]]:
    """A network in memory, and a name for each of its outputs; ComposerError where these do not fit."""
    who = type(network).__name__
    population = whole_network(network, preprocessing, who, f"the network {who}")
    return population, _checked(tuple(names), len(population.weights["head.bias"][0]), who, words, said=True)


def _checked(
    names: tuple[str, ...], count: int, file: str, words: Words, *, said: bool, inspected: bool = False
) -> tuple[str, ...]:
    """The names; ComposerError where they are not those of so many outputs.

    said: whether the user gave them. inspected: whether `composer inspect` reads the network.
    """
    who, naming = words.names.replace("FILE", file), words.naming.replace("FILE", file)
    if not names:
        look = f"; composer inspect {file} --images FOLDER shows which fires for which pictures" if inspected else ""
        raise ComposerError(
            f"{file}: has {count} output{'' if count == 1 else 's'}, and nobody says what they mean; {naming} "
            f"({LEFT_OUT} leaves one out){look}"
        )
    if len(names) != count:
        raise ComposerError(f"{who}: gives {len(names)} names, and the network has {count} outputs")
    own = [name for name in names if name not in (LEFT_OUT, NONE)]
    if empty := [place for place, name in enumerate(names, 1) if not name]:
        raise ComposerError(f"{who}: name {empty[0]} is empty; {LEFT_OUT} leaves an output out")
    if twice := [name for name in own if own.count(name) > 1]:
        raise ComposerError(f"{who}: {twice[0]!r} is there twice" if said else f"{file}: has two classes {twice[0]!r}")
    if not own:
        raise ComposerError(f"{who}: names no class: all outputs are {LEFT_OUT} or {NONE}")
    return names


def logits_of(part: Population, images: Images, device: str = "cpu") -> Tensor:
    """Of the only member, float32 [N, K]."""
    return logits_of_all([part], images, device)[0]


@torch.no_grad()
def logits_of_all(parts: Sequence[Population], images: Images, device: str = "cpu") -> list[Tensor]:
    """Of the only member of each part of a model, float32 [N, K]; a body that parts share looks once."""
    found: list[list[Tensor]] = [[] for _ in parts]
    for start in range(0, len(images), AT_ONCE):
        some = images.select(range(start, min(start + AT_ONCE, len(images))))
        for own, part in zip(found, parts, strict=True):
            own.append(part.logits(some, device)[0])
        for part in parts:
            part.forget_features()
    return [torch.cat(own) for own in found]


def unite(
    parents: Sequence[tuple[Population, Sequence[str]]],
    pictures: Shown,
    outputs: Outputs = "softmax",
    run: Run | None = None,
    *,
    way: Way = "energy",
) -> United:
    """All networks side by side, each calibrated on the pictures; ComposerError where one of them is broken.

    parents: a network of one member, and the names of its outputs.
    """
    knowers = [Knower(tuple(classes), way=way) for _, classes in parents]
    union = union_of(knowers)
    if len(union) < 2:
        raise ComposerError(f"the networks know one class together, {union[0]!r}: there is nothing to unite")
    parts = []
    for index, ((population, _), knower) in enumerate(zip(parents, knowers, strict=True)):
        who = population.members[0]
        same = sum(other.members[0] == who for other, _ in parents[:index])
        called = f"{who} {same + 1}" if same else who
        parts.append(replace(population, concept=called, outputs=tuple(knower.rows), _memo={}))
    name = " + ".join(part.concept for part in parts)
    model = ComposedModel(tuple(parts), (name,), labels=pictures.labelled)
    found, notes = [], [] if run is None else list(run.warnings)
    for part, knower, logits in zip(model.parts, knowers, logits_of_all(model.parts, pictures.images), strict=True):
        who = part.concept
        if not bool(logits.isfinite().all()):
            raise ComposerError(f"{who}: its outputs are not finite: its weights have diverged")
        labels = labels_for(knower.own, pictures.labels, union, who)
        known, said = calibrated(knower, logits, labels, union, who, beside=pictures.show_several(union))
        found.append(known)
        notes += said
    return United(model, tuple(found), outputs, list(dict.fromkeys(notes)))
