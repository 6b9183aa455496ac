"""What networks see of the parents' own pictures, where that may be known already: from their fit, or another pair."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from composer import Images, Population, Run
from composer_training import Distil


def may_be_kept(options: Distil, parents: Sequence[Population]) -> bool:
    """Whether the lessons are the parents' own pictures as they are, and few enough networks look at them.

    Of many members the features of all pictures would take much memory; these are asked few pictures at a time.
    """
    return options.pictures == "parents" and options.mixed == 0 and all(len(parent) == 1 for parent in parents)


def log_odds_of(parents: Sequence[Population], source: Sequence[Images], chosen: Tensor, run: Run) -> list[Tensor]:
    """Of each parent, [1, N]. chosen: pictures out of all sets of `source`, counted through."""
    each: list[list[Tensor]] = [[] for _ in parents]
    for images in source:
        for own, parent in zip(each, parents, strict=True):
            own.append(parent.log_odds(images, run.device))
    for parent in parents:
        parent.forget_features()
    return [torch.cat(own, dim=1)[:, chosen] for own in each]


def features_of(body: Population, source: Sequence[Images], chosen: Tensor, run: Run) -> Tensor:
    """What a body sees of the chosen pictures, [1, N, D]."""
    found = [body.features(images, run.device) for images in source]
    body.forget_features()
    return torch.cat(found, dim=1)[:, chosen]
