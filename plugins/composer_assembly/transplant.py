"""Kernels put into the parents' architecture, and what is no kernel beside them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from composer import ComposerError, KernelSet, Population, Run, cell_name, recalibrated
from composer_assembly import Rest


def transplant(
    kernels: KernelSet, parents: Sequence[Population], rest: Rest, recalibrate: bool, run: Run
) -> Population:
    """Networks without a head: the kernels given, and the rest of the body from where `rest` says.

    zeros: the biases of the same layers are zero, and there may be nothing else. object, mean: of the object's
    member i, or the mean over all parents' members i, for the kernels' member i; from the first anew where there are
    more kernels.
    ComposerError where the kernels do not fit, or nothing says where the rest comes from.
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
    for name, shape in first.architecture.shapes().items():
        layer, what = _layer(name)
        if name.startswith(f"{first.architecture.head}."):
            continue
        if layer in kernels.layers and what == "weight":
            weights[name] = _fitted(kernels.layers[layer], name, shape)
        elif rest != "zeros":
            weights[name] = _of_parents(name, parents, len(kernels), rest)
        elif layer in kernels.layers and what == "bias":
            weights[name] = torch.zeros(len(kernels), *shape)
        else:
            missing.append(name)
    filled = {layer for layer, what in map(_layer, weights) if what == "weight"}
    unused = [layer for layer in kernels.layers if layer not in filled]
    if missing or unused:
        raise ComposerError(_refusal(first, missing, unused))
    concept = cell_name(parent.concept for parent in parents)
    body = Population(concept, first.architecture, weights, kernels.members, first.preprocessing, outputs=())
    return recalibrated(body, run.pictures, run) if recalibrate else body


def _layer(name: str) -> tuple[str, str]:
    """(layer, `weight` or `bias`) of a parameter; attention's `in_proj_weight` is the weight of a layer `in_proj`."""
    layer, _, what = name.rpartition(".")
    return (f"{layer}.in_proj", what.removeprefix("in_proj_")) if what.startswith("in_proj_") else (layer, what)


def _of_parents(name: str, parents: Sequence[Population], members: int, rest: Rest) -> Tensor:
    """[members, ...] of the object alone, or the mean over parents; whole numbers are always the object's."""
    each = [parent.weights[name][torch.arange(members) % len(parent)] for parent in parents]
    if rest == "object" or not each[-1].is_floating_point():
        return each[-1]
    return torch.stack(each).mean(0)


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
            f" ({names}); `rest: object` takes them from the object's networks, `rest: mean` from all parents'; or"
            " use an assembler that keeps the parents, such as 'product'"
        )
    if unused:
        parts.append(
            f"architecture {architecture!r} has no layers {', '.join(map(repr, unused))}, of which kernels are given"
        )
    return "transplant: " + "; ".join(parts)
