"""Many members of the network at once: grouped convolutions, and batch norm over all members' channels."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor
from torch.nn import functional as F

CHANNELS_AT_ONCE = 16
"""Filters of the first stage per grouped convolution on a CPU: with more, what a layer gives leaves its cache."""
PICTURES_AT_ONCE = 64
"""Pictures per forward pass in evaluation on a CPU, for the same reason."""
STAGES = ("layer1", "layer2", "layer3")
MOMENTUM = 0.1
"""Share of a batch in batch norm's running statistics, as in torch."""
COUNTS = "num_batches_tracked"

Weights = Mapping[str, Tensor]


def stacked_features(weights: Weights, pixels: Tensor, blocks: int, training: bool) -> Tensor:
    """float32 [M, N, D] of M members, a few at a time in channels_last. Differentiable.

    training: batch norm uses the statistics of all these pixels, and updates the running ones in `weights` in place.
    """
    members, filters = weights["conv1.weight"].shape[:2]
    on_cpu = pixels.device.type == "cpu"
    together = max(1, CHANNELS_AT_ONCE // filters) if on_cpu else members
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    batches = torch.split(pixels, PICTURES_AT_ONCE if on_cpu and not training else len(pixels))
    return torch.cat(
        [
            torch.cat([_Stack(group, blocks, training).features(batch) for batch in batches], dim=1)
            for group in _groups(weights, together)
        ]
    )


def _groups(weights: Weights, together: int) -> Iterator[Weights]:
    """The members in parts: views, so that running statistics are updated where they are."""
    members = len(weights["conv1.weight"])
    for start in range(0, members, together):
        yield {name: tensor[start : start + together] for name, tensor in weights.items()}


class _Stack:
    """Some members as one network whose channels are those of all of them: [N, M*C, H, W]."""

    def __init__(self, weights: Weights, blocks: int, training: bool) -> None:
        self.weights = weights
        self.members = len(weights["conv1.weight"])
        self.blocks = blocks
        self.training = training

    def features(self, pixels: Tensor) -> Tensor:
        """float32 [M, N, D]; all members see the same pixels."""
        kernels = self.weights["conv1.weight"].flatten(0, 1)  # one group: each member's filters see the same picture
        hidden = self._norm(F.conv2d(pixels, kernels, padding=1), "bn1").relu()
        for stage in STAGES:
            for block in range(self.blocks):
                hidden = self._block(hidden, f"{stage}.{block}", 2 if block == 0 and stage != STAGES[0] else 1)
        return hidden.mean((2, 3)).view(len(pixels), self.members, -1).transpose(0, 1)

    def _block(self, pixels: Tensor, name: str, stride: int) -> Tensor:
        hidden = self._norm(self._convolved(pixels, f"{name}.conv1", stride), f"{name}.bn1").relu()
        hidden = self._norm(self._convolved(hidden, f"{name}.conv2", 1), f"{name}.bn2")
        return (hidden + self._shortcut(pixels, hidden.shape[1], stride)).relu()

    def _shortcut(self, pixels: Tensor, channels: int, stride: int) -> Tensor:
        """Every second pixel, and zeros before and after each member's own channels."""
        shortcut = pixels[:, :, ::stride, ::stride]
        added = (channels - shortcut.shape[1]) // self.members
        if not added:
            return shortcut
        before = added // 2
        pictures, _, height, width = shortcut.shape
        each = shortcut.reshape(pictures, self.members, -1, height, width)
        return F.pad(each, (0, 0, 0, 0, before, added - before)).flatten(1, 2)

    def _convolved(self, pixels: Tensor, name: str, stride: int) -> Tensor:
        kernels = self.weights[f"{name}.weight"].flatten(0, 1).contiguous(memory_format=torch.channels_last)
        return F.conv2d(pixels, kernels, stride=stride, padding=1, groups=self.members)

    def _norm(self, pixels: Tensor, name: str) -> Tensor:
        scale, shift = (self.weights[f"{name}.{what}"].flatten() for what in ("weight", "bias"))
        mean, variance = (self.weights[f"{name}.running_{what}"] for what in ("mean", "var"))
        if self.training:
            mean, variance = mean.view(-1), variance.view(-1)  # no copies: they are updated in place
            if (counts := self.weights.get(f"{name}.{COUNTS}")) is not None:
                counts.add_(1)
        return F.batch_norm(pixels, mean.flatten(), variance.flatten(), scale, shift, self.training, MOMENTUM)
