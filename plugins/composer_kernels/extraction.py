"""Finding a network's kernels without running it, and taking them out of stacked weights."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import get_close_matches

import torch
from torch import nn

from composer import Architecture, ComposerError, KernelSet, Population


def kernel_layers(architecture: Architecture) -> tuple[str, ...]:
    """Names of the layers that have kernels, in network order: convolutions, or else linear layers but the head."""
    network = architecture.blueprint()
    convolutions = tuple(
        name for name, module in network.named_modules() if isinstance(module, nn.Conv2d) and module.groups == 1
    )
    return convolutions or tuple(
        name for name, module in network.named_modules() if isinstance(module, nn.Linear) and name != architecture.head
    )


def linear_layers(architecture: Architecture, convolutions: bool) -> tuple[str, ...]:
    """Names of the linear layers but the head, in network order, with `in_proj` of attention; and of convolutions."""
    found = []
    for name, module in architecture.blueprint().named_modules():
        if isinstance(module, nn.MultiheadAttention) and module.in_proj_weight is not None:
            found.append(f"{name}.in_proj")
            continue
        whole = isinstance(module, nn.Conv2d) and module.groups == 1
        if (isinstance(module, nn.Linear) and name != architecture.head) or (convolutions and whole):
            found.append(name)
    return tuple(found)


def extract(population: Population, chosen: Sequence[str] | None, available: Sequence[str]) -> KernelSet:
    """Kernels layer -> float32 [M, O, I, kH, kW]; [M, O, I, 1, 1] where the layer is linear.

    available: the layers that have kernels, in network order.
    ComposerError where a chosen layer has no kernels, or the network none at all.
    """
    architecture = population.architecture
    if not available:
        raise ComposerError(
            f"architecture {architecture.name!r} has no convolution, and no linear layer below its head"
            f" {architecture.head!r}: there are no kernels to take. Use an assembler that works on whole"
            " models, such as 'product'"
        )
    layers = available if chosen is None else tuple(chosen)
    unknown = [layer for layer in layers if layer not in available]
    if unknown:
        raise ComposerError("extractor.layers: " + "; ".join(_unknown(layer, available) for layer in unknown))
    return KernelSet(
        population.concept,
        {layer: _five_axes(_weight(population, layer)) for layer in layers},
        population.members,
    )


def _weight(population: Population, layer: str) -> torch.Tensor:
    name = f"{layer}_weight" if layer.endswith(".in_proj") else f"{layer}.weight"
    weight = population.weights.get(name)
    if weight is None:
        raise ComposerError(
            f"the population of {population.concept!r} has no weights {name!r}, which the architecture"
            f" {population.architecture.name!r} asks for"
        )
    return weight.float()


def _five_axes(weight: torch.Tensor) -> torch.Tensor:
    return weight if weight.ndim == 5 else weight[..., None, None]  # linear: [M, O, I] -> [M, O, I, 1, 1]


def _unknown(layer: str, available: Sequence[str]) -> str:
    near = get_close_matches(layer, available, n=3) or list(available[:5])
    return f"{layer!r} is no layer with kernels; nearest: {', '.join(map(repr, near))}"
