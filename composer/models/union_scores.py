"""How good a union of classes is on labelled pictures that nothing was learned from or chosen by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from composer.data.expressions import NONE
from composer.errors import ComposerError
from composer.models.union import Knower, united
from composer.models.uniting import Shown, United, logits_of

Z = 1.959964
"""Of a 95 % interval."""
MOST_TAKEN = 6
"""Pairs of classes that are listed."""


@dataclass(frozen=True)
class Share:
    """How many of some pictures, with the 95 % interval of their share (Wilson 1927)."""

    right: int
    of: int

    @property
    def value(self) -> float:
        return self.right / self.of

    @property
    def interval(self) -> tuple[float, float]:
        middle = (self.right + Z * Z / 2) / (self.of + Z * Z)
        half = Z * np.sqrt(self.right * (self.of - self.right) / self.of + Z * Z / 4) / (self.of + Z * Z)
        return float(middle - half), float(middle + half)

    def __str__(self) -> str:
        low, high = (100 * bound for bound in self.interval)
        return f"{100 * self.value:.1f} % ({low:.1f} to {high:.1f})"


@dataclass(frozen=True)
class OwnClasses:
    """A parent's own classes: told by it alone, of nothing but these, and by the union, of all classes.

    elsewhere: how many of their pictures the union takes for a class that the parent does not know.
    """

    parent: str
    before: Share
    after: Share
    elsewhere: Share


@dataclass(frozen=True)
class Scores:
    """Of one model. taken: (true class, what it is taken for, pictures), of classes that no one parent knows both."""

    all: Share
    parents: tuple[OwnClasses, ...]
    taken: tuple[tuple[str, str, int], ...]

    def facts(self) -> dict[str, Any]:
        """As JSON holds them."""

        def share(found: Share) -> dict[str, Any]:
            return {"right": found.right, "of": found.of, "value": found.value, "interval": list(found.interval)}

        return {
            "accuracy": share(self.all),
            "parents": [
                {
                    **asdict(own),
                    "before": share(own.before),
                    "after": share(own.after),
                    "elsewhere": share(own.elsewhere),
                }
                for own in self.parents
            ],
            "taken": [{"class": true, "for": said, "pictures": count} for true, said, count in self.taken],
        }


def scored(model: United, parents: United, test: Shown, device: str = "cpu") -> Scores:
    """Scores of a model, the union of `parents` itself or one that learned from it; ComposerError without labels."""
    pictures = judged_by(test)
    images = test.images.select(pictures)
    true = np.array([str(test.labels[index]) for index in pictures])
    logits = [logits_of(part, images, device) for part in parents.model.parts]
    each = united(parents.knowers, logits, parents.outputs) if model is parents else model.log_odds(images, device)
    said = np.array(model.classes)[each.argmax(1).numpy()]
    own = [
        _own(part.concept, _alone(knower, given), knower.own, true, said)
        for part, knower, given in zip(parents.model.parts, parents.knowers, logits, strict=True)
    ]
    apart = Counter(
        (one, other)
        for one, other in zip(true.tolist(), said.tolist(), strict=True)
        if not any(one in knower.own and other in knower.own for knower in parents.knowers)
    )
    taken = sorted(((one, other, count) for (one, other), count in apart.items()), key=lambda row: (-row[2], row))
    return Scores(_share(said == true), tuple(each for each in own if each is not None), tuple(taken))


def judged_by(test: Shown) -> list[int]:
    """Which pictures show a class of the union; ComposerError where none does."""
    pictures = [index for index, label in enumerate(test.labels) if label not in (None, NONE)]
    if not pictures:
        raise ComposerError(
            f"{test.place}: has no picture in a folder that is called as a class, so nothing can be judged"
        )
    return pictures


def _alone(knower: Knower, logits: Tensor) -> NDArray[np.str_]:
    """What a network takes pictures for that knows its own classes only."""
    found: NDArray[np.str_] = np.array(knower.own)[logits[:, knower.rows].argmax(1).numpy()]
    return found


def _own(
    parent: str, alone: NDArray[np.str_], classes: Sequence[str], true: NDArray[np.str_], said: NDArray[np.str_]
) -> OwnClasses | None:
    """None where no picture shows one of the parent's classes."""
    mine = np.isin(true, classes)
    if not mine.any():
        return None
    before, after = (alone == true)[mine], (said == true)[mine]
    return OwnClasses(parent, _share(before), _share(after), _share(~np.isin(said[mine], classes)))


def _share(right: NDArray[np.bool_]) -> Share:
    return Share(int(right.sum()), len(right))
