"""The study's networks. Their input is [N, I, O, kH, kW]: a kernel's inputs are channels, its outputs the depth."""

from __future__ import annotations

from math import prod
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

Network = TypeVar("Network", bound=nn.Module)


class Generator(nn.Module):
    """Two 3x3x3 convolutions, through `hidden` channels and back; Tanh keeps what comes out in (-1, 1).

    side: of the convolutions; with 1 they are two linear layers.
    """

    def __init__(self, channels: int, hidden: int = 64, side: int = 3) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv3d(channels, hidden, side, padding=side // 2),
            nn.ReLU(),
            nn.Conv3d(hidden, channels, side, padding=side // 2),
            nn.Tanh(),
        )

    def forward(self, kernels: Tensor) -> Tensor:
        translated: Tensor = self.main(kernels)
        return translated


class Discriminator(nn.Module):
    """Two 3x3x3 convolutions: a score for every place [N, 1, O, kH, kW], 1 for real and 0 for translated.

    A patch discriminator for least-squares losses (Zhu et al. 2017, section 4) as small as the generator.
    """

    def __init__(self, channels: int, hidden: int = 64, side: int = 3) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv3d(channels, hidden, side, padding=side // 2),
            nn.LeakyReLU(0.2),
            nn.Conv3d(hidden, 1, side, padding=side // 2),
        )

    def forward(self, kernels: Tensor) -> Tensor:
        scores: Tensor = self.main(kernels)
        return scores


def fresh(kind: type[Network], channels: int, hidden: int, generator: torch.Generator, side: int = 3) -> Network:
    """A network with PyTorch's usual initial weights, drawn from `generator` instead of the global state."""
    with torch.device("meta"):
        network = kind(channels, hidden, side)
    network.to_empty(device="cpu")
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.Conv3d):
                bound = prod(module.weight.shape[1:]) ** -0.5  # 1 / sqrt(fan in)
                for parameter in module.parameters():
                    parameter.uniform_(-bound, bound, generator=generator)
    return network


def normalised(network: Network, generator: torch.Generator) -> Network:
    """The network, each of its convolutions divided by its largest singular value (Miyato et al. 2018).

    The value is estimated by power iteration, one more step in each pass; the first vectors come of `generator`.
    """
    seed = int(torch.randint(2**62, (), generator=generator))
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for module in [*network.modules()]:
            if isinstance(module, nn.Conv3d):
                spectral_norm(module)
    return network
