"""Which clusters mean the target, by what the parents say of their pictures: no label enters."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from composer import ComposerError, Images, Population, Run

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
Labels = NDArray[np.int64]

NOISE = -1


def parents_said(images: Images, run: Run) -> Floats:
    """The parents' log-odds [N] of the target: each parent's are the mean over its members, combined as it asks."""
    if not run.parents:
        raise ComposerError("clusters: name_by_parents asks the parents, and here are none; leave it out")
    each = {parent.concept: _mean_log_odds(parent, images, run.device) for parent in run.parents}
    asked = images.expression.restricted(tuple(each))
    if asked is None or asked.is_certain:
        raise ComposerError(f"clusters: name_by_parents: {', '.join(each)} say nothing of {images.expression}")
    found: Floats = asked.log_odds(each).double().numpy()
    return found


def _mean_log_odds(parent: Population, images: Images, device: str) -> torch.Tensor:
    if not parent.has_head:
        raise ComposerError(f"clusters: name_by_parents: {parent.why_no_log_odds}")
    each = parent.log_odds(images, device)
    finite = each.isfinite().all(dim=1)
    if not bool(finite.any()):
        raise ComposerError(
            f"clusters: name_by_parents: no network of {parent.concept!r} gives finite answers; their training has "
            "diverged: lower the learning rate, or leave name_by_parents out"
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
