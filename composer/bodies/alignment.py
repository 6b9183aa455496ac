"""Networks with their units in the order, and at the scale, of a reference: each still computes the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor

from composer.data.kernels import KernelSet
from composer.data.population import Population
from composer.networks.couplings import EXACT, Couplings, Side
from composer.networks.matching import match_weights

if TYPE_CHECKING:
    from composer.networks.architecture import Architecture

Stacked = TypeVar("Stacked", bound="Population | KernelSet")

SWEEPS = 100
"""Most passes over all layers of the matching of weights; it ends by itself after a few."""
ROUNDS = 200
"""Most passes over all layers of the balancing of scales."""
BALANCED = 1e-6
"""Share by which no unit's scale changes any more."""
PROBES = 4
"""Pictures that scales are tried on."""


@torch.no_grad()
def aligned(subject: Stacked, reference: Stacked, architecture: Architecture) -> Stacked:
    """The same members with their units in the order in which they agree best with the reference's first member.

    Before that, each unit is scaled so that its incoming and outgoing weights are of one length, in all layers where
    only a ReLU and the like lie between: networks that compute the same then have the same numbers. Every member of a
    population gives the outputs that it gave; of kernels alone the last layer keeps its scale.
    ComposerError where the architecture's couplings cannot be derived.
    """
    couplings, scaled = architecture.couplings(), scalable(architecture)
    first = canonical(_member(reference, 0), couplings, scaled)
    members = []
    for index in range(len(subject)):
        own = canonical(_member(subject, index), couplings, scaled)
        members.append(couplings.permuted(own, match_weights(couplings, first, own, SWEEPS)))
    stacked = {name: torch.stack([own[name] for own in members]) for name in members[0]}
    return _with(subject, stacked)


def canonical(weights: Mapping[str, Tensor], couplings: Couplings, groups: Sequence[str]) -> dict[str, Tensor]:
    """One network whose units of `groups` have incoming and outgoing weights of equal length: it is unique.

    Of all networks that differ in the scales of units alone it has the smallest weights. A unit without incoming or
    outgoing weights stays. Incoming weights of length 1 instead would make weak units loud: the mean of networks
    loses by it.
    """
    moved = dict(weights)
    for _ in range(ROUNDS):
        furthest = 0.0
        for name in groups:
            incoming, outgoing = (_lengths(moved, couplings, name, making=making) for making in (True, False))
            if incoming is None or outgoing is None:
                continue
            usable = (incoming > 0) & (outgoing > 0)
            factors = torch.where(usable, (outgoing / incoming).sqrt(), 1.0)
            furthest = max(furthest, float((factors - 1).abs().max()))
            moved = rescaled(moved, couplings, name, factors)
        if furthest < BALANCED:
            break
    return moved


def _lengths(weights: Mapping[str, Tensor], couplings: Couplings, name: str, *, making: bool) -> Tensor | None:
    """float64 [units]: the length of all weights that make a unit, or that use it; None where there are none."""
    group = couplings.groups[name]
    rows = [
        weights[side.tensor].index_select(side.axis, side.places.flatten()).movedim(side.axis, 0)
        for side in group.sides
        if side.tensor in weights and side.tensor.endswith(".weight") and _makes_units(side) == making
    ]
    return torch.cat([own.reshape(len(group), -1) for own in rows], 1).double().norm(dim=1) if rows else None


def rescaled(weights: Mapping[str, Tensor], couplings: Couplings, name: str, factors: Tensor) -> dict[str, Tensor]:
    """One network with the units of a group made larger by factors [units], and used as much smaller."""
    moved = dict(weights)
    for side in couplings.groups[name].sides:
        tensor = moved.get(side.tensor)
        if tensor is None:
            continue
        along = torch.ones(tensor.shape[side.axis], dtype=torch.float64)
        along[side.places] = (factors if _makes_units(side) else 1 / factors)[:, None]
        shape = [-1 if axis == side.axis else 1 for axis in range(tensor.ndim)]
        moved[side.tensor] = (tensor.double() * along.view(shape).to(tensor.device)).to(tensor.dtype)
    return moved


@lru_cache(maxsize=16)
def scalable(architecture: Architecture) -> tuple[str, ...]:
    """The groups whose units can be made larger, and used as much smaller, with the same outputs; each is tried."""
    couplings = architecture.couplings()
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(0)
        network = architecture.build(outputs=3).eval().double()
    size = architecture.input_size
    pixels = torch.randn(PROBES, 3, size, size, generator=generator, dtype=torch.float64)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    wanted = network(pixels)
    found = []
    for name, group in couplings.groups.items():
        if not all(_of_layer(side, state[side.tensor]) for side in group.sides):
            continue
        factors = 0.5 + torch.rand(len(group), generator=generator, dtype=torch.float64)
        network.load_state_dict(rescaled(state, couplings, name, factors))
        if float((network(pixels) - wanted).abs().max()) <= EXACT * float(wanted.abs().max()):
            found.append(name)
    return tuple(found)


def _makes_units(side: Side) -> bool:
    """Whether a tensor makes the units of its group, rather than uses them."""
    return side.axis == 0


def _of_layer(side: Side, tensor: Tensor) -> bool:
    """Whether a tensor is a convolution's or linear layer's: those of norms make units of their own scale."""
    kind = side.tensor.rpartition(".")[2]
    return (kind == "weight" and tensor.ndim > 1) or (kind == "bias" and side.axis == 0)


def _with(subject: Stacked, stacked: Mapping[str, Tensor]) -> Stacked:
    if isinstance(subject, KernelSet):
        return replace(subject, layers={layer: stacked[f"{layer}.weight"] for layer in subject.layers})
    assert isinstance(subject, Population)
    return replace(subject, weights=stacked, _memo={})


def _member(subject: Population | KernelSet, index: int) -> dict[str, Tensor]:
    if isinstance(subject, Population):
        return {name: tensor[index] for name, tensor in subject.weights.items()}
    return {f"{layer}.weight": tensor[index] for layer, tensor in subject.layers.items()}
