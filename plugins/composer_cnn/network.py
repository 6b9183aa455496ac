"""The network, alone and with the weights of many members stacked."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

AT_ONCE = 8
"""Members per grouped convolution: more makes the CPU's kernels slower, not faster."""


class Network(nn.Module):
    """conv1, ReLU, pool, conv2, ReLU, pool, flatten, fc1."""

    def __init__(self, filters: tuple[int, int], kernel_size: int, features: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, filters[0], kernel_size)
        self.conv2 = nn.Conv2d(filters[0], filters[1], kernel_size)
        self.fc1 = nn.Linear(features, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        """float32 [N, D] from normalised pixels [N, 3, S, S]."""
        hidden = F.max_pool2d(self.conv1(pixels), 2).relu()  # pooling and ReLU commute; this order is faster
        hidden = F.max_pool2d(self.conv2(hidden), 2).relu()
        return hidden.flatten(1)

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.fc1(self.features(pixels))
        return logits


def stacked_features(weights: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
    """float32 [M, N, D] of M members, in grouped convolutions of a few members at a time. Differentiable."""
    members = len(weights["conv1.weight"])
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    chunks = [
        _features(
            weights["conv1.weight"][start : start + AT_ONCE],
            weights["conv1.bias"][start : start + AT_ONCE],
            weights["conv2.weight"][start : start + AT_ONCE],
            weights["conv2.bias"][start : start + AT_ONCE],
            pixels,
        )
        for start in range(0, members, AT_ONCE)
    ]
    return torch.cat(chunks)


def _features(weight1: Tensor, bias1: Tensor, weight2: Tensor, bias2: Tensor, pixels: Tensor) -> Tensor:
    members = len(weight1)
    hidden = F.conv2d(pixels, weight1.flatten(0, 1), bias1.flatten())  # [N, M*O1, ...]
    hidden = F.max_pool2d(hidden, 2).relu()
    hidden = F.conv2d(hidden, weight2.flatten(0, 1), bias2.flatten(), groups=members)  # [N, M*O2, ...]
    hidden = F.max_pool2d(hidden, 2).relu()
    return hidden.unflatten(1, (members, -1)).flatten(2).transpose(0, 1)  # [M, N, D]
