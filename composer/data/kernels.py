"""Kernels: the weights of convolutions, stacked over members."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class KernelSet:
    """The kernels of M members: layer -> float32 [M, O, I, kH, kW], and a name per member."""

    concept: str
    layers: Mapping[str, Tensor]
    members: tuple[str, ...]

    def __post_init__(self) -> None:
        for layer, kernels in self.layers.items():
            if kernels.ndim != 5 or len(kernels) != len(self.members):
                raise ValueError(
                    f"kernels of {layer!r} must be [{len(self.members)}, O, I, kH, kW], not {list(kernels.shape)}"
                )

    def __len__(self) -> int:
        return len(self.members)
