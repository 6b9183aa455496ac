"""CycleGAN between places along the principal components of two populations, instead of between their kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer import ComposerError, KernelSet, Run, cell_name
from composer_cyclegan.training import Training
from composer_cyclegan.translation import Pair, exchange, member_names, require_same_layers, train, translate_with
from composer_translation import warn_of_failures

if TYPE_CHECKING:
    from composer_cyclegan import CycleGAN

LAYER = "components"
NOTHING = 1e-9
"""Share of the members' size below which they do not differ along an axis."""
Layers = Mapping[str, Tensor]


@dataclass(frozen=True)
class Space:
    """Principal components of one population, each with the spread of its members along it as its unit."""

    shapes: Mapping[str, torch.Size]
    mean: Tensor  # float64 [W]
    axes: Tensor  # [R, W]
    scale: float = 1.0

    @classmethod
    def of(cls, parent: KernelSet, rank: int) -> Space:
        """The `rank` widest axes; each points to where its largest weight is positive, on every machine."""
        rows = _rows(parent.layers)
        mean = rows.mean(0)
        _, spread, axes = torch.linalg.svd(rows - mean, full_matrices=False)
        spread, axes = spread[:rank], axes[:rank]
        sign = axes.gather(1, axes.abs().argmax(1, keepdim=True)).sign()
        usable = spread > NOTHING * rows.norm()
        axes = torch.where(usable[:, None], axes * sign * spread[:, None] / (len(rows) - 1) ** 0.5, 0.0)
        return cls({layer: kernels.shape[1:] for layer, kernels in parent.layers.items()}, mean, axes)

    def places(self, layers: Layers) -> Tensor:
        """float32 [M, 1, R, 1, 1]: along each axis, over the scale; as kernels with an output of R inputs."""
        squares = self.axes.square().sum(1)
        along = (_rows(layers) - self.mean) @ self.axes.T / torch.where(squares > 0, squares, 1.0)
        return (along / self.scale).float()[:, None, :, None, None]

    def kernels(self, places: Tensor) -> dict[str, Tensor]:
        """layer -> float32 [M, O, I, kH, kW] of places as above."""
        rows = self.mean + self.scale * places[:, 0, :, 0, 0].double() @ self.axes
        parts = torch.split(rows.float(), [shape.numel() for shape in self.shapes.values()], 1)
        return {
            layer: part.reshape(len(part), *shape)
            for (layer, shape), part in zip(self.shapes.items(), parts, strict=True)
        }


def translate_places(options: CycleGAN, parents: Sequence[KernelSet], run: Run) -> KernelSet:
    """As `translate`: the object's members in the style of all attributes, then each attribute's in the object's."""
    require_same_layers(parents)
    order = tuple(parents[0].layers)
    parents = [replace(parent, layers={layer: parent.layers[layer] for layer in order}) for parent in parents]
    for parent in parents:
        if len(parent) == 1:
            raise ComposerError(
                f"cyclegan: {parent.concept!r} has one member, which has no principal components; space: pca needs two"
            )
    rank = min(map(len, parents)) - 1
    spaces = [Space.of(parent, rank) for parent in parents]
    widest = max(float(space.places(parent.layers).abs().max()) for space, parent in zip(spaces, parents, strict=True))
    *others, own = [replace(space, scale=widest or 1.0) for space in spaces]
    *attributes, of_object = parents
    generator = run.generator()
    pairs = [
        _pair(options, attribute, of_object, space, own, int(torch.randint(2**62, (), generator=generator)), run)
        for attribute, space in zip(attributes, others, strict=True)
    ]
    if len(pairs) == 1:
        pairs = [replace(pair, name=LAYER) for pair in pairs]
    train(pairs, options, run)
    layers: Layers = of_object.layers
    found: list[Layers] = []
    for pair, space in zip(pairs, others, strict=True):
        layers = space.kernels(translate_with(pair.training.to_a, own.places(layers)))
        found.append(own.kernels(translate_with(pair.training.to_b, pair.attribute.layers[LAYER])))
    joined = {layer: torch.cat([part[layer] for part in (layers, *found)]) for layer in own.shapes}
    made = KernelSet(cell_name(parent.concept for parent in parents), joined, member_names(parents))
    warn_of_failures(made, options.name, run)
    return made


def _pair(
    options: CycleGAN, attribute: KernelSet, of_object: KernelSet, space: Space, own: Space, seed: int, run: Run
) -> Pair:
    coded = [
        replace(set_, layers={LAYER: at.places(set_.layers)}) for set_, at in ((attribute, space), (of_object, own))
    ]
    seen = exchange(own.places(attribute.layers)), exchange(space.places(of_object.layers))
    a, b = (exchange(each.layers[LAYER]) for each in coded)
    training = Training(a, b, options, seed, run.device, seen)
    return Pair(coded[0], coded[1], LAYER, training, f"{LAYER} {attribute.concept}")


def _rows(layers: Layers) -> Tensor:
    """float64 [M, W]: all weights of each member, layer after layer."""
    return torch.cat([kernels.flatten(1) for kernels in layers.values()], 1).double()
