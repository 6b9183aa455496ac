"""Parts pictures for training and test: groups whole, and each combination in the same proportion."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from composer import Split
from composer_cells.collection import Collection, Picture, collect

if TYPE_CHECKING:
    from composer_cells import Cells


@dataclass(frozen=True)
class Parted:
    """Pictures to train on and to test on; which they are does not depend on a recipe's target."""

    collection: Collection
    training: tuple[Picture, ...]
    testing: tuple[Picture, ...]

    @property
    def all(self) -> tuple[Picture, ...]:
        """Both parts."""
        return (*self.testing, *self.training)

    def of(self, split: Split) -> tuple[Picture, ...]:
        """The pictures of a split: no training picture shows what is held out, but for an oracle's."""
        if split.concept is None:
            return self.training if split.labelled else self.testing
        return tuple(picture for picture in self.training if not split.held_out.true_of(picture.shown))


def parted(source: Cells) -> Parted:
    """A source's pictures in two parts, `limit` of each combination; RefusedError where they cannot be taken."""
    collection = collect(source)
    if collection.split:
        testing = [bool(picture.testing) for picture in collection.pictures]
    else:
        testing = tested(collection, source.test, source.seed)
    both = list(zip(collection.pictures, testing, strict=True))
    return Parted(
        collection,
        tuple(_limited([picture for picture, own in both if not own], source.limit)),
        tuple(_limited([picture for picture, own in both if own], source.limit)),
    )


def tested(collection: Collection, share: float, seed: int) -> list[bool]:
    """Whether each picture is tested on.

    The groups come one after the other, in an order that the seed decides. Each goes to the test pictures where that
    brings their share in its combinations nearer to what was asked for.
    """
    pictures = collection.pictures
    total = Counter(picture.values for picture in pictures)
    taken: Counter[tuple[str, ...]] = Counter()
    testing = [False] * len(pictures)
    for members in _in_drawn_order(pictures, seed):
        own = Counter(pictures[index].values for index in members)
        change = sum(
            ((taken[cell] + count - share * total[cell]) ** 2 - (taken[cell] - share * total[cell]) ** 2) / total[cell]
            for cell, count in own.items()
        )
        if change < 0:
            taken.update(own)
            for index in members:
                testing[index] = True
    return testing


def _in_drawn_order(pictures: Sequence[Picture], seed: int) -> list[list[int]]:
    """The pictures of each group, the same order on every machine; a picture without a group is one of its own."""
    groups: dict[str, list[int]] = defaultdict(list)
    for index, picture in enumerate(pictures):
        groups[f"group {picture.group}" if picture.group else f"picture {picture.name}"].append(index)
    drawn = sorted(groups, key=lambda name: hashlib.sha256(f"{seed}\0{name}".encode()).digest())
    return [groups[name] for name in drawn]


def _limited(pictures: Sequence[Picture], limit: int | None) -> Iterable[Picture]:
    """At most `limit` pictures of each combination, evenly spaced."""
    if limit is None:
        return pictures
    held: dict[tuple[str, ...], list[Picture]] = defaultdict(list)
    for picture in pictures:
        held[picture.values].append(picture)
    chosen = [
        own if len(own) <= limit else [own[index * len(own) // limit] for index in range(limit)]
        for own in held.values()
    ]
    return [picture for own in chosen for picture in own]
