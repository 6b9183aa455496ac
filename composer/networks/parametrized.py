"""Parameters that a file keeps in pieces, pruned or weight-normed ones, as the one tensor that the network uses."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

Join = Callable[[Tensor, Tensor], Tensor]


def plain_parameters(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same tensors with each pair of pieces replaced by what torch computes of it before every use."""
    plain = dict(tensors)
    for name in tensors:
        for ending, other, whole, join in PIECES:
            if not name.endswith(ending):
                continue
            start = name.removesuffix(ending)
            second = tensors.get(start + other)
            parameter = start + whole
            if second is None or parameter in tensors or not _fit(tensors[name], second, join):
                continue
            plain[parameter] = join(tensors[name], second)
            del plain[name], plain[start + other]
    return plain


def _fit(first: Tensor, second: Tensor, join: Join) -> bool:
    if join is _pruned:
        return first.shape == second.shape
    if first.ndim != second.ndim:  # a single number for the whole tensor
        return first.numel() == 1
    return all(one in (1, other) for one, other in zip(first.shape, second.shape, strict=True))


def _pruned(original: Tensor, mask: Tensor) -> Tensor:
    return original * mask


def _weight_normed(length: Tensor, direction: Tensor) -> Tensor:
    """Each vector of `direction` with the length that is told for it."""
    if length.ndim != direction.ndim or length.numel() == 1:
        whole: Tensor = length.flatten()[0] / torch.linalg.vector_norm(direction)
        return direction * whole
    over = [axis for axis, size in enumerate(length.shape) if size == 1]
    each: Tensor = length / torch.linalg.vector_norm(direction, dim=over, keepdim=True)
    return direction * each


PIECES: tuple[tuple[str, str, str, Join], ...] = (
    ("_orig", "_mask", "", _pruned),
    (".weight_g", ".weight_v", ".weight", _weight_normed),
    (
        ".parametrizations.weight.original0",
        ".parametrizations.weight.original1",
        ".weight",
        _weight_normed,
    ),
)
"""Endings of the two pieces' names, the ending of the parameter, and how the pieces make it."""
