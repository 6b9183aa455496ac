"""Label-free rules that turn log-odds into decisions: bool [M, N], True where a picture counts as the target."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Rule = Callable[[Floats, Sequence[Floats]], NDArray[np.bool_]]


def half(log_odds: Floats, parts: Sequence[Floats] = ()) -> NDArray[np.bool_]:
    """The target is more probable than not: log-odds [M, N] above 0."""
    return log_odds > 0


def concepts(log_odds: Floats, parts: Sequence[Floats]) -> NDArray[np.bool_]:
    """Every part finds its own concept more probable than not; with one part the same as `half`.

    parts: log-odds [M, N] of each part.
    """
    decided: NDArray[np.bool_] = np.minimum.reduce(list(parts)) > 0
    return decided


def otsu(log_odds: Floats, parts: Sequence[Floats] = ()) -> NDArray[np.bool_]:
    """Above the cut with the largest variance between the two sides (Otsu 1979, eq. 18), for each member.

    Every cut between two different values is tried, so there are no bins. No picture is above where all are equal.
    """
    return np.stack([_otsu(values) for values in log_odds])


def mixture(log_odds: Floats, parts: Sequence[Floats] = ()) -> NDArray[np.bool_]:
    """In the upper of two Gaussians of one common variance, for each member; such a mixture has a single cut.

    Expectation-maximisation starts from Otsu's cut, so that nothing is drawn. No picture is above where all are equal.
    """
    return np.stack([_mixture(values) for values in log_odds])


RULES: dict[str, Rule] = {"half": half, "concepts": concepts, "otsu": otsu, "mixture": mixture}


def _otsu(values: Floats) -> NDArray[np.bool_]:
    ordered = np.sort(values)
    cuts = np.flatnonzero(np.diff(ordered)) + 1  # pictures below each cut
    if len(cuts) == 0:
        return np.zeros(len(values), dtype=np.bool_)
    sums = np.cumsum(ordered - ordered.mean())[cuts - 1]
    between = sums**2 / (cuts * (len(values) - cuts))  # variance between the sides, up to a constant factor
    above: NDArray[np.bool_] = values >= ordered[cuts[np.argmax(between)]]
    return above


def _mixture(values: Floats) -> NDArray[np.bool_]:
    from sklearn.mixture import GaussianMixture  # a second to import

    start = _otsu(values)
    if not start.any():
        return start
    scaled = (values - values.mean()) / values.std()  # so that the library's floor under the variance is relative
    means = np.asarray([scaled[~start].mean(), scaled[start].mean()])
    within = np.mean((scaled - means[start.astype(np.int64)]) ** 2)
    fitted = GaussianMixture(
        n_components=2,
        covariance_type="tied",
        weights_init=[1 - start.mean(), start.mean()],
        means_init=means[:, None],
        precisions_init=[[1 / max(within, 1e-6)]],
        max_iter=10_000,  # enough for the slowest climb, where the two Gaussians overlap
    ).fit(scaled[:, None])
    above: NDArray[np.bool_] = fitted.predict(scaled[:, None]) == np.argmax(fitted.means_[:, 0])
    return above
