"""Cosine similarities between pictures, and their means over groups of pictures."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]


def directions(features: Tensor, centred: bool) -> Tensor:
    """Features [N, D] scaled to length 1, after their mean is taken away where `centred`; zero stays zero.

    A length below rounding error counts as zero, so that a dead network's noise is no direction.
    """
    largest = features.abs().amax()
    if centred:
        features = features - features.mean(0, keepdim=True)
    lengths = features.norm(dim=1, keepdim=True)
    noise = torch.finfo(features.dtype).eps * features.shape[1] ** 0.5 * largest
    return torch.where(lengths > noise, features / lengths.clamp(min=torch.finfo(features.dtype).tiny), 0)


def mean_within(cosines: Floats, counts: Floats) -> Floats:
    """Mean cosine [B] over pairs of different pictures, from cosines [N, N] and how often each was drawn [B, N].

    A picture that was drawn twice makes no pair with itself, unless it is the only one that was drawn.
    """
    own = np.diagonal(cosines)
    drawn = counts.sum(axis=1)
    pairs = drawn**2 - (counts**2).sum(axis=1)
    summed = ((counts @ cosines) * counts).sum(axis=1) - counts**2 @ own
    return np.asarray(np.where(pairs > 0, summed / np.maximum(pairs, 1), counts @ own / drawn), dtype=np.float64)


def mean_between(cosines: Floats, counts: Floats, other_counts: Floats) -> Floats:
    """Mean cosine [B] over all pairs of one picture of each group, from cosines [N, K] between the groups."""
    summed = ((counts @ cosines) * other_counts).sum(axis=1)
    return np.asarray(summed / (counts.sum(axis=1) * other_counts.sum(axis=1)), dtype=np.float64)


def mean_between_groups(cosines: Floats, groups: list[NDArray[np.bool_]]) -> Floats:
    """Mean cosine [G, G] between every two groups of pictures, over pairs of different pictures."""
    means = np.empty((len(groups), len(groups)))
    for i, rows in enumerate(groups):
        for j, columns in enumerate(groups):
            block = cosines[np.ix_(rows, columns)]
            means[i, j] = mean_within(block, np.ones((1, len(block))))[0] if i == j else block.mean()
    return means
