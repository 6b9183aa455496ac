"""Maps between two populations' kernels that are found in closed form: a ridge regression, and optimal transport."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from composer import KernelSet, Run
from composer_translation import Ridge, Transport
from composer_translation.members import Form

SINKHORN = 500
"""Rounds of Sinkhorn's algorithm."""
SMOOTH = 0.05
"""Entropy that it adds, in units of the mean cost."""

Map = Callable[[Tensor, Tensor], Tensor]
"""From the kernels of one parent [M, W] and those of another [N, W]: the first in the other's domain, [M, W]."""


def ridge(options: Ridge, parents: Sequence[KernelSet], run: Run) -> KernelSet:
    """Each member as the others' pairs say that it looks in the other domain."""
    if min(map(len, parents)) == 1:
        run.warn("ridge: with one pair of members there are no others to learn from, and its result is its partner")
    return _both_ways(options.name, parents, lambda own, other: predicted(own, other, options.strength), run)


def transport(options: Transport, parents: Sequence[KernelSet], run: Run) -> KernelSet:
    """Each member moved towards where optimal transport takes it."""
    return _both_ways(
        options.name, parents, lambda own, other: torch.lerp(own, carried(own, other), options.share), run
    )


def predicted(own: Tensor, other: Tensor, strength: float) -> Tensor:
    """[M, W]: row i by a ridge regression from rows of `own` to those of `other`, fitted to all pairs but the i-th.

    Those beyond the smaller number have no partner, and are predicted from all pairs.
    strength: in units of the mean variance of the members that it is fitted to.
    """
    pairs = min(len(own), len(other))
    found = []
    for place, row in enumerate(own):
        kept = [index for index in range(pairs) if index != place] or [0]
        inputs, outputs = own[kept], other[kept]
        mean, level = inputs.mean(0), outputs.mean(0)
        gram = (inputs - mean) @ (inputs - mean).T
        scale = float(gram.diagonal().mean()) or 1.0
        share = torch.linalg.solve(
            gram + strength * scale * torch.eye(len(kept)).to(gram), (inputs - mean) @ (row - mean)
        )
        found.append(level + share @ (outputs - level))
    return torch.stack(found)


def carried(own: Tensor, other: Tensor) -> Tensor:
    """[M, W]: for each row of `own` the mean of the rows of `other` that optimal transport takes it to.

    By squared distance: of equal numbers the best assignment, of others the entropic plan.
    """
    cost = torch.cdist(own, other).square()
    if len(own) == len(other):
        _, columns = linear_sum_assignment(cost.numpy())
        return other[torch.as_tensor(columns)]
    plan = _sinkhorn(cost)
    return plan @ other / plan.sum(1, keepdim=True)


def _sinkhorn(cost: Tensor) -> Tensor:
    """[M, N]: how much of each row goes where, with an entropy of SMOOTH times the mean cost."""
    kernel = -cost / (SMOOTH * float(cost.mean()) or 1.0)
    rows, columns = torch.zeros(cost.shape[0]).to(cost), torch.zeros(cost.shape[1]).to(cost)
    for _ in range(SINKHORN):
        rows = -torch.logsumexp(kernel + columns, 1) - torch.tensor(float(cost.shape[0])).log()
        columns = -torch.logsumexp(kernel + rows[:, None], 0) - torch.tensor(float(cost.shape[1])).log()
    return (kernel + rows[:, None] + columns).exp()


def _both_ways(name: str, parents: Sequence[KernelSet], changed: Map, run: Run) -> KernelSet:
    """The object's members towards each attribute, then each attribute's towards the object."""
    form = Form.of(parents, name)
    rows = [form.rows(parent) for parent in parents]
    *attributes, last = range(len(parents))
    made, names = [], []
    for source, target in [*((last, other) for other in attributes), *((other, last) for other in attributes)]:
        made.append(changed(rows[source], rows[target]))
        names += [f"{member} -> {parents[target].concept}" for member in parents[source].members]
    if len(set(names)) < len(names):  # parents whose members are only numbered
        names = [f"{place}: {name}" for place, name in enumerate(names)]
    return form.kernels(torch.cat(made), parents, names, name, run)
