"""Which units of two networks are matched, and which are kept apart: the partial permutation of PLeaS."""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from composer_merging.mixtures import Mixture, of_clusters


def partly_matched(correlation: Tensor, count: int) -> Mixture:
    """The 2n units as `count`: pairs of one unit of each network that correlate best in sum, and the rest apart."""
    units = len(correlation) // 2
    apart = count - units  # of each network
    own = correlation[:units, units:]
    # A unit that is kept apart is given to one of as many empty places on the other side; two of these never meet.
    padded = torch.zeros(units + apart, units + apart, dtype=own.dtype)
    padded[:units, :units] = own
    padded[units:, units:] = -4.0 * (units + 1)
    rows, columns = linear_sum_assignment(padded.numpy(), maximize=True)
    pairs = [(row, column) for row, column in zip(rows.tolist(), columns.tolist(), strict=True)]
    clusters = [[row, units + column] for row, column in pairs if row < units and column < units]
    clusters += [[row] for row, column in pairs if row < units <= column]
    clusters += [[units + column] for row, column in pairs if column < units <= row]
    return of_clusters(clusters, 2 * units)
