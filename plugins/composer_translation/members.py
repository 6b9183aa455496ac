"""Kernels as rows of numbers, which members go together, and what is said of kernels that came out badly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from composer import ComposerError, KernelSet, Run, cell_name

ALIKE = 1e-3
"""Share of their size by which networks differ at least that are not one and the same."""
NOTHING = 1e-9
"""Share of a network's largest weight up to which a layer's weights are zeros, but for rounding."""


@dataclass(frozen=True)
class Form:
    """Layers and shapes of kernels, so that they can be rows and kernels again."""

    shapes: dict[str, tuple[int, ...]]

    @classmethod
    def of(cls, parents: Sequence[KernelSet], who: str) -> Form:
        """ComposerError unless all parents have the same layers and shapes, and finite kernels."""
        first = parents[0]
        form = cls({layer: tuple(kernels.shape[1:]) for layer, kernels in first.layers.items()})
        for parent in parents:
            met = {layer: tuple(kernels.shape[1:]) for layer, kernels in parent.layers.items()}
            if met != form.shapes:
                raise ComposerError(
                    f"{who}: the kernels of {first.concept!r} and {parent.concept!r} must have the same layers and "
                    f"shapes, but are {form.shapes} and {met}"
                )
            for layer, kernels in parent.layers.items():
                if not bool(kernels.isfinite().all()):
                    raise ComposerError(
                        f"{who}: kernels of {parent.concept!r} are not finite in layer {layer!r}; its training or its "
                        "file is broken"
                    )
        return form

    @property
    def sizes(self) -> list[int]:
        """Weights of each layer."""
        return [torch.Size(shape).numel() for shape in self.shapes.values()]

    def rows(self, kernels: KernelSet) -> Tensor:
        """float64 [M, W]: all weights of each member, layer after layer."""
        return torch.cat([kernels.layers[layer].flatten(1) for layer in self.shapes], 1).double()

    def layers(self, rows: Tensor) -> dict[str, Tensor]:
        """layer -> [M, O, I, kH, kW], differentiable."""
        parts = torch.split(rows, self.sizes, dim=1)
        return {
            layer: part.reshape(len(rows), *shape)
            for part, (layer, shape) in zip(parts, self.shapes.items(), strict=True)
        }

    def kernels(
        self, rows: Tensor, parents: Sequence[KernelSet], members: Sequence[str], who: str, run: Run
    ) -> KernelSet:
        """The rows as kernels of the target, looked at: see `warn_of_failures`."""
        layers = {layer: kernels.float().contiguous() for layer, kernels in self.layers(rows).items()}
        made = KernelSet(cell_name(parent.concept for parent in parents), layers, tuple(members))
        warn_of_failures(made, who, run)
        return made


def pairs(chosen: Sequence[Sequence[int]], most: int) -> list[tuple[int, ...]]:
    """Members to put together, one of each parent: first each with its neighbour, then with the next, and so on."""
    longest = max(map(len, chosen))
    found = (
        tuple(own[(place + turn * parent) % len(own)] for parent, own in enumerate(chosen))
        for turn in range(longest)
        for place in range(longest)
    )
    return list(islice(dict.fromkeys(found), most))


def joined_names(parents: Sequence[KernelSet], places: Sequence[tuple[int, ...]]) -> list[str]:
    """`black 4 + cat 5`."""
    return [" + ".join(parent.members[at] for parent, at in zip(parents, each, strict=True)) for each in places]


def warn_of_failures(kernels: KernelSet, who: str, run: Run) -> None:
    """Raises ComposerError for kernels that are not finite; warns of dead members, and of a collapse to one network."""
    rows = torch.cat([layer.flatten(1) for layer in kernels.layers.values()], 1).double()
    broken = [name for name, row in zip(kernels.members, rows, strict=True) if not bool(row.isfinite().all())]
    if broken:
        raise ComposerError(
            f"{who}: it diverged: {len(broken)} of {len(kernels)} networks are not finite, {broken[0]!r} first"
        )
    dead = [
        name
        for index, name in enumerate(kernels.members)
        if min(float(layer[index].abs().max()) for layer in kernels.layers.values())
        <= NOTHING * float(rows[index].abs().max())
    ]
    if dead:
        run.warn(f"{who}: {len(dead)} of {len(kernels)} networks are dead, a layer of zeros: {', '.join(dead[:5])}")
    spread = (rows - rows.mean(0)).norm(dim=1).max()
    if len(rows) > 1 and float(spread) <= ALIKE * float(rows.norm(dim=1).max()):
        run.warn(f"{who}: it collapsed: all {len(rows)} networks are the same, whatever members they are made of")
