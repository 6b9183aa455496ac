"""Tiny real data for tests: a few pictures and a few small networks, made in milliseconds."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from composer import Architecture, Expression, Images, KernelSet, Population, Preprocessing, Zoo, stack
from composer_cnn import CNN

ARCHITECTURE = CNN(filters=(2, 3), size=16)


def tiny_images(
    per_cell: int = 5, concepts: tuple[str, ...] = ("black", "cat"), size: int = 16, seed: int = 0
) -> Images:
    """Pictures of every cell; the first concept darkens a picture, the others light up a quarter of it each."""
    rng = np.random.default_rng(seed)
    flags = list(itertools.product([True, False], repeat=len(concepts))) * per_cell
    pixels = rng.integers(60, 200, (len(flags), 3, size, size), dtype=np.uint8)
    for picture, shown in zip(pixels, flags, strict=True):
        if shown[0]:
            picture //= 4
        for index, lit in enumerate(shown[1:]):
            if lit:
                picture[index % 3, : size // 2, : size // 2] = 250
    labels = {concept: [shown[i] for shown in flags] for i, concept in enumerate(concepts)}
    return Images([f"picture {i}" for i in range(len(flags))], labels, torch.from_numpy(pixels))


def training_images(concept: str, count: int = 40, size: int = 16, seed: int = 1) -> Images:
    """Pictures labelled with one concept only."""
    images = tiny_images(count // 4 + 1, ("black", "cat"), size, seed)
    keep = np.flatnonzero(~images.target)[:count]
    chosen = images.select(keep)
    return Images(chosen.names, {concept: chosen.labels[concept]}, chosen.at(size))


def tiny_population(
    concept: str = "black", members: int = 3, seed: int = 0, architecture: Architecture = ARCHITECTURE
) -> Population:
    """Untrained networks."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        networks = [architecture.build(outputs=2) for _ in range(members)]
    weights = stack([{name: value.detach() for name, value in network.state_dict().items()} for network in networks])
    names = tuple(f"{concept} {index}" for index in range(members))
    return Population(concept, architecture, weights, names, Preprocessing(size=architecture.input_size))


def trained_like(architecture: Architecture, concept: str = "black", members: int = 2, seed: int = 0) -> Population:
    """Networks whose norms and biases differ from unit to unit, as those of trained ones do."""
    population = tiny_population(concept, members, seed, architecture)
    generator = torch.Generator().manual_seed(seed)

    def changed(tensor: Tensor) -> Tensor:
        return tensor * (0.5 + torch.rand(tensor.shape, generator=generator)) + (tensor.ndim == 2) * 0.1

    weights = {
        name: changed(tensor) if tensor.is_floating_point() else tensor for name, tensor in population.weights.items()
    }
    return replace(population, weights=weights)


def permuted(population: Population, seed: int = 0) -> Population:
    """The same networks with the units of every member in another order."""
    generator = torch.Generator().manual_seed(seed)
    couplings = population.architecture.couplings()
    moved = [
        couplings.permuted(
            {name: tensor[member] for name, tensor in population.weights.items()}, couplings.random_orders(generator)
        )
        for member in range(len(population))
    ]
    return replace(
        population, weights={name: torch.stack([each[name] for each in moved]) for name in moved[0]}, _memo={}
    )


def tiny_zoo(folder: Path) -> Zoo:
    """Black and cat, three members each."""
    zoo = Zoo(folder)
    zoo.add("black", tiny_population("black"), synonyms=["dark", "ebony"], kind="attribute", source="made up")
    zoo.add("cat", tiny_population("cat", seed=1), kind="object")
    return zoo


def tiny_kernels(concept: str = "black", members: int = 3, seed: int = 0) -> KernelSet:
    """Random kernels that fit the tiny architecture."""
    population = tiny_population(concept, members, seed)
    return KernelSet(
        concept,
        {layer: population.weights[f"{layer}.weight"] for layer in ("conv1", "conv2")},
        population.members,
    )


def product_of_experts(log_odds: torch.Tensor) -> torch.Tensor:
    """Log-odds of all concepts at once, float32, from [P, ...] of each."""
    names = [str(number) for number in range(len(log_odds))]
    return Expression.all_of(names).log_odds(dict(zip(names, log_odds, strict=True)))
