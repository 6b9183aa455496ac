"""Kernels that no composition has touched: noise, shuffled weights, plain means."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from composer import ComposerError, KernelSet, Run, cell_name


def random(parents: Sequence[KernelSet], members: int | None, run: Run) -> KernelSet:
    """Normal noise, matched per layer to the mean and standard deviation of all parents' weights."""
    _require_same_layers(parents)
    count = members or sum(len(parent) for parent in parents)
    generator = run.generator()
    layers = {}
    for layer, kernels in parents[0].layers.items():
        weights = torch.cat([parent.layers[layer].flatten() for parent in parents]).double()
        noise = torch.randn((count, *kernels.shape[1:]), generator=generator)
        layers[layer] = noise * float(weights.std(correction=0)) + float(weights.mean())
    return KernelSet(_target(parents), layers, tuple(f"random {index}" for index in range(count)))


def shuffled(parents: Sequence[KernelSet], run: Run) -> KernelSet:
    """All parents' members, each layer's weights in an order of their own: the distribution stays, the form goes."""
    _require_same_layers(parents)
    generator = run.generator()
    layers = {
        layer: _shuffle_within_members(torch.cat([parent.layers[layer] for parent in parents]), generator)
        for layer in parents[0].layers
    }
    names = [f"{member} shuffled" for parent in parents for member in parent.members]
    if len(set(names)) < len(names):  # parents whose members are only numbered
        names = [f"{parent.concept} {member} shuffled" for parent in parents for member in parent.members]
    return KernelSet(_target(parents), layers, tuple(names))


def mean(parents: Sequence[KernelSet], run: Run) -> KernelSet:
    """Averages over the parents' members i, as many as the smallest parent has."""
    _require_same_layers(parents)
    count = min(len(parent) for parent in parents)
    left_out = sum(len(parent) - count for parent in parents)
    if left_out:
        run.warn(f"mean: members are averaged in pairs, and {left_out} had no partner")
    layers = {
        layer: torch.stack([parent.layers[layer][:count] for parent in parents]).mean(0) for layer in parents[0].layers
    }
    names = zip(*(parent.members[:count] for parent in parents), strict=True)
    return KernelSet(_target(parents), layers, tuple(" + ".join(members) for members in names))


def nearest(made: KernelSet, parents: Sequence[KernelSet]) -> KernelSet:
    """Of each member the nearest of all parents', by Euclidean distance over all layers."""
    place = _nearest(made, parents)
    layers = {layer: torch.cat([parent.layers[layer] for parent in parents])[place] for layer in made.layers}
    return KernelSet(made.concept, layers, tuple(f"nearest to {member}" for member in made.members))


def noise(made: KernelSet, parents: Sequence[KernelSet], run: Run) -> KernelSet:
    """Of each member the nearest of all parents', plus normal noise as long, in each layer, as what lies between."""
    generator = run.generator()
    layers = {}
    for layer, near in nearest(made, parents).layers.items():
        change = (made.layers[layer] - near).flatten(1).norm(dim=1)
        drawn = torch.randn(near.shape, generator=generator)
        scale = change / drawn.flatten(1).norm(dim=1)
        layers[layer] = near + drawn * scale.view(-1, 1, 1, 1, 1)
    return KernelSet(made.concept, layers, tuple(f"noise as far as {member}" for member in made.members))


def _nearest(made: KernelSet, parents: Sequence[KernelSet]) -> Tensor:
    """Which of all parents' members, counted over all of them, is nearest to each."""
    _require_same_layers([made, *parents])
    of_parents = torch.cat([_rows(parent) for parent in parents])
    return torch.cdist(_rows(made), of_parents, compute_mode="donot_use_mm_for_euclid_dist").argmin(1)


def _rows(kernels: KernelSet) -> Tensor:
    return torch.cat([kernels.layers[layer].flatten(1) for layer in sorted(kernels.layers)], 1).double()


def _shuffle_within_members(kernels: Tensor, generator: torch.Generator) -> Tensor:
    flat = kernels.flatten(1)  # [M, weights]
    order = torch.stack([torch.randperm(flat.shape[1], generator=generator) for _ in flat])
    return flat.gather(1, order).view(kernels.shape)


def _target(parents: Sequence[KernelSet]) -> str:
    return cell_name(parent.concept for parent in parents)


def _require_same_layers(parents: Sequence[KernelSet]) -> None:
    first, *others = parents
    expected = {layer: tuple(kernels.shape[1:]) for layer, kernels in first.layers.items()}
    for other in others:
        met = {layer: tuple(kernels.shape[1:]) for layer, kernels in other.layers.items()}
        if met != expected:
            raise ComposerError(
                f"the kernels of {first.concept!r} and {other.concept!r} must have the same layers and shapes:"
                f" {expected} and {met}"
            )
