"""Which clusters mean the target, by what the parents say of their pictures: no label enters."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from composer import ComposerError, Images, Population, Run

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Labels = NDArray[np.int64]

NOISE = -1


@dataclass(frozen=True)
class Beliefs:
    """The parents' log-odds on the test pictures: of the target [N], and each of its own concept [P, N]."""

    target: Floats
    each: Floats


def beliefs_of(images: Images, run: Run, asks: str = "name_by_parents") -> Beliefs:
    """The parents' log-odds, each the mean over a parent's members; of the target combined as it asks.

    asks: the option that asks for them, as an error names it.
    """
    if not run.parents:
        raise ComposerError(f"clusters: {asks} asks the parents, and here are none; leave it out")
    each = {parent.concept: _mean_log_odds(parent, images, run.device, asks) for parent in run.parents}
    asked = images.expression.restricted(tuple(each))
    if asked is None or asked.is_certain:
        raise ComposerError(f"clusters: {asks}: {', '.join(each)} say nothing of {images.expression}")
    target: Floats = asked.log_odds(each).double().numpy()
    return Beliefs(target, torch.stack(list(each.values())).double().numpy())


def parents_said(images: Images, run: Run) -> Floats:
    """The parents' log-odds [N] of the target."""
    return beliefs_of(images, run).target


def _mean_log_odds(parent: Population, images: Images, device: str, asks: str) -> torch.Tensor:
    if not parent.has_head:
        raise ComposerError(f"clusters: {asks}: {parent.why_no_log_odds}")
    each = parent.log_odds(images, device)
    finite = each.isfinite().all(dim=1)
    if not bool(finite.any()):
        raise ComposerError(
            f"clusters: {asks}: no network of {parent.concept!r} gives finite answers; their training has "
            f"diverged: lower the learning rate, or leave {asks} out"
        )
    return each[finite].mean(dim=0)


def named_by(said: Floats, labels: Labels, clusters: Sequence[int], two: bool) -> Flags:
    """Whether each cluster is the target's [C].

    two: the one of two clusters of which the parents are surer in the mean. Else those of which more than half are the
    target to them; where there is none, the one of which they are surest. Noise is never the target's.
    """
    own = [said[labels == cluster] for cluster in clusters]
    sure = np.asarray([one.mean() if len(one) else -np.inf for one in own])
    sure[np.asarray(clusters) == NOISE] = -np.inf
    surest: Flags = np.arange(len(clusters)) == int(np.argmax(sure))
    if two:
        return surest
    most: Flags = np.asarray([len(one) > 0 and float((one > 0).mean()) > 0.5 for one in own]) & np.isfinite(sure)
    found: Flags = most if most.any() else surest & np.isfinite(sure)
    return found
