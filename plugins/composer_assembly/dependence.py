"""How concepts hang together, as far as what the parents say of their own pictures shows it."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from math import isnan, pi, sin
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from composer import ComposerError, Dependence, Population, Run

FEWEST = 20
"""Pictures without which no correlation is estimated."""
STRONGEST = 0.95
"""Largest correlation that is taken, either way."""

Floats = NDArray[np.float64]


def dependence_of(
    kind: Literal["independent", "minimum", "copula"], parts: Sequence[Population], run: Run
) -> Dependence:
    """The dependence that is asked for; the correlation of a copula is estimated on `run.pictures`, without labels."""
    if kind != "copula":
        return Dependence(kind)
    said = _said(parts, run)
    if len(said) < 2:
        return Dependence()
    pictures = len(said[0])
    if pictures < FEWEST:
        run.warn(f"product: {pictures} pictures are too few for a copula ({FEWEST} are needed): taken as independent")
        return Dependence()
    correlation = mean_correlation(said)
    if isnan(correlation):
        run.warn("product: a parent answers the same for every picture: no copula, taken as independent")
        return Dependence()
    if correlation < 0 and len(said) > 2:
        run.warn(
            f"product: the mean correlation of {len(said)} concepts is {correlation:.2f}; below 0 they count as "
            "independent, since not all can avoid each other"
        )
    return Dependence("copula", correlation)


def _said(parts: Sequence[Population], run: Run) -> list[Floats]:
    """For each concept the mean log-odds of its networks on all pictures, [N]; those that are not finite left out."""
    if not run.pictures:
        raise ComposerError("product: a copula needs the parents' pictures, and there are none; give `images`")
    each: dict[str, list[Floats]] = {}
    for part in parts:
        of_sets = [part.log_odds(images, run.device).double().numpy() for images in run.pictures]
        part.forget_features()
        log_odds = np.concatenate(of_sets, axis=1)
        finite = np.isfinite(log_odds).all(axis=1)
        if not finite.any():
            raise ComposerError(f"product: no network of {part.concept!r} gives finite log-odds; leave it out")
        each.setdefault(part.concept, []).append(log_odds[finite].mean(axis=0))
    return [np.mean(own, axis=0) for own in each.values()]


def mean_correlation(said: Sequence[Floats]) -> float:
    """Over all pairs of concepts, from Kendall's tau: sin(pi tau / 2), which no rising curve changes."""
    from scipy.stats import kendalltau  # a second to import

    found = [sin(pi / 2 * float(kendalltau(one, other).statistic)) for one, other in combinations(said, 2)]
    return float(np.clip(np.mean(found), -STRONGEST, STRONGEST))
