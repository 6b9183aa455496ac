"""A small network that scores the units of two networks side by side, and the file that keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import sqrt
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from composer import ComposerError
from composer_merging.choice import in_order

TOKENS = 8
"""Numbers that are known of a unit."""
KIND = "composer scorer"
NAMES = ("enter", "enter.bias", "stay", "near", "all", "stay.bias", "leave")
LEAST = 1e-12
FURTHEST = 4.0
"""Logarithms of what a unit has beside the others are clipped to so much."""


@dataclass(frozen=True)
class Units:
    """What is known of a group's units: tokens [units, TOKENS], how alike they are, and where a scorer starts from."""

    tokens: Tensor
    alike: Tensor  # [units, units]: squared correlations, 0 with themselves; rows sum to 1 at most
    start: Tensor  # [units]: 1 for the unit that regression chooses first, down to 0 for the last


def described(covariance: Tensor, demand: Tensor) -> Units:
    """Of two networks' units side by side, from their covariance and what the next layers ask, [2 n, 2 n] each."""
    count = len(covariance)
    variance = covariance.diag().clamp(min=0)
    spread = variance.sqrt()
    correlation = covariance / torch.outer(spread, spread).clamp(min=LEAST)
    squares = correlation.square().clamp(max=1) * (1 - torch.eye(count, dtype=torch.float64))
    half = torch.arange(count) < count // 2
    own = half[:, None] == half[None]
    floor = 1e-6 * variance.mean().clamp(min=LEAST)
    inverse = torch.linalg.inv(covariance + floor * torch.eye(count, dtype=torch.float64))
    alone = (1 / (variance * inverse.diag()).clamp(min=1)).clamp(0, 1)
    wanted = demand.diag().clamp(min=0).sqrt() * spread
    worth = ((demand @ covariance) * covariance).sum(0) / variance.clamp(min=LEAST)
    start = torch.empty(count, dtype=torch.float64)
    start[in_order(covariance, demand, count)] = torch.linspace(1, 0, count, dtype=torch.float64)
    tokens = [
        _beside(spread),
        _beside(wanted),
        _beside(worth),
        torch.where(own, squares, 0.0).amax(1),
        torch.where(own, 0.0, squares).amax(1),
        squares.mean(1),
        alone,
        start,
    ]
    near = squares / squares.sum(1, keepdim=True).clamp(min=1)
    return Units(torch.stack(tokens, 1).float(), near.float(), start.float())


def _beside(values: Tensor) -> Tensor:
    """Logarithm of each value over their mean, clipped."""
    mean = values.mean().clamp(min=LEAST)
    return (values.clamp(min=LEAST) / mean).log().clamp(-FURTHEST, FURTHEST)


@dataclass(frozen=True)
class Scorer:
    """Two layers, in the second of which each unit also sees those that are like it, and the mean of all.

    So it says the same of a unit wherever it stands, for any number of units. concepts: those that it learned from.
    """

    weights: Mapping[str, Tensor]
    concepts: tuple[str, ...] = ()

    @classmethod
    def fresh(cls, hidden: int, generator: torch.Generator) -> Scorer:
        """It scores as regression does: the last layer is zero."""

        def drawn(inputs: int) -> Tensor:
            return torch.randn(inputs, hidden, generator=generator) / sqrt(inputs)

        zeros = torch.zeros(hidden)
        made = (
            drawn(TOKENS), zeros, drawn(hidden), drawn(hidden), drawn(hidden), zeros.clone(), torch.zeros(hidden, 1)
        )  # fmt: skip
        return cls(dict(zip(NAMES, made, strict=True)))

    def __call__(self, units: Units) -> Tensor:
        """[units]: those with the highest scores are kept. Differentiable."""
        own = self.weights
        first = (units.tokens @ own["enter"] + own["enter.bias"]).relu()
        seen = first @ own["stay"] + units.alike @ first @ own["near"] + first.mean(0) @ own["all"]
        scores: Tensor = units.start + ((seen + own["stay.bias"]).relu() @ own["leave"]).squeeze(1)
        return scores

    def save(self, file: Path) -> None:
        """Keeps it in a safetensors file."""
        tensors = {name: tensor.detach().contiguous() for name, tensor in self.weights.items()}
        save_file(tensors, file, {"kind": KIND, "concepts": json.dumps(self.concepts)})

    def plain(self) -> dict[str, Any]:
        """As JSON holds it."""
        weights = {name: tensor.detach().tolist() for name, tensor in self.weights.items()}
        return {"weights": weights, "concepts": list(self.concepts)}

    @classmethod
    def of(cls, plain: Mapping[str, Any]) -> Scorer:
        """What `plain` gave."""
        weights = {name: torch.tensor(values) for name, values in plain["weights"].items()}
        return cls(weights, tuple(plain["concepts"]))

    @classmethod
    def load(cls, file: Path) -> Scorer:
        """ComposerError for a file that holds no scorer."""
        try:
            with safe_open(file, "pt") as opened:
                about = opened.metadata() or {}
                weights = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118  # not a dict
        except (OSError, SafetensorError) as error:
            raise ComposerError(f"{file}: cannot be read as a scorer: {error}") from error
        if about.get("kind") != KIND or set(weights) != set(NAMES):
            raise ComposerError(f"{file}: it holds no scorer; `composer_merging.learn_scorer` makes one")
        return cls(weights, tuple(json.loads(about["concepts"])))


def best(scores: Tensor, count: int) -> Sequence[int]:
    """The `count` units with the highest scores, in their own order."""
    kept: list[int] = scores.argsort(descending=True, stable=True)[:count].sort().values.tolist()
    return kept
