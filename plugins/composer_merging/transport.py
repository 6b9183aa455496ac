"""Where the units of other networks are carried so that the first network's units are met at the least cost."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from composer_merging.by_activations import assigned
from composer_merging.mixtures import Mixture


def carried(products: Sequence[Tensor], networks: int) -> Mixture:
    """Each unit of the first network and those carried there, as their mean.

    products: mean products [K * n, K * n] of what units answer, one of each view; the cost is the squared distance of
    answers. All networks have n units of the same mass, so that a cheapest plan is a permutation.
    """
    units = len(products[0]) // networks
    plans = [torch.eye(units, dtype=torch.float64)]
    for number in range(1, networks):
        own = slice(number * units, (number + 1) * units)
        # |a - b|^2 = aa + bb - 2ab, of which a permutation changes the last alone.
        order = assigned(torch.stack([each[:units, own] for each in products]).sum(0))
        plans.append(torch.eye(units, dtype=torch.float64)[:, order])  # [theirs, ours]
    read = torch.cat(plans)
    return Mixture(read.T / networks, read)
