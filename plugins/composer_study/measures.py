"""The study's scores of a clustering, beside the standard ones, for many clusterings or many resamples at once.

A table counts pictures [T, C, 2]: of each of C clusters those that are the target, and those that are not. The study
names two of its scores otherwise than the field does:

study       here             definition
Accuracy    accuracy         (TP + TN) / N
Precision   recall           TP / (TP + FN); the study's code counts the target's pictures outside as FP
Recall      precision        TP / (TP + FP)
Entropy     class_entropy    H(cluster | class) in bits; the usual `entropy` is H(class | cluster)
Purity      class_purity     the classes' most frequent clusters over N; the usual `purity` is the clusters' classes
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]


def target_label(labels: Integers, target: Flags) -> Integers:
    """Of each clustering [M, N] the label that means the target: the one that most of its pictures have.

    As in the study's code; of two that are as frequent, the one met first.
    """
    shown = labels[:, target]
    frequency = (shown[:, :, None] == shown[:, None, :]).sum(axis=2)
    return np.take_along_axis(shown, frequency.argmax(axis=1)[:, None], axis=1)[:, 0]


def contingency(labels: Integers, target: Flags, drawn: Floats | None = None) -> Floats:
    """Table [M, C, 2] of clusterings [M, N], the cluster that means the target first.

    With `drawn` [B, N], how often each picture was drawn, the table [B, C, 2] of the one clustering [1, N].
    """
    meant = target_label(labels, target)[:, None]
    others = np.unique(labels)
    inside = [labels == meant, *((labels == other) & (labels != meant) for other in others)]  # each [M, N]
    weights = np.ones((1, len(target))) if drawn is None else drawn
    cells = [(weights * (cluster & kind)).sum(axis=1) for cluster in inside for kind in (target, ~target)]
    return np.stack(cells, axis=1).reshape(-1, len(inside), 2)


def of_counts(true_positives: int, false_positives: int, positives: int, negatives: int) -> Floats:
    """Table [1, 2, 2] of two clusters, from how many of the first are the target and how many are not."""
    first = [true_positives, false_positives]
    second = [positives - true_positives, negatives - false_positives]
    return np.asarray([[first, second]], dtype=np.float64)


def accuracy(table: Floats) -> Floats:
    """(TP + TN) / N."""
    return _over(table[:, 0, 0] + table[:, 1:, 1].sum(axis=1), table.sum(axis=(1, 2)))


def matched_accuracy(table: Floats) -> Floats:
    """(TP + TN) / N of two clusters, matched with the classes as scores best; never below one half."""
    chosen = accuracy(table)
    return np.maximum(chosen, 1 - chosen)


def recall(table: Floats) -> Floats:
    """TP / (TP + FN): what the study calls precision."""
    return _over(table[:, 0, 0], table[:, :, 0].sum(axis=1))


def precision(table: Floats) -> Floats:
    """TP / (TP + FP): what the study calls recall."""
    return _over(table[:, 0, 0], table[:, 0].sum(axis=1))


def entropy(table: Floats) -> Floats:
    """H(class | cluster) in bits: of the classes within clusters, weighted by the clusters' sizes."""
    share = _over(table, table.sum(axis=2, keepdims=True))
    bits = -(share * np.log2(share, out=np.zeros_like(share), where=share > 0)).sum(axis=2)
    return _over((table.sum(axis=2) * bits).sum(axis=1), table.sum(axis=(1, 2)))


def purity(table: Floats) -> Floats:
    """Pictures of every cluster's most frequent class, over N."""
    return _over(table.max(axis=2).sum(axis=1), table.sum(axis=(1, 2)))


def class_entropy(table: Floats) -> Floats:
    """H(cluster | class) in bits: of clusters within classes, weighted by the classes' sizes. The study's entropy."""
    return entropy(table.transpose(0, 2, 1))


def class_purity(table: Floats) -> Floats:
    """Pictures in every class's most frequent cluster, over N: the study's purity.

    1 where all pictures lie in one cluster, and so no sign of a good clustering.
    """
    return purity(table.transpose(0, 2, 1))


STUDY: Mapping[str, Callable[[Floats], Floats]] = {
    "accuracy": accuracy,
    "recall": recall,
    "precision": precision,
    "class_entropy": class_entropy,
    "class_purity": class_purity,
}
"""The study's five columns in its order, under the field's names."""

STANDARD: Mapping[str, Callable[[Floats], Floats]] = {"entropy": entropy, "purity": purity}
LOWER_IS_BETTER = ("class_entropy", "entropy")


def _over(numerator: Floats, denominator: Floats) -> Floats:
    """The ratio, and 0 where there is nothing to divide by."""
    numerator, denominator = np.broadcast_arrays(numerator, denominator)
    return np.divide(numerator, denominator, out=np.zeros(numerator.shape), where=denominator != 0)
