"""Networks put together out of others, set right on pictures: their running statistics, or their biases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm, _NormBase
from torch.nn.modules.conv import _ConvNd

from composer.errors import ComposerError

if TYPE_CHECKING:
    from composer.data.images import Images
    from composer.data.population import Population
    from composer.data.run import Run

PIXELS = 2**20
"""Pixels of all pictures that are looked at together; but FEWEST pictures at least."""
FEWEST = 64
NORMS = (_NormBase, nn.LayerNorm, nn.GroupNorm)


@torch.no_grad()
def recalibrated(body: Population, pictures: Sequence[Images], run: Run) -> Population:
    """The same networks with what depends on their pictures estimated anew, on some of `pictures`, labels unseen.

    Where there is batch norm: its running statistics, each layer's on what the layers before make of the pictures.
    Where no layer normalises: the biases, such that each channel of a convolution or linear layer below the head is
    above zero on half of what it sees. Else nothing, and the run is warned.
    ComposerError where there are no pictures.
    """
    if not any(len(images) for images in pictures):
        raise ComposerError("networks are recalibrated on the parents' training pictures, and there are none")
    network = _built(body).to(run.device)
    pixels = body.preprocessing(_sample(body, pictures, run).to(run.device))
    changed = _prepare(network, body.architecture.head)
    if not changed:
        run.warn(f"architecture {body.architecture.name!r} has nothing to recalibrate: no batch norm, no free bias")
        return body
    states = []
    for member in run.progress(range(len(body)), "recalibrating", len(body)):
        network.load_state_dict({name: tensor[member] for name, tensor in body.weights.items()}, strict=False)
        network.features(pixels)  # type: ignore[operator]  # nn.Module attributes are untyped
        state = network.state_dict()
        states.append({name: state[name].cpu().clone() for name in changed})
    weights = {name: torch.stack([state[name] for state in states]) for name in changed}
    return replace(body, weights={**body.weights, **weights}, _memo={})


def _built(body: Population) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        return body.architecture.build(outputs=_outputs(body)).eval()


def _outputs(body: Population) -> int:
    weight = body.weights.get(f"{body.architecture.head}.weight")
    return 1 if weight is None else weight.shape[1]


def _sample(body: Population, pictures: Sequence[Images], run: Run) -> Tensor:
    """uint8 [N, 3, S, S]: some of all pictures, drawn with the stage's seed."""
    size = body.preprocessing.size
    total = sum(len(images) for images in pictures)
    drawn = torch.randperm(total, generator=run.generator())[: max(PIXELS // size**2, FEWEST)].sort().values
    chosen, start = [], 0
    for images in pictures:
        own = drawn[(drawn >= start) & (drawn < start + len(images))] - start
        chosen.append(images.select(own.numpy()).at(size))
        start += len(images)
    return torch.cat(chosen)


def _prepare(network: nn.Module, head: str) -> list[str]:
    """Lets the network estimate anew whenever it is run, and gives the names of what then changes."""
    modules = dict(network.named_modules())
    running = {name: m for name, m in modules.items() if isinstance(m, _BatchNorm) and m.running_mean is not None}
    for norm in running.values():
        norm.train()
        norm.momentum = 1.0  # the statistics of this pass alone
    if running:
        return [f"{name}.{what}" for name in running for what in ("running_mean", "running_var")]
    if any(isinstance(module, NORMS) for module in modules.values()):
        return []
    biased = dict(_biased(network, head))
    for module in biased.values():
        module.register_forward_hook(_halve)
    return [f"{name}.bias" for name in biased]


def _biased(network: nn.Module, head: str) -> Iterator[tuple[str, nn.Module]]:
    for name, module in network.named_modules():
        if isinstance(module, (_ConvNd, nn.Linear)) and module.bias is not None and name != head:
            yield name, module


def _halve(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    """Moves the bias so that the median of each channel is zero; the output that goes on is the moved one."""
    axis = output.ndim - 1 if isinstance(module, nn.Linear) else 1
    median = output.movedim(axis, 0).flatten(1).median(1).values
    bias = module.bias
    assert isinstance(bias, Tensor)
    bias -= median
    return output - median.view([-1 if place == axis else 1 for place in range(output.ndim)])
