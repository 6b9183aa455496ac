"""Metrics and weights as changes of the features, after which Euclidean distances and cosines say what is wanted."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from composer_geometry.known import Flags, Floats, Known

Transform = Callable[[Floats], Floats]

LEAST = 1e-6
"""Share of a variance below which it counts as rounding."""


def transform_of(metric: str, weights: str, known: Known | None) -> Transform:
    """Features [N, D] -> [N, D].

    euclidean: as they are. cosine: length 1. correlation: less their mean over the features, length 1. rank: each
    picture's features by their rank, then as correlation. mahalanobis: whitened by what varies within the parents'
    classes. weights (none, anova, heads, lda) multiply squared differences of features. Zero stays zero.
    known: the parents' labelled pictures, needed by mahalanobis and by all weights.
    """
    if metric == "mahalanobis":
        assert known is not None, "whitening is estimated on the parents' pictures"
        whitening = whitening_of(known)
        return lambda features: features @ whitening
    scale = None if weights == "none" or known is None else np.sqrt(weights_of(weights, known))

    def transform(features: Floats) -> Floats:
        if metric == "rank":
            features = _ranks(features)
        largest = np.abs(features).max(initial=0)
        if metric in ("rank", "correlation"):
            features = features - features.mean(axis=1, keepdims=True)
        if scale is not None:
            features = features * scale
            largest *= scale.max()
        return features if metric == "euclidean" else _of_length_one(features, largest)

    return transform


def weights_of(kind: str, known: Known) -> Floats:
    """A weight per feature [D], 1 in the mean, to which every concept adds as much; all 1 where nothing is told.

    anova: the F of a concept's labels. heads: the squared slope of the member's own heads. lda: the squared slope of
    linear discriminants with the covariance shrunk as Ledoit and Wolf 2004 have it.
    """
    if kind == "heads":
        each: Sequence[Floats] = list(known.heads**2)
    else:
        of_concept = anova if kind == "anova" else _discriminant
        each = [of_concept(own, shown) for own, shown in zip(known.features, known.shown, strict=True)]
    each = [own / own.sum() for own in each if own.sum() > 0]
    width = known.features[0].shape[1]
    return np.mean(each, axis=0) * width if each else np.ones(width)


def anova(features: Floats, shown: Flags) -> Floats:
    """The F statistic [D] of two classes; 0 for a feature that does not vary, at most 1 / LEAST of N otherwise."""
    if shown.all() or not shown.any():
        return np.zeros(features.shape[1])
    centred = features - features.mean(axis=0)
    total = (centred**2).sum(axis=0)
    within = sum(((features[kind] - features[kind].mean(axis=0)) ** 2).sum(axis=0) for kind in (shown, ~shown))
    varies = total > LEAST**2 * np.maximum((features**2).sum(axis=0), np.finfo(np.float64).tiny)
    spread = np.where(varies, np.maximum(within, LEAST * total), 1)
    return np.where(varies, (total - np.minimum(within, total)) / spread * max(len(features) - 2, 1), 0)


def whitening_of(known: Known) -> Floats:
    """The inverse root [D, D] of the covariance within the parents' classes, shrunk (Ledoit and Wolf 2004)."""
    from sklearn.covariance import ledoit_wolf  # a second to import

    classes = [
        own[kind]
        for own, shown in zip(known.features, known.shown, strict=True)
        for kind in (shown, ~shown)
        if kind.any()
    ]
    centred = np.concatenate([own - own.mean(axis=0) for own in classes])
    covariance, _ = ledoit_wolf(centred, assume_centered=True)
    values, vectors = np.linalg.eigh(covariance)
    if values[-1] <= 0:
        return np.eye(len(values))
    return np.asarray((vectors / np.sqrt(np.maximum(values, LEAST * values[-1]))) @ vectors.T)


def _discriminant(features: Floats, shown: Flags) -> Floats:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis  # a second to import

    varies = features.std(axis=0) > LEAST * np.abs(features).max(initial=0)
    found = np.zeros(features.shape[1])
    if varies.any() and shown.sum() > 1 and (~shown).sum() > 1:
        fitted = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto").fit(features[:, varies], shown)
        found[varies] = fitted.coef_[0] ** 2
    return found


def _ranks(features: Floats) -> Floats:
    from scipy.stats import rankdata  # half a second to import

    ranks: Floats = rankdata(features, axis=1)
    return ranks


def _of_length_one(features: Floats, largest: float) -> Floats:
    """Rows of length 1; 0 where the length is within rounding of the `largest` number that went in."""
    lengths = np.linalg.norm(features, axis=1, keepdims=True)
    noise = np.finfo(np.float32).eps * largest * features.shape[1] ** 0.5
    return np.where(lengths > noise, features / np.where(lengths > noise, lengths, 1), 0)
