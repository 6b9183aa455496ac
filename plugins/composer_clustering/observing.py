"""What can be seen of a partition without any label: its worth by every index, its sizes, and what the parents say."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from composer_clustering.methods import NOISE
from composer_clustering.naming import Beliefs
from composer_clustering.objectives import (
    Again,
    Common,
    Labels,
    davies_bouldin_of,
    density_of,
    fault_of,
    rand_between,
    silhouette_of,
    stability_of,
)
from composer_clustering.surrogate import shipped

Floats = NDArray[np.float64]
BELIEVING = ("parents", "surrogate")
"""Objectives for which the parents have to say something of the pictures."""


def worth(
    objective: str, common: Common, labels: Labels, again: Again, seed: int, beliefs: Beliefs | None = None
) -> float:
    """What a partition is worth by an objective, or one of FAULTS; `beliefs` for those that need them."""
    fault = fault_of(labels)
    if fault is not None:
        return fault
    if objective in BELIEVING:
        assert beliefs is not None, f"{objective} asks the parents"
        if objective == "parents":
            return rand_between(labels, believed(beliefs.target))
        return shipped().says(observed(common, labels, again, beliefs, seed))
    if objective == "stability":
        return stability_of(labels, again, seed)
    if objective == "dbcv":
        return density_of(common.places, labels)
    return silhouette_of(common, labels) if objective == "silhouette" else davies_bouldin_of(common.places, labels)


def observed(common: Common, labels: Labels, again: Again, beliefs: Beliefs, seed: int) -> dict[str, float]:
    """Name -> what is seen of a partition that has at least two clusters.

    The four indices as the search has them; `clusters`: log2 of their number; `noise`: the share of pictures in none;
    `largest`: the share in the largest; `evenness`: the entropy of their sizes, 1 where all are alike; `explained`: the
    share of the variance of the parents' log-odds of the target, by ranks, that lies between clusters; `parents`: the
    adjusted Rand index with what the parents say; `one_parent`: the highest with what one of them says of its concept.
    """
    sizes = np.unique(labels[labels != NOISE], return_counts=True)[1]
    shares = sizes / sizes.sum()
    return {
        "stability": stability_of(labels, again, seed),
        "dbcv": density_of(common.places, labels),
        "silhouette": silhouette_of(common, labels),
        "davies_bouldin": davies_bouldin_of(common.places, labels),
        "clusters": math.log2(len(sizes)),
        "noise": float((labels == NOISE).mean()),
        "largest": float(sizes.max() / len(labels)),
        "evenness": float(-(shares * np.log(shares)).sum() / math.log(len(sizes))),
        "explained": explained(labels, beliefs.target),
        "parents": rand_between(labels, believed(beliefs.target)),
        "one_parent": max(rand_between(labels, believed(own)) for own in beliefs.each),
    }


def believed(log_odds: Floats) -> Labels:
    """1 for the pictures that more probably than not show what was asked for, else 0."""
    return (log_odds > 0).astype(np.int64)


def explained(labels: Labels, values: Floats) -> float:
    """The share of the variance of the ranks of values [N] between clusters, less what chance would give."""
    from scipy.stats import rankdata  # half a second to import

    ranks = rankdata(values)
    kinds = np.unique(labels)
    total = float(((ranks - ranks.mean()) ** 2).sum())
    if total == 0 or len(kinds) == len(labels):
        return 0.0
    within = sum(float(((own - own.mean()) ** 2).sum()) for own in (ranks[labels == kind] for kind in kinds))
    return 1 - within / (len(labels) - len(kinds)) / (total / (len(labels) - 1))
