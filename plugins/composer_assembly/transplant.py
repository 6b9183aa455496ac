"""Kernels put into the parents' architecture."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from composer import ComposerError, KernelSet, Population, cell_name


def transplant(kernels: KernelSet, parents: Sequence[Population]) -> Population:
    """Networks without a head: the kernels given, and zeros for the biases of the same layers.

    ComposerError where the body has parameters besides these, or the kernels do not fit.
    """
    first = parents[0]
    for parent in parents[1:]:
        if parent.preprocessing != first.preprocessing:
            raise ComposerError(
                f"transplant: {first.concept!r} and {parent.concept!r} prepare their pictures differently"
                f" ({first.preprocessing} and {parent.preprocessing}), so one network cannot stand for both"
            )
    weights: dict[str, Tensor] = {}
    missing = []
    for name, shape in _body(first).items():
        layer, _, what = name.rpartition(".")
        if layer in kernels.layers and what == "weight":
            weights[name] = _fitted(kernels.layers[layer], name, shape)
        elif layer in kernels.layers and what == "bias":
            weights[name] = torch.zeros(len(kernels), *shape)
        else:
            missing.append(name)
    unused = [layer for layer in kernels.layers if f"{layer}.weight" not in weights]
    if missing or unused:
        raise ComposerError(_refusal(first, missing, unused))
    concept = cell_name(parent.concept for parent in parents)
    return Population(concept, first.architecture, weights, kernels.members, first.preprocessing, outputs=())


def _body(population: Population) -> dict[str, torch.Size]:
    """Name and shape of every parameter and buffer below the head."""
    with torch.device("meta"):
        network = population.architecture.build(1)
    head = f"{population.architecture.head}."
    return {name: tensor.shape for name, tensor in network.state_dict().items() if not name.startswith(head)}


def _fitted(kernels: Tensor, name: str, shape: torch.Size) -> Tensor:
    given = kernels.shape[1:]
    if given != shape and given != (*shape, 1, 1):  # a linear layer's weights come as 1x1 kernels
        raise ComposerError(f"transplant: kernels of shape {list(given)} do not fit {name!r}, which is {list(shape)}")
    return kernels.reshape(len(kernels), *shape)


def _refusal(population: Population, missing: Sequence[str], unused: Sequence[str]) -> str:
    architecture = population.architecture.name
    parts = []
    if missing:
        names = ", ".join(missing[:5]) + (", ..." if len(missing) > 5 else "")
        parts.append(
            f"architecture {architecture!r} has {len(missing)} parameters besides the kernels given and their biases"
            f" ({names}); take the kernels of all layers, or use an assembler that keeps the parents, such as 'product'"
        )
    if unused:
        parts.append(
            f"architecture {architecture!r} has no layers {', '.join(map(repr, unused))}, of which kernels are given"
        )
    return "transplant: " + "; ".join(parts)
