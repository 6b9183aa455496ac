"""Criteria that pick a member without labels: from log-odds [M, N] to a number per member [M], the highest picked."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from composer import agreement, tells_apart
from composer_recognition.thresholds import otsu

Floats = NDArray[np.float64]
Sides = NDArray[np.bool_]
RESAMPLES = 50
"""Resamples of the pictures by which stability is judged."""


def bimodality(log_odds: Floats) -> Floats:
    """Sarle's bimodality coefficient (skewness squared + 1) / kurtosis, 5/9 for a uniform and 1 for two points.

    Pfister et al. 2013, doi:10.3389/fpsyg.2013.00700, without the correction for small samples. 0 where all are equal.
    """
    from scipy.stats import kurtosis, skew  # half a second to import

    found = np.zeros(len(log_odds))
    differ = np.ptp(log_odds, axis=1) > 0
    values = _scaled(log_odds[differ])
    found[differ] = (skew(values, axis=1) ** 2 + 1) / kurtosis(values, axis=1, fisher=False)
    return found


def separation(log_odds: Floats) -> Floats:
    """Share of the variance that lies between the two sides of Otsu's cut (Otsu 1979, eq. 17), or 0."""
    return np.asarray([_separation(*pair) for pair in zip(log_odds, otsu(log_odds), strict=True)], dtype=np.float64)


def silhouette(log_odds: Floats) -> Floats:
    """Mean silhouette (Rousseeuw 1987) of the two sides of Otsu's cut; -1 where there is one side only."""
    from sklearn.metrics import silhouette_score  # a second to import

    return _of_sides(log_odds, lambda values, sides: float(silhouette_score(values[:, None], sides)))


def density(log_odds: Floats) -> Floats:
    """Density-based validity (DBCV, Moulavi et al. 2014) of the two sides of Otsu's cut; -1 where there is one side."""
    return _of_sides(log_odds, _density)


def stability(log_odds: Floats, seed: int) -> Floats:
    """Mean adjusted Rand index between Otsu's cut of all pictures and of resampled ones; -1 where there is one side.

    Ben-Hur et al. 2002, "A stability based method for discovering structure in clustered data".
    """
    return _of_sides(log_odds, partial(_stability, seed))


UNDRAWN: dict[str, Callable[[Floats], Floats]] = {
    "agreement": agreement,
    "bimodality": bimodality,
    "separation": separation,
    "silhouette": silhouette,
    "density": density,
}
"""Criteria that draw nothing."""
WORDS = {
    "agreement": "agreement with the other members",
    "bimodality": "most bimodal log-odds",
    "separation": "most variance between the two sides of the log-odds",
    "silhouette": "highest silhouette of the two sides of the log-odds",
    "density": "highest density-based validity of the two sides of the log-odds",
    "stability": "cut of the log-odds that changes least with the pictures",
}


def criterion(name: str, log_odds: Floats, seed: int) -> Floats:
    """[M] of the criterion called `name`; minus infinity for members that tell no pictures apart."""
    values = stability(log_odds, seed) if name == "stability" else UNDRAWN[name](log_odds)
    return np.where(tells_apart(log_odds), values, -np.inf)


def _of_sides(log_odds: Floats, measure: Callable[[Floats, Sides], float]) -> Floats:
    """`measure` of each member's log-odds and the sides of its cut; -1, the lowest there is, for a side alone."""
    each = zip(_scaled(log_odds), otsu(log_odds), strict=True)
    return np.asarray([measure(*pair) if 1 < pair[1].sum() < len(pair[1]) - 1 else -1.0 for pair in each])


def _scaled(log_odds: Floats) -> Floats:
    """With mean 0 and standard deviation 1, so that nothing depends on the scale."""
    centred: Floats = log_odds - log_odds.mean(axis=1, keepdims=True)
    spread = log_odds.std(axis=1, keepdims=True)
    return centred / np.where(spread > 0, spread, 1)


def _separation(values: Floats, sides: Sides) -> float:
    if not sides.any():
        return 0.0
    means = np.where(sides, values[sides].mean(), values[~sides].mean())
    return float(((means - values.mean()) ** 2).mean() / values.var())


def _density(values: Floats, sides: Sides) -> float:
    from hdbscan.validity import validity_index  # a second to import

    try:
        with np.errstate(all="ignore"):
            found = float(validity_index(values[:, None], sides.astype(np.int64)))
    except AssertionError:  # the library's own: no spanning tree where a density is too low for a number
        return -1.0
    return found if np.isfinite(found) else -1.0


def _stability(seed: int, values: Floats, sides: Sides) -> float:
    from sklearn.metrics import adjusted_rand_score  # a second to import

    drawn = values[np.random.default_rng(seed).integers(0, len(values), (RESAMPLES, len(values)))]
    found = []
    for own, cut in zip(drawn, otsu(drawn), strict=True):
        # Where the pictures that were not drawn would fall: above the middle between the two sides.
        again = values > (own[cut].min() + own[~cut].max()) / 2 if cut.any() else np.zeros_like(sides)
        found.append(adjusted_rand_score(sides, again))
    return float(np.mean(found))
