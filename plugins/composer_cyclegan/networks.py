"""The study's networks. Their input is [N, I, O, kH, kW]: a kernel's inputs are channels, its outputs the depth."""

from __future__ import annotations

from math import prod
from typing import TypeVar

import torch
from torch import Tensor, nn

Network = TypeVar("Network", bound=nn.Module)


class Generator(nn.Module):
    """Two 3x3x3 convolutions, through `hidden` channels and back; Tanh keeps what comes out in (-1, 1)."""

    def __init__(self, channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv3d(channels, hidden, 3, padding=1),
            nn.ReLU(),
            nn.Conv3d(hidden, channels, 3, padding=1),
            nn.Tanh(),
        )

    def forward(self, kernels: Tensor) -> Tensor:
        translated: Tensor = self.main(kernels)
        return translated


class Discriminator(nn.Module):
    """Two 3x3x3 convolutions: a score for every place [N, 1, O, kH, kW], 1 for real and 0 for translated.

    A patch discriminator for least-squares losses (Zhu et al. 2017, section 4) as small as the generator.
    """

    def __init__(self, channels: int, hidden: int = 64) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv3d(channels, hidden, 3, padding=1),
            nn.LeakyReLU(0.2),
            nn.Conv3d(hidden, 1, 3, padding=1),
        )

    def forward(self, kernels: Tensor) -> Tensor:
        scores: Tensor = self.main(kernels)
        return scores


def fresh(kind: type[Network], channels: int, hidden: int, generator: torch.Generator) -> Network:
    """A network with PyTorch's usual initial weights, drawn from `generator` instead of the global state."""
    with torch.device("meta"):
        network = kind(channels, hidden)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv3d):
                bound = prod(module.weight.shape[1:]) ** -0.5  # 1 / sqrt(fan in)
                for parameter in module.parameters():
                    parameter.uniform_(-bound, bound, generator=generator)
    return network
