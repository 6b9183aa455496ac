"""Which units of two networks, or of one of them, are zipped into one: ZipIt's greedy matching."""

from __future__ import annotations

import torch
from torch import Tensor

from composer_merging.mixtures import Mixture, of_clusters


def zipped(correlation: Tensor, count: int, within: float, repeat: float) -> Mixture:
    """The 2n units in `count` clusters: again and again the two that correlate best become one.

    within: of what has to go of each network, the share that may be zipped with units of the same network. repeat: what
    the correlations of a zipped unit, the lower of its two parts', are multiplied by.
    """
    total = len(correlation)
    similarity = correlation.clone()
    similarity.fill_diagonal_(-torch.inf)
    origin = torch.arange(total) >= total // 2
    clusters = {unit: [unit] for unit in range(total)}
    budget = [int((total - count) // 2 * within)] * 2
    for side in range(2):
        _close(similarity, origin, side, budget)
    while len(clusters) > count:
        place = int(similarity.argmax())
        first, second = sorted(divmod(place, total))
        clusters[first] += clusters.pop(second)
        lower = torch.minimum(similarity[first], similarity[second])
        # A negative correlation times a share below 1 would rise.
        again = torch.where(lower > 0, lower * repeat, lower)
        similarity[first], similarity[:, first] = again, again
        similarity[second], similarity[:, second] = -torch.inf, -torch.inf
        similarity[first, first] = -torch.inf
        if origin[first] == origin[second]:
            side = int(origin[first])
            budget[side] -= 1
            _close(similarity, origin, side, budget)
    return of_clusters(list(clusters.values()), total)


def _close(similarity: Tensor, origin: Tensor, side: int, budget: list[int]) -> None:
    """Where a network's budget is used up, its units are zipped with each other no more."""
    if budget[side] <= 0:
        own = origin == side
        similarity[torch.outer(own, own)] = -torch.inf
