"""The network: He et al. 2015, section 4.2, with option-A shortcuts."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Block(nn.Module):
    """Two 3x3 convolutions added to their input.

    Where the shape changes, the shortcut takes every second pixel and fills the new channels with zeros (option A).
    """

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.stride = stride
        self.added = outputs - inputs

    def forward(self, pixels: Tensor) -> Tensor:
        hidden = F.relu(self.bn1(self.conv1(pixels)))
        hidden = self.bn2(self.conv2(hidden))
        shortcut = pixels[:, :, :: self.stride, :: self.stride]
        if self.added:
            before = self.added // 2
            shortcut = F.pad(shortcut, (0, 0, 0, 0, before, self.added - before))
        return F.relu(hidden + shortcut)


class Network(nn.Module):
    """conv1, three stages of `blocks` blocks, mean over pixels, linear; parameters named as in common checkpoints."""

    def __init__(self, blocks: int, filters: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, filters, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(filters)
        self.layer1 = stage(filters, filters, blocks, stride=1)
        self.layer2 = stage(filters, 2 * filters, blocks, stride=2)
        self.layer3 = stage(2 * filters, 4 * filters, blocks, stride=2)
        self.linear = nn.Linear(4 * filters, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        """float32 [N, D] from normalised pixels [N, 3, S, S]."""
        hidden = F.relu(self.bn1(self.conv1(pixels)))
        hidden = self.layer3(self.layer2(self.layer1(hidden)))
        return torch.mean(hidden, (2, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.linear(self.features(pixels))
        return logits


def stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    return nn.Sequential(Block(inputs, outputs, stride), *(Block(outputs, outputs, 1) for _ in range(blocks - 1)))
