"""Label spreading: what labels and parents together say of unlabelled pictures that look like one another."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from sklearn.neighbors import kneighbors_graph
from torch import Tensor

from composer_few.moving import Shown, levelled

WEIGHTS = (1.0,)
"""What all unlabelled pictures together may weigh, as shares of what all labelled ones do. Chosen as FREEDOMS was."""


@dataclass(frozen=True)
class Spread:
    """How labels flow between pictures that are neighbours.

    said: probability of the target for each unlabelled picture [U]. without: the same, had one of the labelled
    pictures no label, [U, L].
    """

    said: Tensor
    without: Tensor


def beside(known: Shown, others: Shown, neighbours: int, alpha: float, *, knowing: bool) -> Shown | None:
    """Labelled pictures and unlabelled ones in one, weighing 1 each together; None where no picture differs.

    others: with any `yes`, which is not looked at. knowing: whether parents count: where they do, an unlabelled picture
    starts from what they say of it, and else from nothing.
    """
    features = [torch.cat(pair) for pair in zip(known.features, others.features, strict=True)]
    log_odds = torch.cat([known.log_odds, others.log_odds], dim=1)
    space = torch.cat([own / scale.sqrt() for own, scale in map(levelled, features)], dim=1)
    if not bool((space - space[0]).abs().amax() > 0):
        return None
    count = len(known.yes)
    before = torch.sigmoid(known.of_target(log_odds)[0]) if knowing else None
    found = spread(affinity(space, neighbours), known.yes, before, alpha)
    unlabelled = len(space) - count
    return Shown(
        known.concepts,
        known.target,
        features,
        log_odds,
        torch.cat([known.yes, found.said]),
        torch.cat([torch.ones_like(known.yes), known.yes.new_full((unlabelled,), count / unlabelled)]),
        torch.cat([torch.zeros(count, count).to(known.yes), found.without - found.said[:, None]]),
    )


def affinity(space: Tensor, neighbours: int) -> Tensor:
    """1 where one of two pictures is among the other's nearest, else 0, [N, N]."""
    found = torch.from_numpy(kneighbors_graph(space.numpy(), neighbours).toarray())
    return torch.maximum(found, found.T)


def spread(affinity: Tensor, yes: Tensor, before: Tensor | None, alpha: float) -> Spread:
    """What labels say of pictures without one (Zhou et al. 2004), as scikit-learn's LabelSpreading converges to it.

    yes: 1 or 0 of the first L pictures. before: the probability of all N that stands where no label is; none,
    as there, nothing stands there. alpha: how much a picture takes from its neighbours, and not from its own start.
    """
    known, count = len(yes), len(affinity)
    root = affinity.sum(1).rsqrt()
    flow = root[:, None] * affinity * root
    start = yes.new_zeros(count, 2) if before is None else torch.stack([before, 1 - before], dim=1)
    labels = torch.stack([yes, 1 - yes], dim=1)
    change = labels - start[:known]
    inverse = (1 - alpha) * torch.linalg.inv(torch.eye(count).to(flow) - alpha * flow)
    each = inverse[known:, :known]  # [U, L]
    reached = inverse[known:] @ start + each @ change  # [U, 2]
    left = reached[:, None] - each[..., None] * change  # [U, L, 2]
    return Spread(_share(reached), _share(left))


def _share(of_kinds: Tensor) -> Tensor:
    """Probability of the first kind; a half where nothing came."""
    total = of_kinds.sum(-1)
    return torch.where(total > 0, of_kinds[..., 0] / total.clamp(min=1e-300), 0.5)


def trials(joint: Shown) -> Sequence[tuple[float, Shown]]:
    """The same pictures with each weight of the unlabelled ones."""
    unlabelled = torch.arange(len(joint.yes)) >= joint.known
    return [
        (weight, replace(joint, weighs=torch.where(unlabelled, weight * joint.weighs, joint.weighs)))
        for weight in WEIGHTS
    ]
