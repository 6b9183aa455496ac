"""Running many members of one architecture with stacked weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.func import functional_call

if TYPE_CHECKING:
    from composer.interfaces import Architecture


def stack(state_dicts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """parameter -> [M, ...] from M state dicts with the same keys."""
    return {name: torch.stack([state[name] for state in state_dicts]) for name in state_dicts[0]}


def features_one_by_one(architecture: Architecture, weights: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
    """Features [M, N, D], one member after the other: the plain way, for any architecture."""
    head = f"{architecture.head}."
    with torch.device("meta"):
        network = _Features(architecture.build(outputs=1)).eval()
    members = len(next(iter(weights.values())))
    body = {f"network.{name}": tensor for name, tensor in weights.items() if not name.startswith(head)}
    each = [{name: tensor[member] for name, tensor in body.items()} for member in range(members)]
    return torch.stack([functional_call(network, own, (pixels,)) for own in each])


class _Features(torch.nn.Module):
    """Calls `network.features`, which functional_call cannot name."""

    def __init__(self, network: torch.nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.network.features(pixels)  # type: ignore[operator]  # nn.Module attributes are untyped
        return features
