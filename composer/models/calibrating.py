"""How sure a network of a union may be: its temperature, and how it tells that a picture shows none of its classes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from composer.errors import ComposerError
from composer.models.union import Knower

FEWEST = 20
"""Pictures without which nothing is measured."""
FEWEST_OF_OWN = 10
"""Labelled pictures of a network's own classes, and of others, below which nothing is fitted to labels."""
SHARPEST = 0.5
"""Temperature below which a network has probably learned from the pictures: of others, networks are too sure."""
MOST = 0.99
"""Share of the pictures that a network which knows all classes may have: log-odds of one would be infinite."""
RANGE = 0.02, 50.0
"""Temperatures that are looked at."""


def calibrated(
    knower: Knower,
    logits: Tensor,
    labels: Sequence[str | None],
    union: Sequence[str],
    who: str,
    *,
    beside: bool = False,
) -> tuple[Knower, list[str]]:
    """The network with its temperature and its sense of `none of mine`, and notes on what could not be measured.

    logits: [N, K] of pictures. labels: the class of each, None where nobody says it. who: the network, in words.
    beside: whether pictures show classes of other networks beside its own. Where labels say it, temperature (Guo et al.
    2017, arXiv:1706.04599) and slope and offset of the score (Platt 1999) are fitted by likelihood; else the score is
    brought to mean 0 and variance 1 over all pictures, and classes are taken to be equally frequent. ComposerError
    where the score is the same for all pictures.
    """
    notes: list[str] = []
    shown = np.array([label is not None for label in labels])
    own = np.array([label in knower.own for label in labels])
    score = knower.score(logits).double()
    spread = float(score.std(correction=0))
    if knower.way != "softmax" and not spread > 1e-6 * max(1.0, float(score.abs().max())):
        raise ComposerError(f"{who}: says the same of all pictures; its weights are broken, or its preprocessing wrong")
    share = min(len(knower.own) / len(union), MOST)
    slope = 1 / spread if spread else 0.0
    found = replace(
        knower, slope=slope, offset=-slope * float(score.mean()) + float(np.log(share / (1 - share))), share=share
    )
    if own.sum() < FEWEST_OF_OWN:
        there = f"{own.sum()} labelled pictures of its classes" if shown.any() else "no labelled pictures"
        return found, [f"{who}: not calibrated: {there} ({FEWEST_OF_OWN} are the fewest)"]
    rows = torch.tensor([knower.own.index(label) for label in labels if label in knower.own])
    temperature = _temperature(logits[torch.from_numpy(own)][:, knower.rows], rows)
    if temperature < SHARPEST:
        notes.append(
            f"{who}: is righter than it says on these pictures (temperature {temperature:.2f}): has it learned from "
            "them? Then it will be too sure of others; give pictures that it has not learned from"
        )
    found = replace(found, temperature=temperature, calibrated=True)
    others = shown & ~own
    if knower.way == "softmax":
        return found, notes
    if others.sum() < FEWEST_OF_OWN and beside:
        notes.append(
            f"{who}: {others.sum()} labelled pictures show none of its classes ({FEWEST_OF_OWN} are the fewest): it is "
            "taken that as good as all pictures show one"
        )
        return _by_share(found, int(own.sum()), int(others.sum())), notes
    if others.sum() < FEWEST_OF_OWN:
        if set(union) != set(knower.own):
            notes.append(
                f"{who}: {others.sum()} labelled pictures of classes that it does not know ({FEWEST_OF_OWN} are the "
                "fewest): that a picture shows none of its own is told without labels"
            )
        return found, notes
    fitted = _platt(score[torch.from_numpy(shown)].numpy(), own[shown])
    if fitted[0] <= 0:
        notes.append(f"{who}: does not tell pictures of its own classes from others: its {knower.way} is no higher")
        return _by_share(found, int(own.sum()), int(others.sum())) if beside else found, notes
    return replace(found, slope=fitted[0], offset=fitted[1], share=float(own[shown].mean())), notes


def _by_share(knower: Knower, own: int, others: int) -> Knower:
    """The network for which a picture shows one of its classes as often as so many labelled ones do, by Laplace's rule.

    Of classes that exclude each other that would be no sense of `none of mine`; beside those of other networks it is.
    """
    odds = (own + 1) / (others + 1)
    return replace(knower, slope=0.0, offset=float(np.log(odds)), share=min(odds / (1 + odds), MOST))


def _temperature(logits: Tensor, rows: Tensor) -> float:
    """What divides the logits so that the true classes [N] are likeliest.

    One picture more than there are, and a second of another class than is said (Laplace's rule of succession), keep it
    finite where all are told rightly.
    """
    classes = logits.shape[1]
    if classes == 1:
        return 1.0
    from scipy.optimize import minimize_scalar  # takes a while to import

    doubt = classes / (classes - 1) / (len(rows) + 2)  # of which a share of 1 / classes falls to the true class

    def loss(log_temperature: float) -> float:
        scaled = logits.double() / float(np.exp(log_temperature))
        return float(F.cross_entropy(scaled, rows, label_smoothing=doubt))

    low, high = np.log(RANGE)
    return float(np.exp(minimize_scalar(loss, bounds=(low, high), method="bounded").x))


def _platt(score: NDArray[np.float64], mine: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of the log-odds of `mine`, with Platt's targets, which keep both finite."""
    from scipy.optimize import minimize

    mean, spread = score.mean(), score.std()
    scaled = (score - mean) / spread
    yes, no = mine.sum(), (~mine).sum()
    target = np.where(mine, (yes + 1) / (yes + 2), 1 / (no + 2))

    def loss(values: NDArray[np.float64]) -> float:
        said = values[0] * scaled + values[1]
        return float((np.logaddexp(0, said) - target * said).mean())

    slope, offset = minimize(loss, np.array([1.0, 0.0]), method="BFGS").x
    return float(slope / spread), float(offset - slope * mean / spread)
