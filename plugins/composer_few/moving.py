"""Heads moved by labels: as far from the parents' own as leave-one-out says that the labels pay for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from composer import Expression

FREEDOMS = (0.1, 0.3, 1.0, 3.0, 10.0)
"""Prior variances that are tried, in squared log-odds: how far labels may move what a parent says of a usual picture.
Chosen, as DOUBT was, on drawn pairs of which nothing is reported (CHOSEN_ON in benchmarks/few.py)."""
FREEDOMS_ALONE = (1.0, 3.0, 10.0, 30.0, 100.0)
"""Of heads that know nothing but the labels."""
DOUBT = 0.5
"""Standard errors of the difference by which a wider prior has to be better than a narrower one (Breiman et al. 1984,
3.4.3, have one standard error)."""
STEPS = 20
HALVINGS = 8
SETTLED = 1e-3
"""Nats by which a step lowers the penalised loss when it is the last."""
ONE = torch.ones(())
LEAST = 1e-9
"""Least weight of a picture in a step: nothing weighs nothing."""


@dataclass(frozen=True)
class Shown:
    """What one member of every parent says of n pictures, the first L of which are labelled; all float64.

    features: of each parent [n, D]. log_odds: of each parent's concept, [C, n]. yes: 1 for the target, else 0, [n]; of
    an unlabelled picture its probability. weighs: of each picture [n], left out 1. echoes: by how much each `yes` would
    differ, had one of the labelled pictures no label, [n, L]; left out, all pictures are labelled.
    """

    concepts: tuple[str, ...]
    target: Expression
    features: Sequence[Tensor]
    log_odds: Tensor
    yes: Tensor
    weighs: Tensor = ONE
    echoes: Tensor | None = None

    @property
    def known(self) -> int:
        """How many of the pictures are labelled."""
        return len(self.yes) if self.echoes is None else self.echoes.shape[1]

    def surprise(self, whole: Tensor, index: slice = slice(None)) -> Tensor:
        """Cross-entropy of each picture, or of some, where log-odds of the target are as given; not weighed."""
        return F.binary_cross_entropy_with_logits(whole, self.yes[index], reduction="none")

    def of_target(self, log_odds: Tensor) -> tuple[Tensor, Tensor]:
        """Log-odds of the target [n], and by how much each parent's log-odds move them, [C, n]."""
        with torch.enable_grad():
            each = log_odds.detach().requires_grad_()
            whole = self.target.log_odds(dict(zip(self.concepts, each, strict=True))).double()
            (slopes,) = torch.autograd.grad(whole.sum(), each)
        return whole.detach(), slopes


@dataclass(frozen=True)
class Moved:
    """What is added to each parent's head, and how well a picture is told that it was not fitted to.

    slopes: of each parent [D]. shifts: [C]. freedom: the prior variance, 0 where nothing moved. spread: what all
    unlabelled pictures together weigh, as a share of what all labelled ones do. losses: of each
    prior that was tried, the mean; chosen: the place of the one that was taken.
    """

    slopes: Sequence[Tensor]
    shifts: Tensor
    freedom: float
    losses: Sequence[float]
    spread: float = 0.0
    chosen: int = 0

    @property
    def loss(self) -> float:
        """Of labelled pictures left out one after another, with the prior that was chosen."""
        return self.losses[self.chosen]


@dataclass(frozen=True)
class _Tried:
    """Weights of the pictures in each parent's head [C, n], and the loss of each labelled picture left out [L]."""

    shown: Shown
    freedom: float
    weights: Tensor
    losses: Tensor
    spread: float = 0.0

    def step(self) -> tuple[list[Tensor], Tensor]:
        """The slopes and shifts that the weights stand for."""
        slopes, shifts = [], []
        for own, weight in zip(self.shown.features, self.weights, strict=True):
            centred, scale = levelled(own)
            slopes.append(self.freedom * (centred * weight[:, None]).sum(0) / scale)
            shifts.append(self.freedom * weight.sum() - slopes[-1] @ own.mean(0))
        return slopes, torch.stack(shifts)


def moved(shown: Shown, *, stay: bool = True, beside: Sequence[tuple[float, Shown]] = ()) -> Moved:
    """The most probable heads under a normal prior about the parents' own, the variance chosen by leave-one-out.

    stay: whether the parents' own heads are among the choices, and doubt decides for the narrower prior.
    beside: the same labelled pictures with unlabelled ones that weigh so much; these too have to be clearly better.
    """
    freedoms = FREEDOMS if stay else FREEDOMS_ALONE
    here, _ = shown.of_target(shown.log_odds)
    tried = [_Tried(shown, 0.0, torch.zeros_like(shown.log_odds), shown.surprise(here))] if stay else []
    for spread, pictures in ((0.0, shown), *beside):
        kernels = torch.stack([own @ own.T / scale + 1 for own, scale in map(levelled, pictures.features)])  # [C, n, n]
        tried += [
            _Tried(pictures, freedom, *_most_probable(pictures, freedom * kernels), spread) for freedom in freedoms
        ]
    losses = torch.stack([one.losses for one in tried])  # [F, L]
    place = _narrowest(losses) if stay else int(losses.mean(1).argmin())
    slopes, shifts = tried[place].step()
    return Moved(slopes, shifts, tried[place].freedom, losses.mean(1).tolist(), tried[place].spread, place)


def levelled(features: Tensor) -> tuple[Tensor, Tensor]:
    """Features less their mean, and their mean square over pictures."""
    centred = features - features.mean(0)
    return centred, centred.square().sum(1).mean().clamp(min=1e-12)


def _narrowest(losses: Tensor) -> int:
    """The first of the rows, each of one prior's losses [n], that is not clearly worse than the best."""
    further = losses - losses[losses.mean(1).argmin()]  # [F, n]
    errors = further.std(1, correction=0) / len(further.T) ** 0.5
    return int((further.mean(1) <= DOUBT * errors).nonzero()[0])


def _most_probable(shown: Shown, kernels: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of the pictures in each parent's head [C, n], and the loss of each picture left out [n]."""
    weights = torch.zeros_like(shown.log_odds)
    value, parts = _penalised(shown, kernels, weights)
    for _ in range(STEPS):
        whole, slopes = shown.of_target(parts)
        full = slopes * _step(shown, kernels, weights, whole, slopes)
        size = 1.0
        for _ in range(HALVINGS):
            tried = weights + size * (full - weights)
            reached, there = _penalised(shown, kernels, tried)
            if reached <= value:
                break
            size /= 2
        else:
            break
        gained, weights, value, parts = value - reached, tried, reached, there
        if gained < SETTLED:
            break
    return weights, _left_out(shown, kernels, parts)


def _penalised(shown: Shown, kernels: Tensor, weights: Tensor) -> tuple[float, Tensor]:
    added = (kernels @ weights[..., None])[..., 0]  # [C, n]
    parts = shown.log_odds + added
    whole, _ = shown.of_target(parts)
    return float((shown.weighs * shown.surprise(whole)).sum() + (weights * added).sum() / 2), parts


def _step(shown: Shown, kernels: Tensor, weights: Tensor, whole: Tensor, slopes: Tensor) -> Tensor:
    """Where Newton's step of the linearised problem leads: one weight a picture, [n] (Rasmussen and Williams, 3.1)."""
    joint, root = _joint(shown, kernels, slopes, whole)
    added = (slopes * (kernels @ weights[..., None])[..., 0]).sum(0)
    wanted = root.square() * added + shown.weighs * (shown.yes - torch.sigmoid(whole))
    inner = torch.eye(len(root), dtype=root.dtype) + root[:, None] * joint * root
    step: Tensor = wanted - root * torch.linalg.solve(inner, root * (joint @ wanted))
    return step


def _joint(shown: Shown, kernels: Tensor, slopes: Tensor, whole: Tensor) -> tuple[Tensor, Tensor]:
    """Prior covariance of the target's log-odds, linearised, [n, n]; the root of each picture's weight [n]."""
    joint = (slopes[:, :, None] * kernels * slopes[:, None, :]).sum(0)
    probable = torch.sigmoid(whole)
    return joint, (shown.weighs * probable * (1 - probable)).clamp(min=LEAST).sqrt()


def _left_out(shown: Shown, kernels: Tensor, parts: Tensor) -> Tensor:
    """Cross-entropy [L] of each labelled picture by heads fitted without it, to first order (Opper and Winther 2000).

    Without it the unlabelled pictures too would be taken for something else, which moves the heads as well.
    """
    whole, slopes = shown.of_target(parts)
    joint, root = _joint(shown, kernels, slopes, whole)
    inner = torch.eye(len(root), dtype=root.dtype) + root[:, None] * joint * root
    some = slice(shown.known)
    spread = joint[:, some] - joint @ (root[:, None] * torch.linalg.solve(inner, root[:, None] * joint[:, some]))
    error = shown.weighs * (shown.yes - torch.sigmoid(whole))
    own = (1 - root[some].square() * spread[some].diagonal()).clamp(min=1e-6)
    change = -spread[some].diagonal() * error[some]
    if shown.echoes is not None:
        change = change + (spread * (shown.weighs[:, None] * shown.echoes)).sum(0)
    return shown.surprise(whole[some] + change / own, some)
