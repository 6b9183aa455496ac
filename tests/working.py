"""Components of every kind that work, for tests to break."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.metadata import EntryPoint
from typing import Any

import numpy as np
import torch
from torch import nn

from composer import (
    ComposedModel,
    Contract,
    Images,
    KernelSet,
    Population,
    Report,
    Run,
    Score,
    Split,
)
from composer.interfaces import INTERFACES
from composer.testing import (
    examples,
)

Make = Callable[..., list[EntryPoint]]
SIZE = examples.SIZE


def extract(self: Any, population: Population, run: Run) -> KernelSet:
    return examples.kernels(population)


def translate(self: Any, parents: Any, run: Run) -> KernelSet:
    count = min(map(len, parents))
    layers = {
        name: torch.stack([parent.layers[name][:count] for parent in parents]).mean(0) for name in parents[0].layers
    }
    return KernelSet("new", layers, parents[0].members[:count])


def assemble(self: Any, kernels: KernelSet, parents: Any, run: Run) -> ComposedModel:
    return ComposedModel(tuple(parents), parents[0].members)


def worth(self: Any, log_odds: Any, features: Any, run: Run) -> Any:
    return np.asarray([float(own.double().mean()) for own in features])


def evaluate(self: Any, model: ComposedModel, images: Images, run: Run) -> Report:
    if not model.has_log_odds:
        return Report({})
    return Report({"mean": Score(model.log_odds(images).double().mean(1).numpy())})


def load_images(self: Any, split: Split, run: Run) -> Images:
    if split.concept is None:
        return examples.cell_images(split.concepts)
    return examples.training_images(split.concept, split.concepts)


def load_models(self: Any, concept: str, run: Run) -> Population:
    return examples.population(concept, 2)


class Linear(nn.Module):
    def __init__(self, outputs: int, features: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, features, 3)
        self.head = nn.Linear(features, outputs)

    def features(self, pixels: torch.Tensor) -> Any:
        return self.conv(pixels).mean((2, 3))

    def forward(self, pixels: torch.Tensor) -> Any:
        return self.head(self.features(pixels))


def build(self: Any, outputs: int) -> nn.Module:
    return Linear(outputs)


VERBS: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "extractor": ("extract", extract),
    "translator": ("translate", translate),
    "assembler": ("assemble", assemble),
    "criterion": ("values", worth),
    "evaluator": ("evaluate", evaluate),
    "images": ("load", load_images),
    "models": ("load", load_models),
    "architecture": ("build", build),
}
EXTRA: Mapping[str, Mapping[str, Any]] = {
    "models": {"network": property(lambda self: examples.architecture())},
    "architecture": {"head": "head", "input_size": property(lambda self: examples.SIZE)},
    "criterion": {"picked_by": "mean of the features"},
    "translator": {"contract": Contract(architecture="one")},
}
COMPONENTS = {interface.kind: interface for interface in INTERFACES}


def make(kind: str, verb: Callable[..., Any] | None = None, **rest: Any) -> Any:
    """A component that works, or one with another verb or other attributes."""
    interface: Any = COMPONENTS[kind]
    name, good = VERBS[kind]
    body = {"__doc__": "Made for a test.", "__module__": __name__, "name": "mine", name: verb or good}
    return type(interface)("Mine", (interface,), {**body, **EXTRA.get(kind, {}), **rest})()
