"""Ways of picking that no component offers, since they lose: from log-odds [M, N], or from clusters, to values [M]."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import silhouette_score

from composer_clustering.methods import NOISE
from composer_clustering.objectives import WORST, validity_of
from composer_picking.stability import otsu

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
Sides = NDArray[np.bool_]


def by_position(log_odds: Floats) -> Floats:
    """Agreement as it was: equal log-odds are ranked by their position, and dead members count as any other."""
    ranks = log_odds.argsort(axis=1, kind="stable").argsort(axis=1, kind="stable").astype(np.float64)
    centred = ranks - ranks.mean(axis=1, keepdims=True)
    mean = centred.mean(axis=0)
    return np.asarray(centred @ mean / np.linalg.norm(centred, axis=1) / max(np.linalg.norm(mean), 1e-12))


def bimodality(log_odds: Floats) -> Floats:
    """Sarle's bimodality coefficient (skewness squared + 1) / kurtosis, 5/9 for a uniform and 1 for two points.

    Pfister et al. 2013, doi:10.3389/fpsyg.2013.00700, without the correction for small samples.
    """
    from scipy.stats import kurtosis, skew

    values = _scaled(log_odds)
    return np.asarray((skew(values, axis=1) ** 2 + 1) / kurtosis(values, axis=1, fisher=False))


def separation(log_odds: Floats) -> Floats:
    """Share of the variance that lies between the two sides of Otsu's cut (Otsu 1979, eq. 17)."""
    return _of_sides(log_odds, _separation)


def silhouette(log_odds: Floats) -> Floats:
    """Mean silhouette (Rousseeuw 1987) of the two sides of Otsu's cut; -1 where there is one side only."""
    return _of_sides(log_odds, lambda values, sides: float(silhouette_score(values[:, None], sides)))


def density(log_odds: Floats) -> Floats:
    """Density-based validity (DBCV, Moulavi et al. 2014) of the two sides of Otsu's cut; -1 where there is one side."""
    return _of_sides(log_odds, lambda values, sides: validity_of(values[:, None], sides.astype(np.int64)))


OF_LOG_ODDS: Mapping[str, Callable[[Floats], Floats]] = {
    "bimodality": bimodality,
    "separation": separation,
    "silhouette": silhouette,
    "density": density,
}


def agreement_of(labels: Labels) -> Floats:
    """[M] of members' clusters [M, N]: correlation, over pairs of pictures, of being together with how often all are.

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


def _of_sides(log_odds: Floats, measure: Callable[[Floats, Sides], float]) -> Floats:
    """`measure` of each member's log-odds and the sides of its cut; -1, the lowest there is, for a side alone."""
    each = [(values, otsu(values)(values)) for values in _scaled(log_odds)]
    found = [measure(values, sides) if 1 < sides.sum() < len(sides) - 1 else WORST for values, sides in each]
    return np.asarray(found, dtype=np.float64)


def _separation(values: Floats, sides: Sides) -> float:
    means = np.where(sides, values[sides].mean(), values[~sides].mean())
    return float(((means - values.mean()) ** 2).mean() / values.var())


def _scaled(log_odds: Floats) -> Floats:
    """With mean 0 and standard deviation 1, so that nothing depends on the scale."""
    centred: Floats = log_odds - log_odds.mean(axis=1, keepdims=True)
    spread = log_odds.std(axis=1, keepdims=True)
    return centred / np.where(spread > 0, spread, 1)
