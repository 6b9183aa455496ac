"""How little the two groups that a member parts the pictures into change when pictures are drawn again."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.metrics import adjusted_rand_score
from torch import Tensor

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Cut = Callable[[Floats], Callable[[Floats], Flags]]
"""Parts some pictures in two, and says on which side any other lies."""

RESAMPLES = 50
"""Resamples of the pictures."""
WORST = -1.0
DIMENSIONS = 2
"""Of the features' principal components."""


def of_log_odds(log_odds: Floats, seed: int) -> Floats:
    """[M] from log-odds [M, N], by the two sides of Otsu's cut."""
    return np.asarray([stability(values, otsu, seed) for values in log_odds], dtype=np.float64)


def of_features(features: Sequence[Tensor], seed: int) -> Floats:
    """[M] from M times features [N, D], by K-means' two clusters in the plane."""
    planes = (plane(own.double().numpy(), seed) for own in features)
    return np.asarray([stability(places, clusters(seed), seed) for places in planes], dtype=np.float64)


def stability(pictures: Floats, cut: Cut, seed: int) -> float:
    """Mean adjusted Rand index between the groups of all pictures and those that resampled ones put them into.

    -1, the lowest there is, where one of the groups has a picture at most.
    """
    sides = cut(pictures)(pictures)
    if not 1 < sides.sum() < len(sides) - 1:
        return WORST
    drawn = np.random.default_rng(seed).integers(0, len(pictures), (RESAMPLES, len(pictures)))
    return float(np.mean([adjusted_rand_score(sides, cut(pictures[own])(pictures)) for own in drawn]))


def otsu(values: Floats) -> Callable[[Floats], Flags]:
    """The cut of values [N] with the largest variance between its sides (Otsu 1979), in the middle between two.

    Where all are equal, none is above.
    """
    ordered = np.sort(values)
    cuts = np.flatnonzero(np.diff(ordered)) + 1
    if len(cuts) == 0:
        return lambda others: np.zeros(len(others), dtype=np.bool_)
    sums = np.cumsum(ordered - ordered.mean())[cuts - 1]
    best = cuts[np.argmax(sums**2 / (cuts * (len(values) - cuts)))]
    middle = (ordered[best - 1] + ordered[best]) / 2
    return lambda others: others > middle


def clusters(seed: int) -> Cut:
    """K-means with two clusters."""

    def cut(places: Floats) -> Callable[[Floats], Flags]:
        if not np.ptp(places, axis=0).any():
            return lambda others: np.zeros(len(others), dtype=np.bool_)
        fitted = KMeans(2, n_init=1, random_state=seed % 2**32).fit(places)
        return lambda others: np.asarray(fitted.predict(others) == 1)

    return cut


def plane(features: Floats, seed: int) -> Floats:
    """Places [N, 2] on the first two principal components of features [N, D]."""
    count = min(DIMENSIONS, *features.shape)
    places: Floats = PCA(count, svd_solver="full", random_state=seed % 2**32).fit_transform(features)
    return places
