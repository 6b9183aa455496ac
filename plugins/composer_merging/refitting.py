"""The layers of a merged network anew by least squares, each on what the layers before it make of the pictures."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from composer_merging.mixtures import Mixer, Mixture

PLACES = 2**14
"""Outputs of a layer, over pictures and pixels, that it is fitted to; drawn with the stage's seed."""
PIXELS, FEWEST = 2**20, 16
"""Pixels of all pictures that layers are fitted on, which go through a network at once; and pictures at least."""
NUMBERS = 2**24
"""Numbers of patches that are held at once while those of the drawn places are taken."""


@dataclass
class _Wanted:
    """What layers are to give at some places: layer -> places [P], and outputs [P, m]."""

    places: dict[str, Tensor] = field(default_factory=dict)
    outputs: dict[str, Tensor] = field(default_factory=dict)


@torch.no_grad()
def refit(
    merged: nn.Module,
    networks: Sequence[nn.Module],
    mixer: Mixer,
    mixtures: Mapping[str, Mixture],
    pixels: Tensor,
    ridge: float,
    anew: bool,
    generator: torch.Generator,
    names: Container[str],
) -> None:
    """Changes those convolutions and linear layers of `merged` whose weights are in `names`, in the order of their use.

    Each is to give, out of what it is given, the mixture of what the networks give there. The ridge, in units of the
    inputs' mean square, pulls towards the weights that it has. anew: batch norm takes the statistics of these pictures.
    """
    most = max(PIXELS // pixels.shape[-1] ** 2, FEWEST)
    pixels = pixels[:: -(-len(pixels) // most)]  # of all parents alike, whose pictures come one after the other
    wanted = _asked(networks, mixer, mixtures, pixels, generator)
    for norm in merged.modules():
        if anew and isinstance(norm, _BatchNorm) and norm.running_mean is not None:
            norm.train()
            norm.momentum = 1.0
    modules = dict(merged.named_modules())

    def fit(name: str, inputs: tuple[Tensor, ...]) -> None:
        _fit(modules[name], inputs[0], wanted.places[name], wanted.outputs[name], ridge, anew)

    hooks = [
        modules[name].register_forward_pre_hook(lambda module, inputs, name=name: fit(name, inputs))
        for name in wanted.outputs
        if f"{name}.weight" in names
    ]
    merged(pixels)
    for hook in hooks:
        hook.remove()
    merged.eval()


def _asked(
    networks: Sequence[nn.Module],
    mixer: Mixer,
    mixtures: Mapping[str, Mixture],
    pixels: Tensor,
    generator: torch.Generator,
) -> _Wanted:
    """What all layers that can be fitted are to give; those that a network uses several times are left as they are."""
    wanted, several = _Wanted(), set()
    for number, network in enumerate(networks):
        met: set[str] = set()

        def keep(name: str, output: Tensor, number: int = number, met: set[str] = met) -> None:
            if name in met:
                several.add(name)
                return
            met.add(name)
            rows = output.movedim(1, -1).flatten(0, -2) if output.ndim == 4 else output.flatten(0, -2)
            if number == 0:
                wanted.places[name] = torch.randperm(len(rows), generator=generator)[:PLACES].sort().values
            share = mixer.outputs(name, rows[wanted.places[name]].cpu(), number, mixtures, len(networks))
            wanted.outputs[name] = share if number == 0 else wanted.outputs[name] + share

        with _hooked(network, keep):
            network(pixels)
    wanted.outputs = {name: own for name, own in wanted.outputs.items() if name not in several}
    return wanted


@contextmanager
def _hooked(network: nn.Module, keep: Callable[[str, Tensor], None]) -> Iterator[None]:
    hooks = [
        module.register_forward_hook(lambda module, inputs, output, name=name: keep(name, output))
        for name, module in network.named_modules()
        if _can_be_fitted(module)
    ]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def _can_be_fitted(module: nn.Module) -> bool:
    """Whether it multiplies its weights with what it is given and does nothing else, as others' own kinds may."""
    if isinstance(module, nn.Conv2d) and type(module).forward is nn.Conv2d.forward:
        return module.groups == 1 and module.padding_mode == "zeros" and not isinstance(module.padding, str)
    return isinstance(module, nn.Linear) and type(module).forward is nn.Linear.forward


def _fit(module: nn.Module, inputs: Tensor, places: Tensor, outputs: Tensor, ridge: float, anew: bool) -> None:
    assert isinstance(module, (nn.Conv2d, nn.Linear))
    seen = _seen(module, inputs, places)  # [P, d]
    weight = module.weight.flatten(1)
    missing = outputs.to(seen) - seen @ weight.T
    if module.bias is not None:
        missing -= module.bias
    centred = module.bias is not None or anew  # a norm with statistics of its own takes the mean away
    mean, gap = seen.mean(0), missing.mean(0)
    if centred:
        seen, missing = seen - mean, missing - gap
    gram = (seen.T @ seen).double()
    strength = ridge * float(gram.diag().mean()) + torch.finfo(torch.float32).tiny
    gram.diagonal().add_(strength)
    change = torch.linalg.solve(gram, (seen.T @ missing).double()).to(weight)  # [d, m]
    module.weight.add_(change.T.view_as(module.weight))
    if module.bias is not None:
        module.bias.add_(gap - mean @ change)


def _seen(module: nn.Conv2d | nn.Linear, inputs: Tensor, places: Tensor) -> Tensor:
    """What the layer's weights are multiplied with at some places, [P, d]."""
    places = places.to(inputs.device)
    if isinstance(module, nn.Linear):
        return inputs.flatten(0, -2)[places]
    found, start = [], 0
    numbers = module.weight[0].numel() * inputs.shape[-2] * inputs.shape[-1]
    for batch in torch.split(inputs, max(1, NUMBERS // numbers)):
        assert not isinstance(module.padding, str)
        patches = F.unfold(batch, module.kernel_size, module.dilation, module.padding, module.stride)
        rows = patches.mT.flatten(0, 1)
        own = places[(places >= start) & (places < start + len(rows))] - start
        found.append(rows[own])
        start += len(rows)
    return torch.cat(found)
