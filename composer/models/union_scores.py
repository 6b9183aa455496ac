"""How good a union of classes is on labelled pictures that nothing was learned from or chosen by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from composer.data.ranking import auc
from composer.errors import ComposerError
from composer.models.shown import Shown, classes_in
from composer.models.union import Knower, united
from composer.models.uniting import United, logits_of_all

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

    elsewhere: how many of their pictures the union takes for classes that the parent does not know, and no other.
    """

    parent: str
    before: Share
    after: Share
    elsewhere: Share


@dataclass(frozen=True)
class Class:
    """One class by itself, told with yes or no: AUC, and the shares of its pictures and of all others told rightly."""

    name: str
    auc: float | None
    yes: Share | None
    no: Share | None


@dataclass(frozen=True)
class Scores:
    """Of one model. A picture of k classes is told rightly where these are the k likeliest.

    taken: (true class, what it is taken for, pictures), of classes that no one parent knows both. classes: of
    independent ones, each by itself; empty of one softmax.
    """

    all: Share
    parents: tuple[OwnClasses, ...]
    taken: tuple[tuple[str, str, int], ...]
    classes: tuple[Class, ...] = ()

    def facts(self) -> dict[str, Any]:
        """As JSON holds them."""

        def share(found: Share) -> dict[str, Any]:
            return {"right": found.right, "of": found.of, "value": found.value, "interval": list(found.interval)}

        each = [
            {
                "class": own.name,
                "auc": own.auc,
                "yes": None if own.yes is None else share(own.yes),
                "no": None if own.no is None else share(own.no),
            }
            for own in self.classes
        ]
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
            **({"classes": each} if each else {}),
        }


def scored(model: United, parents: United, test: Shown, device: str = "cpu") -> Scores:
    """Scores of a model, the union of `parents` itself or one that learned from it; ComposerError without labels."""
    union = parents.classes
    judged_by(test, union)
    independent = parents.outputs == "independent"  # of these, pictures that show no class count too
    shown_by = {index: set(classes_in(label, union)) for index, label in enumerate(test.labels) if label is not None}
    every = {index: shown for index, shown in shown_by.items() if shown or independent}
    images, true = test.images.select(list(every)), list(every.values())
    logits = logits_of_all(parents.model.parts, images, device)
    each = united(parents.knowers, logits, parents.outputs) if model is parents else model.log_odds(images, device)
    order = each.argsort(dim=1, descending=True, stable=True).tolist()
    said = [{model.classes[row] for row in rows[: len(shown)]} for rows, shown in zip(order, true, strict=True)]
    own = [
        _own(part.concept, _alone(knower, given), knower.own, true, said)
        for part, knower, given in zip(parents.model.parts, parents.knowers, logits, strict=True)
    ]
    right = np.array([shown == found for shown, found in zip(true, said, strict=True) if shown])
    classes = _classes(model, each, true) if independent else ()
    return Scores(_share(right), tuple(each for each in own if each is not None), _taken(parents, true, said), classes)


def judged_by(test: Shown, union: Sequence[str]) -> None:
    """ComposerError where no picture is known to show a class of the union."""
    if not any(label is not None and classes_in(label, union) for label in test.labels):
        raise ComposerError(
            f"{test.place}: has no picture in a folder that is called as a class, so nothing can be judged"
        )


def _taken(parents: United, true: Sequence[set[str]], said: Sequence[set[str]]) -> tuple[tuple[str, str, int], ...]:
    """What is taken for a class that no parent knows beside it, most often first."""
    apart = Counter(
        (one, other)
        for shown, found in zip(true, said, strict=True)
        for one, other in product(sorted(shown - found), sorted(found - shown))
        if not any(one in knower.own and other in knower.own for knower in parents.knowers)
    )
    return tuple(sorted(((one, other, count) for (one, other), count in apart.items()), key=lambda row: (-row[2], row)))


def _alone(knower: Knower, logits: Tensor) -> list[str]:
    """What a network takes pictures for that knows its own classes only."""
    return [knower.own[row] for row in logits[:, knower.rows].argmax(1).tolist()]


def _own(
    parent: str, alone: Sequence[str], classes: Sequence[str], true: Sequence[set[str]], said: Sequence[set[str]]
) -> OwnClasses | None:
    """None where no picture shows one of the parent's classes."""
    mine = [
        (one, shown & set(classes), found & set(classes))
        for one, shown, found in zip(alone, true, said, strict=True)
        if shown & set(classes)
    ]
    if not mine:
        return None
    before = np.array([{one} == shown for one, shown, _ in mine])
    after = np.array([shown <= found for _, shown, found in mine])
    return OwnClasses(parent, _share(before), _share(after), _share(np.array([not found for _, _, found in mine])))


def _classes(model: United, log_odds: Tensor, true: Sequence[set[str]]) -> tuple[Class, ...]:
    """Each class by itself, of log-odds [N, U]."""
    found = []
    for name, own in zip(model.classes, log_odds.double().T.numpy(), strict=True):
        shown = np.array([name in each for each in true])
        both = bool(shown.any() and not shown.all())
        found.append(
            Class(
                name,
                float(auc(own[None], shown)[0]) if both else None,
                _share(own[shown] > 0) if shown.any() else None,
                _share(own[~shown] <= 0) if not shown.all() else None,
            )
        )
    return tuple(found)


def _share(right: NDArray[np.bool_]) -> Share:
    return Share(int(right.sum()), len(right))
