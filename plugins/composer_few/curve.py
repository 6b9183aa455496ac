"""What labels are worth, said by labelled pictures that heads were not moved by: no test picture is needed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from composer import Lines
from composer_few.moving import Moved, Shown, moved

COUNTS = (2, 5, 10, 20, 50)
"""Labels of each kind at which heads are moved, where some are left to judge them by."""
DRAWS = 2
PARENTS, MOVED, ALONE = "parents as they are", "few_shot", "labels alone"


def learning_curve(shown: Shown, rng: np.random.Generator) -> Lines:
    """Cross-entropy of labelled pictures left out, by how many of each kind the heads were moved by.

    Each point is a mean over draws, on the pictures that were not drawn; the last is of leaving out one picture after
    another. Heads that know the labels alone are those of `few_alone`.
    """
    knows_nothing = replace(shown, log_odds=torch.zeros_like(shown.log_odds))
    kinds = [np.flatnonzero(shown.yes.numpy() == kind) for kind in (1, 0)]
    most = min(map(len, kinds))
    places = [0, *(count for count in COUNTS if count < most), most]
    series: dict[str, list[float]] = {MOVED: [_loss(shown)], ALONE: [_loss(knows_nothing)]}
    for count in places[1:-1]:
        drawn = [np.concatenate([rng.permutation(kind)[:count] for kind in kinds]) for _ in range(DRAWS)]
        series[MOVED].append(float(np.mean([_left_over(shown, own, stay=True) for own in drawn])))
        series[ALONE].append(float(np.mean([_left_over(knows_nothing, own, stay=False) for own in drawn])))
    series[MOVED].append(moved(shown).loss)
    series[ALONE].append(moved(knows_nothing, stay=False).loss)
    series[PARENTS] = [_loss(shown)] * len(places)
    return Lines(
        "what the labels are worth, on labelled pictures left out",
        series,
        "labels of each kind",
        "cross-entropy",
        x=dict.fromkeys(series, places),
    )


def _loss(shown: Shown) -> float:
    return float(shown.surprise(shown.of_target(shown.log_odds)[0]).mean())


def _left_over(shown: Shown, drawn: NDArray[np.int64], *, stay: bool) -> float:
    """The loss of all pictures but those drawn, by heads that these moved."""
    found = moved(_some(shown, torch.from_numpy(drawn)), stay=stay)
    rest = torch.from_numpy(np.setdiff1d(np.arange(len(shown.yes)), drawn))
    return _loss(_stepped(_some(shown, rest), found))


def _some(shown: Shown, index: Tensor) -> Shown:
    features = [own[index] for own in shown.features]
    return replace(shown, features=features, log_odds=shown.log_odds[:, index], yes=shown.yes[index])


def _stepped(shown: Shown, found: Moved) -> Shown:
    added = [own @ slope for own, slope in zip(shown.features, found.slopes, strict=True)]
    return replace(shown, log_odds=shown.log_odds + torch.stack(added) + found.shifts[:, None])
