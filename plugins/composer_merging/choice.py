"""Which of the units of two networks side by side are kept: those out of which the others can be told."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from composer_merging.mixtures import Mixture

NOTHING = 1e-9
"""Share of its variance that is rounding: a unit of which no more is left can be told by those that are kept."""


def chosen(covariance: Tensor, demand: Tensor, count: int) -> Mixture:
    """The `count` units that are chosen one after the other; the others are read out of them."""
    return of_kept(in_order(covariance, demand, count), covariance)


def in_order(covariance: Tensor, demand: Tensor, count: int) -> list[int]:
    """The first `count` units, each the one that explains most of what those before it leave missing.

    What is missing counts as the next layers' weights, `demand`, make it count.
    """
    rest, kept = covariance.clone(), []
    floor = NOTHING * covariance.diag().clamp(min=torch.finfo(torch.float64).tiny)
    free = torch.ones(len(covariance), dtype=torch.bool)
    for _ in range(count):
        left = rest.diag()
        worth = ((demand @ rest) * rest).sum(0) / left.clamp(min=torch.finfo(torch.float64).tiny)
        worth = torch.where(left > floor, worth, -1.0)
        unit = int(torch.where(free, worth, -torch.inf).argmax())
        free[unit] = False
        kept.append(unit)
        if left[unit] > floor[unit]:
            rest = rest - torch.outer(rest[:, unit], rest[unit]) / left[unit]
    return kept


def of_kept(units: Sequence[int], covariance: Tensor) -> Mixture:
    """These units as they are; those that are left out are read out of them by linear regression."""
    kept = sorted(units)
    within = covariance[kept][:, kept]
    read = covariance[:, kept] @ torch.linalg.pinv(within, hermitian=True, rtol=NOTHING)
    exact = torch.eye(len(kept), dtype=torch.float64)
    read[kept] = exact
    made = torch.zeros(len(kept), len(covariance), dtype=torch.float64)
    made[:, kept] = exact
    return Mixture(made, read)
