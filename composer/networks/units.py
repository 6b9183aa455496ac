"""Units: places along the axes of tensors that can only move together, and the labels that say whose a number is."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

FIXED = 0
"""Label of all that must stay where it is: colours, classes, pixels."""
NONE = -1
"""Label of constants that are the same everywhere: they are at home with any unit."""


@dataclass(frozen=True)
class MovingSet:
    """Places that move together: tensor and axis -> places in rising order; and with which others they may change."""

    root: int
    places: dict[tuple[str, int], list[int]]
    tags: frozenset[Hashable]


class Units:
    """Disjoint sets of labels. A label stands for one place along one axis of one named tensor."""

    def __init__(self) -> None:
        self._parents = [FIXED]
        self._places: list[tuple[str, int, int]] = [("", 0, 0)]
        self._tags: dict[int, set[Hashable]] = {}

    def fresh(self, name: str, axis: int, size: int) -> Tensor:
        """New labels for all places along one axis, int64 [size]."""
        first = len(self._parents)
        self._parents.extend(range(first, first + size))
        self._places.extend((name, axis, place) for place in range(size))
        return torch.arange(first, first + size)

    def root(self, label: int) -> int:
        """The label that stands for the whole set."""
        while self._parents[label] != label:
            self._parents[label] = self._parents[self._parents[label]]
            label = self._parents[label]
        return label

    def rooted(self, plane: Tensor) -> Tensor:
        """The same plane with one label for each set."""
        (small,) = compact(plane)
        labels, places = torch.unique(small, return_inverse=True)
        roots = [self.root(label) if label > FIXED else label for label in labels.tolist()]
        return torch.tensor(roots)[places].expand(plane.shape)

    def join(self, labels: Tensor, others: Tensor) -> None:
        """Makes each label and the one at the same place of `others` one set; what has none changes nothing."""
        pairs = torch.stack([labels.flatten(), others.flatten()])
        pairs = pairs[:, (pairs != NONE).all(0)]
        for label, other in torch.unique(pairs, dim=1).T.tolist():
            # The smaller label stands for both, so that FIXED always wins.
            low, high = sorted((self.root(label), self.root(other)))
            self._parents[high] = low

    def weld(self, labels: Tensor) -> None:
        """Makes all labels one set: a block that moves as a whole."""
        own = labels[labels != NONE].flatten()
        if len(own):
            self.join(own, own[:1].expand_as(own))

    def freeze(self, labels: Tensor) -> None:
        """Lets what these labels stand for never move."""
        self.join(labels, torch.tensor(FIXED).expand_as(labels))

    def tag(self, labels: Tensor, tag: Hashable) -> None:
        """Lets units change places only with those that have the same tags."""
        for label in torch.unique(labels[labels != NONE]).tolist():
            self._tags.setdefault(label, set()).add(tag)

    def sets(self) -> list[MovingSet]:
        """The sets that may move."""
        places: dict[int, dict[tuple[str, int], list[int]]] = {}
        for label, (name, axis, place) in enumerate(self._places):
            if (root := self.root(label)) != FIXED:
                places.setdefault(root, {}).setdefault((name, axis), []).append(place)
        tags: dict[int, set[Hashable]] = {}
        for label, own in self._tags.items():
            tags.setdefault(self.root(label), set()).update(own)
        return [MovingSet(root, own, frozenset(tags.get(root, ()))) for root, own in places.items()]


# A plane holds a label for every number of a tensor.


def along(labels: Tensor, axis: int, shape: Sequence[int]) -> Tensor:
    """The plane whose labels are given along one axis, and repeated along all others."""
    return labels.view([-1 if place == axis else 1 for place in range(len(shape))]).expand(shape)


def constant(label: int, shape: Sequence[int]) -> Tensor:
    """The plane with one label."""
    return torch.tensor(label).expand(shape)


def compact(*planes: Tensor) -> list[Tensor]:
    """Planes of one shape without what all of them repeat."""
    small = list(planes)
    for axis, size in enumerate(planes[0].shape):
        if size > 1 and all(plane.stride(axis) == 0 for plane in planes):
            small = [plane.narrow(axis, 0, 1) for plane in small]
    return small


def varying(plane: Tensor) -> set[int]:
    """The axes along which not all labels are the same."""
    (small,) = compact(plane)
    return {
        axis for axis, size in enumerate(small.shape) if size > 1 and bool((small != small.narrow(axis, 0, 1)).any())
    }


def first_along(plane: Tensor, axis: int) -> Tensor:
    """The labels along one axis at the first place of all others."""
    for other in range(plane.ndim):
        if other != axis:
            plane = plane.narrow(other, 0, 1)
    return plane.flatten()
