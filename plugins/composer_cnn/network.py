"""The network, alone and with the weights of many members stacked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MEMBERS_AT_ONCE = 8
"""Members per grouped convolution: more makes the CPU's kernels slower, not faster."""
PICTURES_AT_ONCE = 64
"""Pictures per convolution: a larger output lies in fresh pages of memory each time, which costs much of the work."""


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
    """float32 [M, N, D] of M members: grouped convolutions of a few members and pictures at a time. Differentiable."""
    names = ("conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias")
    groups = zip(*(torch.split(weights[name], MEMBERS_AT_ONCE) for name in names), strict=True)
    batches = torch.split(pixels.contiguous(memory_format=torch.channels_last), PICTURES_AT_ONCE)
    return torch.cat([torch.cat([_features(group, batch) for batch in batches], dim=1) for group in groups])


def _features(group: Sequence[Tensor], pixels: Tensor) -> Tensor:
    weight1, bias1, weight2, bias2 = group
    members = len(weight1)
    hidden = F.conv2d(pixels, weight1.flatten(0, 1), bias1.flatten())  # [N, M*O1, ...]
    hidden = F.max_pool2d(hidden, 2).relu()
    hidden = F.conv2d(hidden, weight2.flatten(0, 1), bias2.flatten(), groups=members)  # [N, M*O2, ...]
    hidden = F.max_pool2d(hidden, 2).relu()
    return hidden.reshape(len(pixels), members, -1).transpose(0, 1)  # [M, N, D]
