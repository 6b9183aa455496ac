"""Pixels as loaded models take them, brought to the range and the size that a network works on."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from composer.errors import ComposerError

ROUNDING = 1e-3
"""How far float pixels may lie outside of 0..1: half precision and resizing round."""


def in_255(pixels: Tensor) -> Tensor:
    """Pixels in 0..255: uint8 as they are, float ones out of 0..1. ComposerError for anything else."""
    if pixels.dtype == torch.uint8:
        return pixels
    wanted = "pixels must be uint8 in 0..255 or float in 0..1"
    if not pixels.is_floating_point():
        raise ComposerError(f"{wanted}, not {str(pixels.dtype).removeprefix('torch.')}; convert them with .to(uint8)")
    if pixels.numel():
        low, high = (float(value) for value in pixels.detach().aminmax())
        if not (low >= -ROUNDING and high <= 1 + ROUNDING):
            hint = "divide them by 255" if low >= 0 and high <= 255 else "the model normalises them itself"
            raise ComposerError(f"{wanted}, not float from {low:.4g} to {high:.4g}; {hint}")
    return pixels.float() * 255


def resize(pixels: Tensor, size: int) -> Tensor:
    """float32 [N, 3, size, size] from pixels 0..255, bilinear and antialiased as Pillow does.

    uint8 pixels stay whole numbers, as in Pillow; float ones are not rounded, so that gradients pass.
    """
    if pixels.ndim != 4 or pixels.shape[1] != 3:
        raise ComposerError(f"pixels must be [N, 3, height, width], not {list(pixels.shape)}")
    if pixels.shape[-2:] == (size, size):
        return pixels.float()
    resized = F.interpolate(pixels.float(), (size, size), mode="bilinear", antialias=True, align_corners=False)
    return resized.round() if pixels.dtype == torch.uint8 else resized
