"""How good a partition is without any label: every objective grows with it, and lies between -1 and 1.

Indices of partitions that were found in different spaces cannot be compared (arXiv:2403.14830), so all partitions of
one member are judged in one space: the first principal components of its features as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from composer_clustering.methods import NOISE
from composer_clustering.metrics import adjusted_rand, silhouette
from composer_clustering.reduction import principal_components

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Again = Callable[[NDArray[np.int64]], Labels]
"""Clusters the pictures of some indices [K] anew, to labels [K]."""

WORST = -1.0
ALL_NOISE, ONE_CLUSTER, SINGLE_PICTURES = -2.0, -3.0, -4.0
FAULTS = {ALL_NOISE: "all noise", ONE_CLUSTER: "one cluster", SINGLE_PICTURES: "clusters of one picture"}
"""What stands for the worth of a partition that cannot be judged -> what it is."""
COMMON = 10
"""Principal components of the space in which all partitions are judged."""
SUBSAMPLES = 10
SHARE = 0.8
"""Of the pictures, in each subsample by which the stability of clusters is judged."""


@dataclass(frozen=True)
class Common:
    """The space in which partitions are judged: the pictures' places [N, K] and their distances [N, N]."""

    places: Floats
    distances: Floats

    @classmethod
    def of(cls, features: Floats, seed: int) -> Common:
        from scipy.spatial.distance import pdist, squareform  # half a second to import

        places = principal_components(features, COMMON, seed)
        return cls(places, squareform(pdist(places)))


def fault_of(labels: Labels) -> float | None:
    """What stands for the worth of a partition that cannot be judged, one of FAULTS; None where it can."""
    kinds, sizes = np.unique(labels[labels != NOISE], return_counts=True)
    if len(kinds) == 0:
        return ALL_NOISE
    if len(kinds) == 1:
        return ONE_CLUSTER
    return SINGLE_PICTURES if sizes.max() == 1 else None


def silhouette_of(common: Common, labels: Labels) -> float:
    """Mean silhouette (Rousseeuw 1987) over all pictures, 0 for those of noise."""
    kept = labels != NOISE
    own = common.distances[np.ix_(kept, kept)]
    return float(silhouette(own, labels[kept], np.ones((1, int(kept.sum()))))[0] * kept.mean())


def davies_bouldin_of(places: Floats, labels: Labels) -> float:
    """1 / (1 + the Davies-Bouldin index), so that more is better; noise is one more cluster."""
    from sklearn.metrics import davies_bouldin_score  # a second to import

    index = float(davies_bouldin_score(places, labels))
    return 1 / (1 + index) if np.isfinite(index) and index > 0 else WORST


def density_of(places: Floats, labels: Labels) -> float:
    """DBCV of clusters as `validity_of` has it; pictures in one place count once."""
    first = np.sort(np.unique(places, axis=0, return_index=True)[1])  # in their order, on which the library depends
    return validity_of(places[first], labels[first])


def validity_of(places: Floats, labels: Labels) -> float:
    """DBCV of clusters (Moulavi et al. 2014) by the library `hdbscan`.

    -1 below two clusters of two places, and where the library finds no number.
    """
    from hdbscan.validity import validity_index  # a second to import

    kinds, sizes = np.unique(labels[labels != NOISE], return_counts=True)
    if len(kinds) < 2 or sizes.min() < 2:
        return WORST
    try:
        with np.errstate(all="ignore"):
            found = float(validity_index(np.ascontiguousarray(places), labels))
    except AssertionError:  # the library's own: no spanning tree where a density is too low for a number
        return WORST
    return found if np.isfinite(found) else WORST


def stability_of(labels: Labels, again: Again, seed: int) -> float:
    """Mean adjusted Rand index between the clusters of all pictures and of subsamples; -1 below two clusters.

    Ben-Hur et al. 2002, "A stability based method for discovering structure in clustered data": without replacement,
    since pictures drawn twice would be dense where nothing is.
    """
    if len(np.unique(labels)) < 2:
        return WORST
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(len(labels))[: round(SHARE * len(labels))] for _ in range(SUBSAMPLES)]
    return float(np.mean([rand_between(labels[part], again(part)) for part in parts]))


def rand_between(first: Labels, second: Labels) -> float:
    """Adjusted Rand index of two partitions [N]."""
    rows, columns = (np.unique(labels, return_inverse=True)[1] for labels in (first, second))
    shape = rows.max() + 1, columns.max() + 1
    table = np.bincount(rows * shape[1] + columns, minlength=shape[0] * shape[1]).reshape(1, *shape)
    return float(adjusted_rand(table.astype(np.float64))[0])
