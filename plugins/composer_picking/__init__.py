"""Criteria: which member of a composition is picked, without labels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from composer import Component, Contract, Criterion, Run, hook

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Floats = NDArray[np.float64]


class Agreement(Criterion):
    """Agreement with the other members: how well a member says of the pictures what all of them say.

    By log-odds: the rank correlation of a member's with the mean ranks of all; pictures of equal log-odds share their
    mean rank. Of a composition without log-odds, by features: the centred alignment of a member's similarities between
    pictures with the mean of all members' (equations 1 and 2 of the reference, with a linear kernel).
    """

    name = "agreement"
    picked_by = "agreement with the other members"
    contract = Contract(reference="Kornblith et al. 2019, arXiv:1905.00414 (alignment of features)")

    def values(self, log_odds: Floats | None, features: Sequence[Tensor], run: Run) -> Floats:
        from composer import agreement  # imports numpy

        if log_odds is not None:
            return agreement(log_odds)
        from composer_picking.alignment import alignment  # imports torch

        return alignment(features)


class Stability(Criterion):
    """Stability: how little the two groups that a member parts the pictures into change with the pictures.

    The mean adjusted Rand index between the groups of all pictures and those of 50 resamples of them. By log-odds, the
    groups are the two sides of Otsu's cut (Otsu 1979); of a composition without log-odds they are K-means' two clusters
    in the plane of the first two principal components of the features.
    """

    name = "stability"
    picked_by = "groups of pictures that change least with the pictures"
    contract = Contract(reference="Ben-Hur et al. 2002, A stability based method for discovering structure")

    def values(self, log_odds: Floats | None, features: Sequence[Tensor], run: Run) -> Floats:
        from composer_picking.stability import of_features, of_log_odds  # imports scikit-learn

        return of_features(features, run.seed) if log_odds is None else of_log_odds(log_odds, run.seed)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Agreement, Stability]
