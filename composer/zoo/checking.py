"""Whether concepts are what they are called: which of the zoo's own pictures each fires for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from composer.data.images import Images
from composer.data.population import Population
from composer.data.ranking import auc
from composer.zoo.entry import Concept
from composer.zoo.writing import read_probes

WEAK = 0.8
"""AUC on its own pictures below which a concept is doubtful."""
FIRES = 0.5
"""Share of another concept's pictures from which on a concept is said to fire for them."""
ALIKE = 0.97
"""Correlation of log-odds from which on two concepts say nearly the same."""


@dataclass(frozen=True)
class Check:
    """What a concept does on the zoo's pictures.

    own: AUC on its own; None where it has none. fires: concept -> share of the pictures of it that it fires for, above
    even odds. doubts: in words; none where its name seems to be right.
    """

    concept: str
    own: float | None
    fires: Mapping[str, float]
    doubts: tuple[str, ...]

    @property
    def others(self) -> dict[str, float]:
        """The other concepts whose pictures it fires for, most first."""
        found = {name: share for name, share in self.fires.items() if name != self.concept and share >= FIRES}
        return dict(sorted(found.items(), key=lambda item: (-item[1], item[0])))


@dataclass(frozen=True)
class Probed:
    """The pictures that a zoo keeps, and what its concepts say of them.

    images: concept -> pictures labelled with it. log_odds: every concept -> of all these pictures, one after the other.
    """

    images: Mapping[str, Images]
    log_odds: Mapping[str, NDArray[np.float64]]

    def checks(self) -> list[Check]:
        """Of every concept."""
        return [_check(name, self.images, self.log_odds) for name in self.log_odds]


def probed(concepts: Sequence[Concept]) -> Probed:
    """Every concept on the pictures that the zoo keeps of all; ComposerError where one is damaged."""
    images = {concept.name: found for concept in concepts if (found := read_probes(concept)) is not None}
    return Probed(images, _log_odds(concepts, images))


def checked(concepts: Sequence[Concept]) -> list[Check]:
    """What is found of every concept on the pictures that the zoo keeps; ComposerError where one is damaged."""
    return probed(concepts).checks()


def _check(name: str, probes: Mapping[str, Images], said: Mapping[str, NDArray[np.float64]]) -> Check:
    own: float | None = None
    fires: dict[str, float] = {}
    start = 0
    for other, images in probes.items():
        log_odds, shown = said[name][start : start + len(images)], images.labels[other]
        start += len(images)
        fires[other] = float((log_odds[shown] > 0).mean())
        if other == name:
            own = float(auc(log_odds[None], shown)[0])
    found = Check(name, own, fires, ())
    return Check(name, own, fires, tuple(_doubts(found, said)))


def _doubts(check: Check, said: Mapping[str, NDArray[np.float64]]) -> list[str]:
    name, doubts = check.concept, []
    if check.own is not None and check.own < WEAK:
        doubts.append(f"tells its own pictures from others with AUC {check.own:.2f} only")
    elif check.own is not None and check.fires[name] < FIRES and (first := next(iter(check.others.items()), None)):
        doubts.append(f"fires for {first[1]:.0%} of {first[0]}, and for {check.fires[name]:.0%} of its own pictures")
    alike = [other for other in said if other != name and _alike(said[name], said[other])]
    if alike:
        doubts.append(f"says nearly the same as {', '.join(alike)}")
    return doubts


def _alike(one: NDArray[np.float64], other: NDArray[np.float64]) -> bool:
    if not len(one) or one.std() == 0 or other.std() == 0:
        return False
    return bool(np.corrcoef(one, other)[0, 1] > ALIKE)


def _log_odds(concepts: Sequence[Concept], probes: Mapping[str, Images]) -> dict[str, NDArray[np.float64]]:
    """Of each concept on the pictures of all, in the order of `probes`."""
    of_size: dict[int, Images] = {}
    bodies: list[Population] = []
    said: dict[str, NDArray[np.float64]] = {}
    for concept in concepts:
        own = concept.picked()
        said[concept.name] = np.zeros(0)
        if not probes:
            continue  # its weights were read: damaged ones are said all the same
        body = next((one for one in bodies if own.shares_body(one)), None)
        if body is None:
            bodies.append(own)
        else:
            own = own.on_body_of(body)  # what the body makes of the pictures is computed once
        size = own.preprocessing.size
        if size not in of_size:
            names = [name for images in probes.values() for name in images.names]
            of_size[size] = Images(names, {}, torch.cat([images.at(size) for images in probes.values()]))
        said[concept.name] = own.log_odds(of_size[size])[0].double().numpy()
    return said
