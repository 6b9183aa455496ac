"""What the units of several networks answer to the same pictures: sums, products, and what follows from them."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from composer import ComposerError
from composer_merging.mixtures import Mixer

PICTURES_AT_ONCE = 64
PIXELS_AT_ONCE = 2**18
"""Of all pictures of a batch, but one picture at least: what all layers say of it is held together."""


@dataclass(frozen=True)
class View:
    """Where units can be seen: places [units, n] along an axis of what a module gives, or of what it is given."""

    module: str
    axis: int
    places: Tensor
    given: bool


class Moments:
    """Sums over pictures and places of the K * n units of several networks, float64."""

    def __init__(self, count: int) -> None:
        self.samples = 0
        self.total = torch.zeros(count, dtype=torch.float64)
        self.products = torch.zeros(count, count, dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """values: float64 [K * n, samples]."""
        self.samples += values.shape[1]
        self.total += values.sum(1)
        self.products += values @ values.T

    def second(self) -> Tensor:
        """Mean products, [K * n, K * n]."""
        return self.products / self.samples

    def covariance(self) -> Tensor:
        """[K * n, K * n]."""
        mean = self.total / self.samples
        return self.second() - torch.outer(mean, mean)

    def correlation(self) -> Tensor:
        """[K * n, K * n]; 0 for units that never change."""
        covariance = self.covariance()
        scale = covariance.diag().clamp(min=0).sqrt()
        scale = torch.outer(scale, scale)
        return torch.where(scale > 0, covariance / scale.clamp(min=1e-12), 0.0)


@torch.no_grad()
def called(network: nn.Module, pixels: Tensor) -> frozenset[str]:
    """The modules that a network calls; the weights of others may be used past them, as inside an attention."""
    names: set[str] = set()
    hooks = [
        module.register_forward_hook(lambda module, inputs, output, name=name: names.add(name))
        for name, module in network.named_modules()
    ]
    network(pixels)
    for hook in hooks:
        hook.remove()
    return frozenset(names)


def views(mixer: Mixer, prefer: Literal["outputs", "inputs"], called: Container[str]) -> dict[str, list[View]]:
    """Where each group of units is seen: in the outputs of layers, or as what the next layers are given.

    Where there are none of one sort, those of the other. ComposerError, naming the module, for units that are never
    seen, such as the heads inside an attention. called: the modules that the network calls.
    """
    found = {}
    for name, group in mixer.couplings.groups.items():
        outputs = [View(watch.module, watch.axis, watch.places, False) for watch in group.watches]
        inputs = []
        for side in group.sides:
            path, _, leaf = side.tensor.rpartition(".")
            module = mixer.modules.get(path)
            ours = path in called and isinstance(module, (nn.Conv2d, nn.Linear))
            if ours and leaf == "weight" and side.axis == 1:
                inputs.append(View(path, 1 if isinstance(module, nn.Conv2d) else -1, side.places, True))
        found[name] = (inputs or outputs) if prefer == "inputs" else (outputs or inputs)
        if not found[name]:
            raise ComposerError(
                f"module {name!r}: what its units answer to pictures cannot be seen from outside; take `aligned_mean` "
                "or `distil`"
            )
    return found


@torch.no_grad()
def moments(
    seen: Mapping[str, Sequence[View]], networks: Sequence[nn.Module], pixels: Tensor
) -> dict[str, list[Moments]]:
    """For each group one set of moments for each of its views."""
    every = [view for group in seen.values() for view in group]
    found = {name: [Moments(len(networks) * len(view.places)) for view in group] for name, group in seen.items()}
    with ExitStack() as stack:
        kept = [stack.enter_context(_watched(network, every)) for network in networks]
        at_once = max(1, min(PICTURES_AT_ONCE, PIXELS_AT_ONCE // pixels.shape[-1] ** 2))
        for batch in torch.split(pixels, at_once):
            for network in networks:
                network(batch)
            for name, group in seen.items():
                for view, own in zip(group, found[name], strict=True):
                    own.add(torch.cat([_units(values[view.module, view.given], view) for values in kept]))
    return found


def _units(values: Tensor, view: View) -> Tensor:
    """float64 [units, places * samples]."""
    return values.movedim(view.axis, 0).flatten(1)[view.places].flatten(1)


@contextmanager
def _watched(network: nn.Module, seen: Sequence[View]) -> Iterator[dict[tuple[str, bool], Tensor]]:
    """What modules gave last, and what they were given last."""
    found: dict[tuple[str, bool], Tensor] = {}
    wanted = {(view.module, view.given) for view in seen}

    def keep(name: str, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        for given, value in ((True, inputs[0]), (False, output)):
            if (name, given) in wanted:
                found[name, given] = value.to("cpu", torch.float64, copy=True)  # what follows may write over it

    hooks = [
        module.register_forward_hook(lambda module, inputs, output, name=name: keep(name, inputs, output))
        for name, module in network.named_modules()
        if name in {view.module for view in seen}
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()
