"""Which unit of one network is which of another's, by their weights: Git Re-Basin, algorithm 1."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from composer.networks.couplings import Couplings

STATISTICS = ("running_mean", "running_var")
"""What a network does not learn, but meets: it does not count."""
LEAST_GAIN = 1e-9
"""Share of what agrees already by which an order must be better: less is rounding, and might go in circles."""

Weights = Mapping[str, Tensor]
Orders = dict[str, Tensor]


def match_weights(
    couplings: Couplings, own: Weights, other: Weights, sweeps: int, known: Orders | None = None
) -> Orders:
    """For every group the order in which the units of `other` agree best with `own`; those in `known` stay.

    First layer by layer, each by what is in order already, so that the result does not depend on the order in which
    `other` comes; then each layer again and again, given all others.
    """
    orders = dict(known or {})
    free = [name for name in couplings.groups if name not in orders]
    moved = couplings.permuted(other, orders)
    for name in free:
        similarity = _similarity(couplings, name, own, moved, set(couplings.groups) - set(orders))
        orders[name] = assigned(similarity)
        moved = couplings.permuted(moved, {name: orders[name]})
    for _ in range(sweeps):
        changed = False
        for name in free:
            similarity = _similarity(couplings, name, own, moved, set())
            order = assigned(similarity)
            before, after = similarity.trace(), similarity[torch.arange(len(order)), order].sum()
            if after > before + LEAST_GAIN * before.abs():
                moved = couplings.permuted(moved, {name: order})
                orders[name] = orders[name][order]
                changed = True
        if not changed:
            break
    return orders


def assigned(similarity: Tensor) -> Tensor:
    """For each row its column, such that the sum of what they have in common is largest."""
    _, columns = linear_sum_assignment(similarity.numpy(), maximize=True)
    return torch.as_tensor(columns)


def _similarity(couplings: Couplings, name: str, own: Weights, other: Weights, unknown: Iterable[str]) -> Tensor:
    """float64 [units, units]: scalar products of all weights at the units of a group.

    unknown: groups whose order is not known yet: tensors that depend on these count by the sizes of their numbers,
    and only where there are no others.
    """
    group = couplings.groups[name]
    disordered = {(side.tensor, side.axis) for each in unknown if each != name for side in couplings.groups[each].sides}
    sides = [
        (side.tensor, side.axis, side.places)
        for side in group.sides
        if side.tensor in own and not side.tensor.endswith(STATISTICS)
    ]
    vague = {tensor for tensor, _ in disordered}
    certain = [side for side in sides if side[0] not in vague]
    total = torch.zeros(len(group), len(group), dtype=torch.float64)
    for tensor, axis, places in certain or sides:
        rows, others = _rows(own[tensor], axis, places), _rows(other[tensor], axis, places)
        if not certain:
            rows, others = rows.sort(1).values, others.sort(1).values
        total += rows @ others.T
    return total


def _rows(tensor: Tensor, axis: int, places: Tensor) -> Tensor:
    """float64 [units, numbers at each]."""
    chosen = tensor.index_select(axis, places.flatten()).movedim(axis, 0)
    return chosen.reshape(len(places), -1).double()
