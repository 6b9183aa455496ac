"""Scores of clusters against classes, on many resamples of the pictures at once.

A table holds weights [B, C, 2]: of B resamples, the pictures of each of C clusters that are the target (first column)
and that are not (second). Empty clusters change nothing. Each score is [B].
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Flags = NDArray[np.bool_]


def contingency(labels: Labels, target: Flags, counts: Floats, clusters: Sequence[int]) -> Floats:
    """Table [B, C, 2] from the cluster [N] and the class [N] of each picture, and how often it was drawn [B, N]."""
    cells = [(labels == cluster) & kind for cluster in clusters for kind in (target, ~target)]
    table: Floats = counts @ np.stack(cells, axis=1).astype(np.float64)
    return table.reshape(len(counts), len(clusters), 2)


def matched(table: Floats) -> Flags:
    """Of two clusters, the one that means the target [B, 2]: the matching with more pictures right.

    Where both matchings are equally good, the cluster with more of the target's pictures.
    """
    right = table[:, [0, 1], [0, 1]].sum(axis=1), table[:, [1, 0], [0, 1]].sum(axis=1)
    first = (right[0] > right[1]) | ((right[0] == right[1]) & (table[:, 0, 0] >= table[:, 1, 0]))
    return np.stack([first, ~first], axis=1)


def majority(table: Floats) -> Flags:
    """The clusters of which more than half are the target [B, C]."""
    most: Flags = table[..., 0] > table[..., 1]
    return most


def accuracy(table: Floats, means_target: Flags) -> Floats:
    """Share of pictures whose cluster means their class: (TP + TN) / N."""
    right = np.where(means_target, table[..., 0], table[..., 1]).sum(axis=1)
    return np.asarray(right / table.sum(axis=(1, 2)), dtype=np.float64)


def precision(table: Floats, means_target: Flags) -> Floats:
    """TP / (TP + FP); 0 where nothing is called the target."""
    called = np.where(means_target[..., None], table, 0).sum(axis=1)
    return _ratio(called[:, 0], called.sum(axis=1))


def recall(table: Floats, means_target: Flags) -> Floats:
    """TP / (TP + FN)."""
    found = np.where(means_target, table[..., 0], 0).sum(axis=1)
    return _ratio(found, table[..., 0].sum(axis=1))


def entropy(table: Floats) -> Floats:
    """H(class | cluster) in bits: sum over clusters of n_c / N times -sum over classes of p log2 p, p = n_ck / n_c."""
    share = _ratio(table, table.sum(axis=2, keepdims=True))
    bits = -np.where(share > 0, share * np.log2(share, where=share > 0, out=np.zeros_like(share)), 0).sum(axis=2)
    return _ratio((table.sum(axis=2) * bits).sum(axis=1), table.sum(axis=(1, 2)))


def purity(table: Floats) -> Floats:
    """Sum over clusters of their most frequent class's pictures, over N."""
    return _ratio(table.max(axis=2).sum(axis=1), table.sum(axis=(1, 2)))


def class_entropy(table: Floats) -> Floats:
    """H(cluster | class) in bits, which the study calls entropy: `entropy` with clusters and classes exchanged."""
    return entropy(table.transpose(0, 2, 1))


def class_purity(table: Floats) -> Floats:
    """Sum over classes of their most frequent cluster's pictures, over N, which the study calls purity."""
    return purity(table.transpose(0, 2, 1))


def adjusted_rand(table: Floats) -> Floats:
    """Adjusted Rand index (Hubert and Arabie 1985, eq. 5), in scikit-learn's pair-confusion form."""
    size = table.sum(axis=(1, 2))
    squares = (table**2).sum(axis=(1, 2))
    both = squares - size  # pairs of one cluster and one class, each counted twice
    cluster_only = (table.sum(axis=2) ** 2).sum(axis=1) - squares
    class_only = (table.sum(axis=1) ** 2).sum(axis=1) - squares
    neither = size**2 - size - both - cluster_only - class_only
    chance = (both + class_only) * (class_only + neither) + (both + cluster_only) * (cluster_only + neither)
    index = _ratio(2 * (both * neither - class_only * cluster_only), chance)
    return np.where((cluster_only == 0) & (class_only == 0), 1.0, index)


def silhouette(distances: Floats, labels: Labels, counts: Floats) -> Floats:
    """Mean silhouette (Rousseeuw 1987) from distances [N, N], clusters [N] and how often a picture was drawn [B, N].

    0 for a picture alone in its cluster, as Rousseeuw has it, and where there are fewer than two clusters.
    """
    clusters = np.unique(labels)
    sizes = np.stack([counts[:, labels == cluster].sum(axis=1) for cluster in clusters])  # [C, B]
    inside = np.zeros_like(counts)
    outside = np.full_like(counts, np.inf)
    for cluster, size in zip(clusters, sizes, strict=True):
        own = labels == cluster
        summed = counts[:, own] @ distances[own]  # [B, N]
        inside[:, own] = summed[:, own] / np.maximum(size - 1, 1)[:, None]
        mean = np.where(size[:, None] > 0, _ratio(summed, size[:, None]), np.inf)
        outside[:, ~own] = np.minimum(outside[:, ~own], mean[:, ~own])
    alone = sizes[np.searchsorted(clusters, labels)].T <= 1  # [B, N]
    judged = ~alone & np.isfinite(outside)
    outside = np.where(judged, outside, 0)
    widths = np.where(judged, _ratio(outside - inside, np.maximum(inside, outside)), 0)
    return np.asarray((counts * widths).sum(axis=1) / counts.sum(axis=1), dtype=np.float64)


def _ratio(over: Floats, under: Floats) -> Floats:
    """over / under, and 0 where `under` is 0."""
    over, under = np.broadcast_arrays(over, under)
    return np.divide(over, under, out=np.zeros(over.shape), where=under != 0)
