"""Criteria that pick a member without labels: how good its clusters are; the highest is picked."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from composer_clustering.methods import NOISE

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Again = Callable[[NDArray[np.int64]], Labels]
"""Clusters the pictures of some indices [K] anew, to labels [K]."""

SUBSAMPLES = 10
SHARE = 0.8
"""Of the pictures, in each subsample by which stability is judged."""
WORST = -1.0

WORDS = {
    "agreement": "agreement of clusters with the other members",
    "silhouette": "highest silhouette",
    "density": "highest density-based validity",
    "stability": "clusters that change least with the pictures",
}


def density(places: Floats, labels: Labels) -> float:
    """Density-based validity (DBCV, Moulavi et al. 2014) by the library `hdbscan`; -1 below two clusters.

    -1 too where the library finds no number. Pictures of noise lower it.
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


def stability(labels: Labels, again: Again, seed: int) -> float:
    """Mean adjusted Rand index between the clusters of all pictures and of subsamples; -1 below two clusters.

    Ben-Hur et al. 2002, "A stability based method for discovering structure in clustered data".
    """
    from sklearn.metrics import adjusted_rand_score  # a second to import

    if len(np.unique(labels)) < 2:
        return WORST
    rng = np.random.default_rng(seed)
    parts = [rng.permutation(len(labels))[: round(SHARE * len(labels))] for _ in range(SUBSAMPLES)]
    return float(np.mean([adjusted_rand_score(labels[part], again(part)) for part in parts]))


def agreement(labels: Labels) -> Floats:
    """[M] of members' labels [M, N]: correlation, over pairs of pictures, of being together with how often others are.

    Pictures of noise are together with none. 0 for a member all of whose pictures are together, or none.
    """
    share = np.zeros((labels.shape[1], labels.shape[1]))
    for own in labels:
        share += together(own)
    pairs = ~np.eye(len(share), dtype=np.bool_)
    others = share[pairs] - share[pairs].mean()
    found = np.zeros(len(labels))
    for member, own in enumerate(labels):
        mine = together(own)[pairs].astype(np.float64)
        mine -= mine.mean()
        length = np.linalg.norm(mine) * np.linalg.norm(others)
        found[member] = mine @ others / length if length > 0 else 0.0
    return found


def together(labels: Labels) -> NDArray[np.bool_]:
    """bool [N, N]: whether two pictures are in one cluster."""
    same: NDArray[np.bool_] = (labels[:, None] == labels[None]) & (labels != NOISE)[:, None]
    return same
