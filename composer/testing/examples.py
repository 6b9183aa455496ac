"""Tiny inputs for trying components out, the same ones every time: a few pictures, a few small networks."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch

from composer.data.composed import ComposedModel
from composer.data.expressions import cell_name
from composer.data.images import Images
from composer.data.kernels import KernelSet
from composer.data.population import Population, Preprocessing
from composer.networks.architecture import Architecture
from composer.networks.stacking import stack
from composer.registry import load_registry

CONCEPTS = ("black", "cat", "small")
SIZE = 20
"""Height and width of the pictures, and of the networks' input."""
MEMBERS = 3
PER_CELL = 6


def architecture(filters: tuple[int, int] = (4, 6)) -> Architecture:
    """A small convolutional network of the built-in kind."""
    made = load_registry().find("architecture", "cnn").model_validate({"filters": filters, "size": SIZE})
    assert isinstance(made, Architecture)
    return made


def population(
    concept: str, members: int = MEMBERS, seed: int = 0, network: Architecture | None = None, size: int = SIZE
) -> Population:
    """Untrained members that started from one network: its weights and a little noise. `seed` decides the start."""
    network = network or architecture()
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        start = network.build(outputs=2)
    trained = dict(start.named_parameters())
    generator = torch.Generator().manual_seed(sum(concept.encode()) + seed)
    states = [
        {
            name: (value + 0.05 * torch.randn(value.shape, generator=generator) if name in trained else value).detach()
            for name, value in start.state_dict().items()
        }
        for _ in range(members)
    ]
    names = tuple(f"{concept} {member}" for member in range(members))
    return Population(concept, network, stack(states), names, Preprocessing(size))


def populations(count: int, members: int = MEMBERS) -> list[Population]:
    """One population per concept, of one architecture."""
    return [population(concept, members, seed=index) for index, concept in enumerate(CONCEPTS[:count])]


def unlike(parents: Sequence[Population]) -> list[Population]:
    """The same with another architecture for the last parent."""
    *others, last = parents
    return [*others, population(last.concept, len(last), network=architecture((3, 5)))]


def kernels(parent: Population) -> KernelSet:
    """The weights of its convolutions."""
    layers = {
        name.removesuffix(".weight"): tensor
        for name, tensor in parent.weights.items()
        if name.endswith(".weight") and tensor.ndim == 5
    }
    return KernelSet(parent.concept, layers, parent.members)


def owners(kernel_sets: Sequence[KernelSet]) -> tuple[Population, ...]:
    """Populations whose members have these kernels."""
    return tuple(
        replace(
            start := population(own.concept, len(own)),
            weights={**start.weights, **{f"{layer}.weight": tensor for layer, tensor in own.layers.items()}},
            members=own.members,
            _memo={},
        )
        for own in kernel_sets
    )


def new_kernels(parents: Sequence[Population]) -> KernelSet:
    """What a translator may give: kernels of the first parent's form, with other weights, twice as many members."""
    first = kernels(parents[0])
    layers = {layer: torch.cat([tensor.flip(-1), -tensor]) for layer, tensor in first.layers.items()}
    names = tuple(f"kernels {member}" for member in range(2 * len(first)))
    return KernelSet(cell_name(parent.concept for parent in parents), layers, names)


def model(parents: Sequence[Population]) -> ComposedModel:
    """The parents side by side."""
    return ComposedModel(tuple(parents), tuple(f"member {index}" for index in range(len(parents[0]))))


def transplanted(parents: Sequence[Population]) -> ComposedModel:
    """Networks with new kernels in them, as many as there are new kernels."""
    made = new_kernels(parents)
    body = parents[0].select([member % len(parents[0]) for member in range(len(made))])
    weights = {**body.weights, **{f"{layer}.weight": tensor for layer, tensor in made.layers.items()}}
    return ComposedModel((replace(body, weights=weights, members=made.members, _memo={}),), made.members)


def headless(parent: Population) -> ComposedModel:
    """A network that gives features and no log-odds."""
    head = f"{parent.architecture.head}."
    body = {name: tensor for name, tensor in parent.weights.items() if not name.startswith(head)}
    return model([replace(parent, weights=body, outputs=(), _memo={})])


def cell_images(concepts: Sequence[str] = CONCEPTS[:2], per_cell: int = PER_CELL) -> Images:
    """Pictures of every cell: the first concept darkens a picture, each other one lights up a corner."""
    rng = np.random.default_rng(0)
    flags = list(itertools.product([True, False], repeat=len(concepts))) * per_cell
    pixels = rng.integers(60, 200, (len(flags), 3, SIZE, SIZE), dtype=np.uint8)
    for picture, shown in zip(pixels, flags, strict=True):
        if shown[0]:
            picture //= 4
        for index, lit in enumerate(shown[1:]):
            if lit:
                picture[index % 3, : SIZE // 2, : SIZE // 2] = 250
    labels = {concept: [shown[index] for shown in flags] for index, concept in enumerate(concepts)}
    return Images([f"picture {index}" for index in range(len(flags))], labels, torch.from_numpy(pixels))


def training_images(concept: str, concepts: Sequence[str] = CONCEPTS[:2]) -> Images:
    """Pictures that train one concept, labelled with it alone; none shows the target."""
    concepts = concepts if concept in concepts else (concept, *concepts[1:])
    shown = cell_images(concepts, 2 * PER_CELL)
    chosen = shown.select(np.flatnonzero(~shown.target))
    names = [f"{concept} {name}" for name in chosen.names]
    return Images(names, {concept: chosen.labels[concept]}, chosen.at(SIZE))
