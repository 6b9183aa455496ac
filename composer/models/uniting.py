"""Classifiers that know different classes, read from their files and put side by side as one model of all classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor

from composer.data.composed import ComposedModel
from composer.data.decoding import FileDecoder, UnreadablePictureError
from composer.data.expressions import NONE
from composer.data.images import Images
from composer.data.population import Population
from composer.data.run import Run
from composer.errors import ComposerError
from composer.models.calibrating import FEWEST, calibrated
from composer.models.file_networks import MAPPING, read_network
from composer.models.union import LEFT_OUT, Knower, Outputs, Way, union_of, united
from composer.networks.architecture import Architecture
from composer.registry import nearest

AT_ONCE = 512
"""Pictures whose features are held at a time."""


@dataclass(frozen=True)
class Shown:
    """Pictures, and the class of each where its folder says it: the name of a class, `none` for none of them."""

    images: Images
    labels: tuple[str | None, ...]
    place: str

    def __len__(self) -> int:
        return len(self.images)


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
        logits = [logits_of(part, images, device) for part in self.model.parts]
        return united(self.knowers, logits, self.outputs)


def read_parent(
    file: Path, names: Sequence[str] | None, architecture: Architecture | None, run: Run
) -> tuple[Population, tuple[str, ...]]:
    """The network in a checkpoint, and a name for each of its outputs; ComposerError where nobody says them.

    names: of all outputs in their order, `-` for one that is to be left out; left out where the file's plugin has them.
    Where the file holds several networks, which was taken is warned of.
    """
    population, count, classes = read_network(file, architecture, run, written=f"{file}={MAPPING}")
    given = tuple(names) if names is not None else classes if len(classes) == count else ()
    rows = population.weights[f"{population.architecture.head}.weight"].shape[1]
    checked = _checked(given, count, file, said=names is not None)
    return population, (*checked, *[NONE] * (rows - count))  # a row of zeros may stand beside an only output


def _checked(names: tuple[str, ...], count: int, file: Path, *, said: bool) -> tuple[str, ...]:
    """The names; ComposerError where they are not those of so many outputs."""
    who = f"--names {file}"
    if not names:
        raise ComposerError(
            f"{file}: has {count} output{'' if count == 1 else 's'}, and nobody says what they mean; name them in "
            f"their order, --names {file}=NAME,NAME,... ({LEFT_OUT} leaves one out); composer inspect {file} "
            "--images FOLDER shows which fires for which pictures"
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


def shown_in(
    groups: Mapping[str, Sequence[Path]], union: Sequence[str], option: str, *, labelled: bool, fewest: int = FEWEST
) -> Shown:
    """Pictures with the classes that their folders are called after; ComposerError for a folder that none is.

    groups: the pictures in each folder of a folder, those beside the folders under `.`.
    """
    files = [file for group in groups.values() for file in group]
    names = [None if name == "." or not labelled else name for name, group in groups.items() for _ in group]
    for name in groups:
        if labelled and name not in (".", NONE, *union):
            raise ComposerError(
                f"{option}/{name}: no class is called {name!r}{nearest(name, union)} (a folder is called as a "
                f"class, or {NONE!r}; --unlabelled takes no label from folders)"
            )
    if len(files) < fewest:
        count = f"{len(files)} picture{'' if len(files) == 1 else 's'}"
        raise ComposerError(f"{option}: has {count}, and {fewest} are the fewest")
    decode = FileDecoder(tuple(map(str, files)))

    def at(size: int) -> Tensor:
        try:
            return decode(size)
        except UnreadablePictureError as error:
            raise ComposerError(f"{option}: {error}; take it out of the folder") from None

    return Shown(Images([str(file) for file in files], {}, at), tuple(names), option)


@torch.no_grad()
def logits_of(part: Population, images: Images, device: str = "cpu") -> Tensor:
    """Of the only member, float32 [N, K]."""
    found = []
    for start in range(0, len(images), AT_ONCE):
        some = images.select(range(start, min(start + AT_ONCE, len(images))))
        found.append(part.logits(some, device)[0])
        part.forget_features()
    return torch.cat(found)


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
    found, parts, notes = [], [], [] if run is None else list(run.warnings)
    for index, ((population, _), knower) in enumerate(zip(parents, knowers, strict=True)):
        who = population.members[0]
        same = sum(other.members[0] == who for other, _ in parents[:index])
        part = replace(population, concept=f"{who} {same + 1}" if same else who, outputs=tuple(knower.rows), _memo={})
        logits = logits_of(part, pictures.images)
        if not bool(logits.isfinite().all()):
            raise ComposerError(f"{who}: its outputs are not finite: its weights have diverged")
        known, said = calibrated(knower, logits, pictures.labels, union, who)
        found.append(known)
        notes += said
        parts.append(part)
    name = " + ".join(part.concept for part in parts)
    labels = sum(label is not None for label in pictures.labels)
    model = ComposedModel(tuple(parts), (name,), labels=labels)
    return United(model, tuple(found), outputs, list(dict.fromkeys(notes)))
