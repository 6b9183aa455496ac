"""Agreement by features: whose similarities between pictures are like those of all members."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def alignment(features: Sequence[Tensor]) -> NDArray[np.float64]:
    """Centred kernel alignment [M] of each member's similarities with the mean of all, from M times [N, D]."""
    total = torch.zeros(len(features[0]), len(features[0]), dtype=torch.float64)
    for own in features:
        total += similarities(own)
    length = total.norm()
    return np.asarray([float((similarities(own) * total).sum() / length) for own in features], dtype=np.float64)


def similarities(features: Tensor) -> Tensor:
    """Inner products [N, N] of centred features [N, D], as a matrix of length 1."""
    centred = features.double() - features.double().mean(0)
    products: Tensor = centred @ centred.T
    return products.div(products.norm())
