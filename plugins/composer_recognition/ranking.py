"""Scores of a ranking on many resamples of the pictures at once.

A resample is how often each picture was drawn. Pictures are sorted once; `at_each_score` gives the weight that every
resample puts on each distinct score, and all else are cumulative sums over these. Ties count as scikit-learn does.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def at_each_score(scores: Floats, weights: NDArray[np.int64]) -> NDArray[np.int64]:
    """Weight at each distinct score, ascending: [B, G] from scores [N] and weights [B, N]."""
    order = np.argsort(scores, kind="stable")
    starts = np.flatnonzero(np.diff(scores[order], prepend=np.nan) != 0)
    summed: NDArray[np.int64] = np.add.reduceat(weights[:, order], starts, axis=1)
    return summed


def auc(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> Floats:
    """Area under the ROC curve [B]: the share of pairs that are ranked rightly, ties counting half."""
    below = np.cumsum(negatives, axis=1) - negatives
    twice = (positives * (2 * below + negatives)).sum(axis=1)
    return np.asarray(twice / (2 * positives.sum(axis=1) * negatives.sum(axis=1)), dtype=np.float64)


def average_precision(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> Floats:
    """Precision at each distinct score, weighted by the step in recall [B]."""
    found = np.cumsum(positives[:, ::-1], axis=1)
    wrong = np.cumsum(negatives[:, ::-1], axis=1)
    precision = found / np.maximum(found + wrong, 1)  # the highest scores may have no weight in a resample
    return np.asarray((positives[:, ::-1] * precision).sum(axis=1) / positives.sum(axis=1), dtype=np.float64)


def best_accuracy(positives: NDArray[np.int64], negatives: NDArray[np.int64]) -> Floats:
    """Accuracy at the best threshold [B], among them the one that calls nothing the target."""
    gained = np.cumsum(negatives - positives, axis=1)  # by raising the threshold past a score
    right = positives.sum(axis=1) + np.maximum(gained.max(axis=1), 0)
    return np.asarray(right / (positives.sum(axis=1) + negatives.sum(axis=1)), dtype=np.float64)
