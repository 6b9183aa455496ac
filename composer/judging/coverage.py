"""Whether pictures are like those that a parent was trained on: a `not` of any others is a guess."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from composer.data.images import Images
from composer.data.population import Population
from composer.data.run import Run
from composer.data.scores import Score, resamples

NEIGHBOURS = 10
"""The distance that counts is that to the training picture so many places away."""
USUAL = 0.95
"""Share of the training pictures themselves that count as like the others."""
LOW = 0.8
"""Coverage below which a `not` is warned of."""
LEAST = 0.01
"""Least standard deviation of a feature, in units of the mean one: those that are dead in training may wake up."""
MOST = 2000
"""Training pictures that others are compared with."""


def coverage(parent: Population, training: Images, images: Images, run: Run) -> Score:
    """The share of the pictures that each member's features place among its training pictures.

    As Sun et al. 2022 (arXiv:2204.06507) have it, the distance to the tenth nearest training picture is at most that
    which 95 % of the training pictures have; features are scaled to the standard deviation that they have there. A
    member that tells nothing apart covers all.
    """
    known = training.select(np.linspace(0, len(training) - 1, min(len(training), MOST)).astype(np.int64))
    beside = parent.features(known, run.device)
    inside = torch.stack(
        [_inside(own, asked) for own, asked in zip(beside, parent.features(images, run.device), strict=True)]
    ).numpy()
    parent.forget_features()
    return Score(inside.mean(axis=1), inside.mean(axis=0)[resamples(images, run.seed)].mean(axis=1))


def warn_of(concept: str, found: Score, run: Run) -> None:
    """Says where a `not` is asked of pictures that are unlike those which the concept was learned on."""
    if found.median < LOW:
        run.warn(
            f"'not {concept}' is asked, and {found.median:.0%} of the test pictures are like those that the parent of "
            f"{concept!r} was trained on ({USUAL:.0%} is usual): of all others its no may only mean that they are new"
        )


def _inside(training: Tensor, asked: Tensor) -> Tensor:
    """bool [N] from features [T, D] and [N, D]."""
    spread = training.double().std(0)
    scale = spread.clamp(min=max(LEAST * float(spread.mean()), torch.finfo(torch.float32).tiny))
    known, other = training.double() / scale, asked.double() / scale
    place = min(NEIGHBOURS, len(known) - 1)
    # A training picture is nearest to itself: the next place.
    usual = torch.cdist(known, known).kthvalue(place + 1).values.quantile(USUAL)
    return torch.cdist(other, known).kthvalue(place).values <= usual + 1e-6
