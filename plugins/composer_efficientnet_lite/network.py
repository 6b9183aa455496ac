"""The network: inverted bottlenecks without squeeze-and-excitation, ReLU6 throughout."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F

STAGES = (  # repeats, kernel size, stride, expansion, filters
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
STEM = 32
FEATURES = 1280
PICTURES_AT_ONCE = 4
"""Pictures per forward pass on a CPU; with more, the widest layers (19 MB for 4) leave its cache."""


class SameConv(nn.Conv2d):
    """A convolution padded as TensorFlow's SAME: an odd pixel of padding goes to the right and to the bottom."""

    def forward(self, pixels: Tensor) -> Tensor:
        height, width = (self._missing(side) for side in pixels.shape[-2:])
        if height == width and height % 2 == 0:
            return F.conv2d(pixels, self.weight, None, self.stride, height // 2, 1, self.groups)
        padding = (width // 2, width - width // 2, height // 2, height - height // 2)
        return F.conv2d(F.pad(pixels, padding), self.weight, None, self.stride, 0, 1, self.groups)

    def _missing(self, side: int) -> int:
        stride = self.stride[0]
        return max((ceil(side / stride) - 1) * stride + self.kernel_size[0] - side, 0)


def same_conv(inputs: int, outputs: int, size: int, stride: int = 1, groups: int = 1) -> SameConv:
    return SameConv(inputs, outputs, size, stride, groups=groups, bias=False)


def norm(filters: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(filters, eps=1e-3, momentum=0.01)


class Block(nn.Module):
    """Expand, filter each channel by itself, project; added to its input where the shapes allow."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        self.expands = expansion != 1
        self.adds = stride == 1 and inputs == outputs
        if self.expands:
            self._expand_conv = same_conv(inputs, wide, 1)
            self._bn0 = norm(wide)
        self._depthwise_conv = same_conv(wide, wide, size, stride, groups=wide)
        self._bn1 = norm(wide)
        self._project_conv = same_conv(wide, outputs, 1)
        self._bn2 = norm(outputs)

    def forward(self, pixels: Tensor) -> Tensor:
        hidden = F.relu6(self._bn0(self._expand_conv(pixels))) if self.expands else pixels
        hidden = F.relu6(self._bn1(self._depthwise_conv(hidden)))
        hidden = self._bn2(self._project_conv(hidden))
        combined: Tensor = hidden + pixels if self.adds else hidden
        return combined


class Network(nn.Module):
    """Parameters are named as in the published weights, which so can be read as they are."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self._conv_stem = same_conv(3, STEM, 3, stride=2)
        self._bn0 = norm(STEM)
        self._blocks = nn.Sequential()
        filters = STEM
        for repeats, size, stride, expansion, wanted in STAGES:
            for repeat in range(repeats):
                self._blocks.append(Block(filters, wanted, size, stride if repeat == 0 else 1, expansion))
                filters = wanted
        self._conv_head = same_conv(filters, FEATURES, 1)
        self._bn1 = norm(FEATURES)
        self._fc = nn.Linear(FEATURES, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        """float32 [N, 1280] from normalised pixels [N, 3, S, S]."""
        hidden = F.relu6(self._bn0(self._conv_stem(pixels)))
        hidden = F.relu6(self._bn1(self._conv_head(self._blocks(hidden))))
        return hidden.mean((2, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self._fc(self.features(pixels))
        return logits


class Features(nn.Module):
    """Calls `network.features`, which functional_call cannot name."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Network(outputs=1)

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network.features(pixels)


def stacked_features(weights: Mapping[str, Tensor], pixels: Tensor, training: bool) -> Tensor:
    """float32 [M, N, 1280] of M members, a few pictures at a time in channels_last. Differentiable."""
    with torch.device("meta"):
        network = Features().train(training)
    body = {name: tensor for name, tensor in weights.items() if not name.startswith("_fc.")}
    members = len(next(iter(body.values())))
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    in_parts = pixels.device.type == "cpu" and not training  # batch norm trains on the statistics of the whole batch
    batches = torch.split(pixels, PICTURES_AT_ONCE if in_parts else len(pixels))
    features = []
    for member in range(members):
        own = {f"network.{name}": channels_last(tensor[member]) for name, tensor in body.items()}
        features.append(torch.cat([functional_call(network, own, (batch,)) for batch in batches]))
    return torch.stack(features)


def channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
