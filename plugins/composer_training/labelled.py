"""A handful of labelled pictures that students learn beside what their teachers say."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from composer import Expression, Population, Run
from composer_few import handful
from composer_training import Distil


@dataclass(frozen=True)
class Labels:
    """Labelled pictures of the target. pixels: uint8 [n, 3, S, S]. yes: 1 for the target, else 0, [n].

    share: what their mean loss weighs beside the mean loss of the pictures that the teachers speak of.
    """

    pixels: Tensor
    yes: Tensor
    concepts: tuple[str, ...]
    target: Expression
    share: float

    def __len__(self) -> int:
        return len(self.yes)

    def loss(self, said: Tensor) -> Tensor:
        """Weighed mean cross-entropy [M] of the target, of log-odds of each concept [M, n, concepts]."""
        whole = self.target.log_odds(dict(zip(self.concepts, said.unbind(-1), strict=True)))
        yes = self.yes.to(whole).expand_as(whole)
        return self.share * F.binary_cross_entropy_with_logits(whole, yes, reduction="none").mean(1)


def labels_of(options: Distil, parents: list[Population], size: int, taught: int, run: Run) -> Labels | None:
    """The labelled pictures, where the recipe has any. taught: how many pictures the teachers speak of."""
    if options.labels is None:
        return None
    pictures, yes = handful("distil: labels", options.labels, options.labels_most, run.rng())
    if not len(pictures):
        return None
    concepts = tuple(parent.concept for parent in parents)
    share = options.labels_weight * len(pictures) / taught
    target = run.target or Expression.all_of(concepts)
    return Labels(pictures.at(size), torch.from_numpy(yes).float(), concepts, target, share)
