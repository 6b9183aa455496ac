"""Which axes of a network's tensors move together when its units change places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from composer.errors import ComposerError
from composer.networks.architecture import Architecture
from composer.networks.following import Followed
from composer.networks.tracing import Seen, Trace, traced
from composer.networks.units import MovingSet

PROBES = 4
"""Pictures of a proof."""
EXACT = 1e-8
"""Largest difference of outputs, as a share of their size in float64, that is rounding."""
DULL = 1e-6
"""Least difference between the outputs for two pictures, as a share of their size, that lets a proof prove anything."""

MOST_EVEN = 1e-4
"""Standard deviation below which a tensor's numbers are too much alike for a proof, and others are drawn."""


@dataclass(frozen=True)
class Side:
    """Where the units of a group lie along one axis of a parameter or buffer.

    places: int64 [units, n]. A unit may have several places: after flattening all pixels of a channel, in a
    grouped convolution all channels of a block, in attention all of a head.
    """

    tensor: str
    axis: int
    places: Tensor


@dataclass(frozen=True)
class Watch:
    """Where the units of a group can be watched: places [units, n] along an axis of what a module gives."""

    module: str
    axis: int
    places: Tensor


@dataclass(frozen=True)
class CouplingGroup:
    """Units that can change places with each other."""

    sides: tuple[Side, ...]
    watches: tuple[Watch, ...]

    def __len__(self) -> int:
        return len(self.sides[0].places)


@dataclass(frozen=True)
class Couplings:
    """The permutations that leave a network's outputs as they are: derived by tracing, and proved.

    groups: named after the module that makes their units first, in the order in which the network uses them.
    """

    groups: Mapping[str, CouplingGroup]

    def permuted(self, weights: Mapping[str, Tensor], orders: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """One network's weights with units in other places: unit i of a group is what was unit `orders[group][i]`.

        Tensors that are not in `weights`, such as a head's, are passed over, and groups without an order stay.
        """
        indices: dict[tuple[str, int], Tensor] = {}
        for name, order in orders.items():
            for side in self.groups[name].sides:
                if side.tensor in weights:
                    key = side.tensor, side.axis
                    index = indices.setdefault(key, torch.arange(weights[side.tensor].shape[side.axis]))
                    index[side.places] = side.places[order]
        moved = dict(weights)
        for (tensor, axis), index in indices.items():
            moved[tensor] = moved[tensor].index_select(axis, index.to(moved[tensor].device))
        return moved

    def random_orders(self, generator: torch.Generator) -> dict[str, Tensor]:
        """A random order of the units of every group in which no unit stays where it was."""
        orders = {}
        for name, group in self.groups.items():
            ring = torch.randperm(len(group), generator=generator)
            orders[name] = torch.empty_like(ring).scatter_(0, ring, ring.roll(1))
        return orders


@lru_cache(maxsize=16)
def couplings_of(architecture: Architecture) -> Couplings:
    """The couplings of an architecture, proved on a network with random weights.

    ComposerError, naming the module, where it cannot be followed or the proof fails.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(0)
        network = architecture.build(outputs=3).eval()
        try:
            return couplings_of_network(network, architecture.input_size)
        except ComposerError as error:
            raise ComposerError(f"architecture {architecture.name!r} has no known couplings: {error}") from error


def couplings_of_network(network: nn.Module, size: int) -> Couplings:
    """The couplings of a network in evaluation that takes pictures [N, 3, size, size]; its weights are changed."""
    generator = torch.Generator().manual_seed(0)
    trace = traced(network, torch.randn(1, 3, size, size, generator=generator))
    couplings = _couplings(trace)
    _prove(couplings, network.double(), size, generator)
    return couplings


def _couplings(trace: Trace) -> Couplings:
    """Units with the same number of places along the same axes form a group."""
    followed = trace.followed
    kinds: dict[object, list[MovingSet]] = {}
    for each in followed.units.sets():
        kinds.setdefault((tuple((*key, len(own)) for key, own in each.places.items()), each.tags), []).append(each)
    seen = [(each, [followed.units.root(label) for label in each.labels.tolist()]) for each in trace.seen]
    found = [
        (min(followed.used[tensor] for tensor, _ in units[0].places), _group(units, followed, seen))
        for units in kinds.values()
        if len(units) > 1
    ]
    groups: dict[str, CouplingGroup] = {}
    for _, group in sorted(found, key=lambda each: each[0]):
        groups[_free_name(group, groups)] = group
    return Couplings(groups)


def _group(units: Sequence[MovingSet], followed: Followed, seen: Sequence[tuple[Seen, list[int]]]) -> CouplingGroup:
    sides = [
        Side(alias, axis, torch.tensor([unit.places[tensor, axis] for unit in units]))
        for tensor, axis in sorted(units[0].places, key=lambda key: (followed.used[key[0]], key))
        for alias, own in followed.aliases.items()
        if own == tensor
    ]
    watches = []
    for each, roots in seen:
        places: dict[int, list[int]] = {unit.root: [] for unit in units}
        for place, root in enumerate(roots):
            if root in places:
                places[root].append(place)
        if len(counts := {len(own) for own in places.values()}) == 1 and counts != {0}:
            watches.append(Watch(each.module, each.axis, torch.tensor(list(places.values()))))
    return CouplingGroup(tuple(sides), tuple(watches))


def _free_name(group: CouplingGroup, taken: Mapping[str, CouplingGroup]) -> str:
    tensor = group.sides[0].tensor
    name = tensor.rpartition(".")[0] or tensor
    count = sum(other == name or other.startswith(f"{name}/") for other in taken)
    return f"{name}/{count + 1}" if count else name


@torch.no_grad()
def _prove(couplings: Couplings, network: nn.Module, size: int, generator: torch.Generator) -> None:
    """ComposerError, naming the module, where a permutation changes what a network with random weights says."""
    pixels = torch.randn(PROBES, 3, size, size, generator=generator, dtype=torch.float64)
    _randomise(network, pixels, generator)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    wanted = network(pixels)
    scale = float(wanted.abs().max())
    if not float((wanted[0] - wanted[1]).abs().max()) > DULL * scale:
        raise ComposerError("its outputs do not depend on the picture, so that nothing can be proved")

    def harmless(orders: Mapping[str, Tensor]) -> bool:
        moved = couplings.permuted(state, orders)
        for name, tensor in network.state_dict().items():
            tensor.copy_(moved[name])
        return float((network(pixels) - wanted).abs().max()) <= EXACT * scale

    orders = couplings.random_orders(generator)
    if not harmless(orders):
        wrong = next((name for name, order in orders.items() if not harmless({name: order})), next(iter(orders)))
        raise ComposerError(f"module {wrong!r}: the outputs change when its units change places")


def _randomise(network: nn.Module, pixels: Tensor, generator: torch.Generator) -> None:
    """Gives every parameter and buffer numbers that tell units apart: fresh networks are full of zeros and ones.

    Running statistics become those of the pictures: deep networks with others answer all pictures alike.
    """
    for name, tensor in network.state_dict().items():
        if not tensor.is_floating_point():
            continue
        noise = torch.rand(tensor.shape, generator=generator, dtype=torch.float64)
        if tensor.ndim == 1 and (name.endswith("running_var") or bool((tensor == 1).all())):
            tensor.copy_(0.5 + noise)
        elif tensor.ndim <= 1 or float(tensor.std()) < MOST_EVEN:
            tensor.copy_(noise - 0.5)
        else:
            tensor.mul_(0.5 + noise)
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm) and module.track_running_stats]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 1.0
    network(pixels)
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.eval()
        norm.momentum = momentum
