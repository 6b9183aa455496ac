"""A flow from noise to kernels, in the space of their principal components."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

import torch
from torch import Tensor

from composer import ComposerError, KernelSet, Lines, Run
from composer_translation import Flow
from composer_translation.members import Form

BATCH = 64
STEPS_OF_A_SAMPLE = 50
DIVERGED = 1000.0
"""No loss of a training that works: to say nothing costs 2."""
POINTS = 20
"""Of the curve that the report shows."""


@dataclass(frozen=True)
class Space:
    """Principal components, each with the spread of the members along it as its unit."""

    mean: Tensor  # [W]
    axes: Tensor  # [R, W]

    @classmethod
    def of(cls, rows: Tensor) -> Space:
        mean = rows.mean(0)
        _, spread, axes = torch.linalg.svd(rows - mean, full_matrices=False)
        kept = spread > 1e-6 * rows.norm().clamp(min=1e-12)
        return cls(mean, (axes * spread[:, None] / max(len(rows) - 1, 1) ** 0.5)[kept])

    def places(self, rows: Tensor) -> Tensor:
        """[M, R] of [M, W]."""
        return (rows - self.mean) @ self.axes.T / self.axes.square().sum(1).clamp(min=1e-30)


class Velocity:
    """A plain network of two hidden layers: where a point goes at a time, under a condition."""

    def __init__(self, rank: int, conditions: int, hidden: int, generator: torch.Generator) -> None:
        widths = [rank + 1 + conditions, hidden, hidden, rank]
        self.layers = [
            (
                (torch.randn(inputs, outputs, generator=generator) * inputs**-0.5).requires_grad_(),
                torch.zeros(outputs).requires_grad_(),
            )
            for inputs, outputs in itertools.pairwise(widths)
        ]

    @property
    def learned(self) -> list[Tensor]:
        return [tensor for layer in self.layers for tensor in layer]

    def __call__(self, places: Tensor, time: Tensor, condition: Tensor) -> Tensor:
        found = torch.cat([places, time, condition], 1)
        for index, (weight, bias) in enumerate(self.layers):
            found = found @ weight + bias
            if index < len(self.layers) - 1:
                found = torch.nn.functional.silu(found)
        return found


def flow(options: Flow, parents: Sequence[KernelSet], run: Run) -> KernelSet:
    """Kernels drawn under all parents' conditions at once."""
    form = Form.of(parents, options.name)
    random = run.generator()
    rows = torch.cat([form.rows(parent) for parent in parents])
    owner = torch.cat([torch.full((len(parent),), place) for place, parent in enumerate(parents)])
    space = Space.of(rows)
    known = space.places(rows).float()
    conditions = torch.eye(len(parents))
    velocity = Velocity(known.shape[1], len(parents), options.hidden, random)
    _train(options, velocity, known, conditions[owner], random, run)
    count = options.members or min(map(len, parents))
    with torch.no_grad():
        places = torch.randn((count, known.shape[1]), generator=random)
        both = torch.full((count, len(parents)), 1 / len(parents))
        for step in range(STEPS_OF_A_SAMPLE):
            time = torch.full((count, 1), step / STEPS_OF_A_SAMPLE)
            places = places + velocity(places, time, both) / STEPS_OF_A_SAMPLE
    made = space.mean + places.double() @ space.axes
    return form.kernels(made, parents, [f"flow {member}" for member in range(count)], options.name, run)


def _train(
    options: Flow, velocity: Velocity, known: Tensor, conditions: Tensor, random: torch.Generator, run: Run
) -> None:
    """Flow matching along straight lines from noise to members."""
    optimiser = torch.optim.Adam(velocity.learned, options.learning_rate)
    losses = []
    for step in run.progress(range(options.steps), "training the flow", options.steps):
        chosen = torch.randint(len(known), (BATCH,), generator=random)
        noise = torch.randn((BATCH, known.shape[1]), generator=random)
        time = torch.rand((BATCH, 1), generator=random)
        wanted = known[chosen] - noise
        said = velocity(torch.lerp(noise, known[chosen], time), time, conditions[chosen])
        loss = (said - wanted).square().mean() if known.shape[1] else said.sum()
        losses.append(float(loss.detach()))
        if not isfinite(losses[-1]) or losses[-1] > DIVERGED:
            raise ComposerError(
                f"flow: training diverged in step {step + 1} of {options.steps}: the loss is {losses[-1]:.4g}; lower "
                f"learning_rate ({options.learning_rate:g})"
            )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    width = max(len(losses) // POINTS, 1)
    parts = [losses[at : at + width] for at in range(0, len(losses), width)]
    run.figure(
        "flow",
        Lines(
            "Loss of the flow",
            {"members": [sum(part) / len(part) for part in parts]},
            f"each point {width} steps",
            "squared error of the velocity",
        ),
    )
