"""Spherical linear interpolation."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from composer import ComposerError, KernelSet, Run
from torch import Tensor

STRAIGHT = 1e-4
"""Angle, in radians, below which the circle is a straight line in float32, or beyond pi no single circle."""


def translate(parents: Sequence[KernelSet], position: float, per: str, run: Run) -> KernelSet:
    """As many members as the smaller parent has; ComposerError where the parents' layers differ."""
    first, second = parents
    shapes = [{layer: list(kernels.shape[1:]) for layer, kernels in parent.layers.items()} for parent in parents]
    if shapes[0] != shapes[1]:
        raise ComposerError(
            f"the kernels of {first.concept!r} and {second.concept!r} must have the same layers and shapes, "
            f"not {shapes[0]} and {shapes[1]}; give both concepts one architecture"
        )
    count = min(len(first), len(second))
    left_out = len(first) + len(second) - 2 * count
    if left_out:
        run.warn(f"{left_out} members have no partner and are left out")
    axes = 2 if per == "filter" else 1  # [M, O, I, kH, kW] -> [M, O, I*kH*kW] or [M, O*I*kH*kW]
    layers = {}
    for layer in run.progress(first.layers, "layers", len(first.layers)):
        one, other = first.layers[layer][:count], second.layers[layer][:count]
        layers[layer] = slerp(one.flatten(axes), other.flatten(axes), position).view(one.shape)
    names = zip(first.members[:count], second.members[:count], strict=True)
    return KernelSet(f"{first.concept}+{second.concept}", layers, tuple(" ~ ".join(pair) for pair in names))


def slerp(one: Tensor, other: Tensor, position: float) -> Tensor:
    """Vectors [..., D] whose direction is `position` of the way on the arc, and whose length is of the lengths.

    Where the two point the same or opposite ways, or one is zero, they are interpolated in a straight line.
    """
    lengths = one.norm(dim=-1, keepdim=True), other.norm(dim=-1, keepdim=True)
    tiny = torch.finfo(one.dtype).tiny
    from_, to = (vector / length.clamp(min=tiny) for vector, length in zip((one, other), lengths, strict=True))
    angle = (from_ * to).sum(-1, keepdim=True).clamp(-1, 1).acos()
    # Shoemake 1985: sin((1 - t) w) / sin(w) one + sin(t w) / sin(w) other.
    sine = angle.sin().clamp(min=STRAIGHT / 2)
    turned = ((1 - position) * angle).sin() / sine * from_ + (position * angle).sin() / sine * to
    turned = turned * torch.lerp(*lengths, position)
    no_arc = (angle < STRAIGHT) | (angle > torch.pi - STRAIGHT) | (lengths[0] == 0) | (lengths[1] == 0)
    return torch.where(no_arc, torch.lerp(one, other, position), turned)
