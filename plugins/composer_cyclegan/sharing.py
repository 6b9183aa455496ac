"""Layers whose kernels have one shape, as one layer of more members: they then share a pair of generators."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from composer import KernelSet

Group = tuple[str, ...]
"""Layers that are translated together."""


def groups_of(kernels: KernelSet, share: bool) -> list[Group]:
    """Each layer alone; or, shared, all layers of one shape together, in the order of the first of each."""
    found: dict[object, list[str]] = {}
    for layer, own in kernels.layers.items():
        found.setdefault(own.shape[1:] if share else layer, []).append(layer)
    return [tuple(group) for group in found.values()]


def joined(kernels: KernelSet, group: Group) -> KernelSet:
    """The kernels of a group as one layer: all members' of its first layer, then all members' of its second."""
    members = kernels.members
    if len(group) > 1:
        members = tuple(f"{member}, {layer}" for layer in group for member in members)
    return KernelSet(
        kernels.concept, {", ".join(group): torch.cat([kernels.layers[layer] for layer in group])}, members
    )


def parted(made: Tensor, group: Group, members: Sequence[int]) -> dict[str, Tensor]:
    """layer -> kernels of all sets, one after the other, from those of the group's joined sets.

    members: how many each set has.
    """
    parts = [part.chunk(len(group)) for part in torch.split(made, [count * len(group) for count in members])]
    return {layer: torch.cat([part[place] for part in parts]) for place, layer in enumerate(group)}
