"""What a made network is worth, so that gradients reach its kernels: features, and a head in closed form."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.conv import _ConvNd

from composer import Architecture

NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)
ENOUGH = 64
"""Pictures of a step on which medians are taken: all of them would cost a third of the training."""
LEAST = 1e-8
"""Variance below which features are dead, and the ridge is what keeps the head finite."""


class Body(nn.Module):
    """A network below its head, as `recalibrated` would set it on the pictures that it is shown.

    Batch norm uses the statistics of these pictures; where no layer normalises, each channel is above zero on half of
    what it sees.
    """

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(0)
            self.network = architecture.build(outputs=1).eval()
        self.requires_grad_(False)
        modules = dict(self.network.named_modules())
        for norm in modules.values():
            if isinstance(norm, _BatchNorm):
                norm.running_mean = norm.running_var = None
                norm.track_running_stats = False
        if not any(isinstance(module, NORMS) for module in modules.values()):
            for name, module in modules.items():
                if isinstance(module, (_ConvNd, nn.Linear)) and module.bias is not None and name != architecture.head:
                    module.register_forward_hook(_halved)

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.network.features(pixels)  # type: ignore[operator]  # nn.Module attributes are untyped
        return features

    def features(self, weights: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
        """[N, D] with one member's weights in place of the network's own; others stay as they are."""
        state = {f"network.{name}": tensor for name, tensor in weights.items()}
        features: Tensor = functional_call(self, state, (pixels,))
        return features


def _halved(module: nn.Module, inputs: Any, output: Tensor) -> Tensor:
    axis = output.ndim - 1 if isinstance(module, nn.Linear) else 1
    median = output.detach()[:ENOUGH].movedim(axis, 0).flatten(1).median(1).values
    return output - median.view([-1 if place == axis else 1 for place in range(output.ndim)])


def error(features: Tensor, said: Tensor, ridge: float) -> Tensor:
    """Share of what was said, [N, concepts], that a ridge on the features [N, D] does not tell of the last third.

    It is fitted, with an intercept, to the first two thirds; 1 is no better than to say the same of every picture.
    """
    fitted = 2 * len(features) // 3
    own, other = features[:fitted], features[fitted:]
    mean, level = own.mean(0), said[:fitted].mean(0)
    own, other = own - mean, other - mean
    if own.shape[1] <= fitted:
        gram = own.T @ own
        strength = ridge * gram.diagonal().mean().clamp(min=LEAST)
        told = other @ torch.linalg.solve(gram + strength * torch.eye(len(gram)), own.T @ (said[:fitted] - level))
    else:
        gram = own @ own.T
        strength = ridge * (gram.diagonal().sum() / own.shape[1]).clamp(min=LEAST)
        told = other @ own.T @ torch.linalg.solve(gram + strength * torch.eye(len(gram)), said[:fitted] - level)
    wanted = said[fitted:]
    spread = (wanted - level).square().mean(0).clamp(min=1e-6)
    share: Tensor = ((told + level - wanted).square().mean(0) / spread).mean()
    return share
