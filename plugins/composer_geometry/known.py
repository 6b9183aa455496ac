"""What the parents' own labelled pictures look like to one member of a model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from composer import ComposedModel, ComposerError, Population, Run

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

MOST = 500
"""Pictures that are looked at of each parent, evenly spaced."""


@dataclass(frozen=True)
class Known:
    """One member's features [N, D] of each parent's own pictures, and whether each shows that parent's concept [N].

    heads: how each of the member's heads that tell a concept weighs the features [H, D]; no row where it has none.
    """

    features: tuple[Floats, ...]
    shown: tuple[Flags, ...]
    heads: Floats


def known_of(model: ComposedModel, member: int, run: Run, who: str) -> Known:
    """What one member makes of the pictures in `run.pictures`; ComposerError where there are none.

    A member whose features of them are not finite says nothing: all are 0.
    """
    if not run.pictures:
        raise ComposerError(
            f"{who}: its metric or weights come from the parents' own labelled pictures, and here are none; take "
            "another metric and no weights"
        )
    alone = model.select([member])
    found = []
    for images in run.pictures:
        chosen = images.select(np.linspace(0, len(images) - 1, min(len(images), MOST)).round().astype(np.int64))
        own = alone.features(chosen, run.device)[0].double().numpy()
        found.append((own if np.isfinite(own).all() else np.zeros_like(own), chosen.target))
    width = found[0][0].shape[1]
    heads = [row for row in _heads(alone, width) if np.isfinite(row).all()]
    return Known(
        tuple(features for features, _ in found),
        tuple(shown for _, shown in found),
        np.stack(heads) if heads else np.zeros((0, width)),
    )


def _heads(alone: ComposedModel, width: int) -> Iterator[Floats]:
    """Of each part with a head the slope [D] of its log-odds: on its own body's features, 0 on all others."""
    places, start = {}, 0
    for first in dict.fromkeys(alone.bodies):
        own = _width(alone.parts[first])
        places[first] = None if own is None else slice(start, start + own)
        start += own or 0
    for part, first in zip(alone.parts, alone.bodies, strict=True):
        place = places[first]
        if part.has_head and place is not None and start == width:
            row = np.zeros(width)
            row[place] = _slope(part)
            yield row


def _width(part: Population) -> int | None:
    weight = part.weights.get(f"{part.architecture.head}.weight")
    return None if weight is None else int(weight.shape[-1])


def _slope(part: Population) -> Floats:
    """The outputs that mean the concept against the others, each side's mean."""
    weight = part.weights[f"{part.architecture.head}.weight"][0].double()
    meant = torch.zeros(len(weight), dtype=torch.bool)
    meant[list(part.outputs)] = True
    slope: Floats = (weight[meant].mean(0) - (weight[~meant].mean(0) if not bool(meant.all()) else 0)).numpy()
    return slope
