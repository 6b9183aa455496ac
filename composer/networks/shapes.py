"""The names and shapes of a network's tensors, and in what others differ from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn

from composer.networks.architecture import Architecture
from composer.networks.tensor_names import COUNTERS, some

Shapes = Mapping[str, Sequence[int]]
MOST = 4
"""Differences that are told; of the others their number."""


@lru_cache(maxsize=64)
def blueprint(architecture: Architecture, outputs: int) -> nn.Module:
    """The network on the meta device: names, kinds and shapes of its layers, and no numbers."""
    with torch.device("meta"):
        return architecture.build(outputs)


def network_shapes(network: nn.Module) -> dict[str, torch.Size]:
    """What a state dict of the network holds, parameters and buffers; without counts of steps, which no use needs."""
    return {name: tensor.shape for name, tensor in network.state_dict().items() if not name.endswith(COUNTERS)}


@dataclass(frozen=True)
class Differences:
    """In what tensors differ from those that a network has."""

    missing: tuple[str, ...]
    left_over: tuple[str, ...]
    reshaped: tuple[str, ...]
    """A sentence for each: `'conv1.weight' is [2, 3, 5, 3] instead of [2, 3, 5, 5]`."""

    def __str__(self) -> str:
        faults = list(self.reshaped[:MOST])
        if len(self.reshaped) > MOST:
            faults.append(f"{len(self.reshaped) - MOST} more are of another shape")
        faults += [f"missing: {some(self.missing)}"] if self.missing else []
        faults += [f"left over: {some(self.left_over)}"] if self.left_over else []
        return "; ".join(faults)


def differences(met: Shapes, wanted: Shapes) -> Differences:
    """What of `wanted` is missing, what is there besides, and what is of another shape."""
    return Differences(
        tuple(name for name in wanted if name not in met),
        tuple(name for name in met if name not in wanted and not name.endswith(COUNTERS)),
        tuple(
            f"{name!r} is {list(met[name])} instead of {list(shape)}"
            for name, shape in wanted.items()
            if name in met and tuple(met[name]) != tuple(shape)
        ),
    )


def misfit(architecture: Architecture, weights: Mapping[str, Tensor], head: bool) -> str:
    """What stacked weights lack, have too much or have in another shape, in words; empty where they fit."""
    met = {name: tensor.shape[1:] for name, tensor in weights.items()}
    rows = met.get(f"{architecture.head}.weight", ())
    wanted = architecture.shapes(rows[0] if head and rows else 1)
    if not head:
        own = f"{architecture.head}."
        met, wanted = ({name: of[name] for name in of if not name.startswith(own)} for of in (met, wanted))
    return str(differences(met, wanted))
