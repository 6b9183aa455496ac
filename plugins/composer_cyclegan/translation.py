"""From the parents' kernels to translated ones: who is trained with whom, and what goes through which generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import isfinite
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer import ComposerError, KernelSet, Run, Tiles, cell_name
from composer_cyclegan.figures import kernel_tiles, loss_curves
from composer_cyclegan.networks import Generator
from composer_cyclegan.sharing import groups_of, joined, parted
from composer_cyclegan.training import Training
from composer_translation import warn_of_failures

if TYPE_CHECKING:
    from composer_cyclegan import CycleGAN

AT_ONCE = 256
"""Members per pass of a trained generator: enough to keep the cores busy, in some tens of megabytes."""
SHOWN = 3
"""Members of each parent in the figures."""
DIVERGED = 1000.0
"""No loss of a training that works: a discriminator that has learned nothing has 0.25."""


@dataclass(frozen=True)
class Pair:
    """The CycleGAN between one attribute's kernels and the object's, in one layer."""

    attribute: KernelSet
    object: KernelSet
    layer: str
    training: Training
    name: str
    """`conv1`, or `conv1 small` where several attributes are translated."""


def translate(options: CycleGAN, parents: Sequence[KernelSet], run: Run) -> KernelSet:
    """The object's kernels in the style of all attributes, then each attribute's kernels in the object's style."""
    require_same_layers(parents)
    groups = groups_of(parents[0], options.share)
    together = [[joined(parent, group) for parent in parents] for group in groups]
    scales = [_scale(sets, options) for sets in together]
    scaled = [
        [replace(own, layers={layer: kernels / scale for layer, kernels in own.layers.items()}) for own in sets]
        for sets, scale in zip(together, scales, strict=True)
    ]
    _warn_of_the_unreachable(scaled, run)
    generator = run.generator()
    pairs = [_pairs(options, sets, generator, run.device) for sets in scaled]
    train([pair for own in pairs for pair in own], options, run)
    for pair in (pair for own in pairs for pair in own):
        run.figure(f"kernels {pair.name}", _before_and_after(pair))
    *others, last = map(len, parents)
    layers: dict[str, Tensor] = {}
    for group, own, scale in zip(groups, pairs, scales, strict=True):
        layers |= parted(through_all_generators(own) * scale, group, [last, *others])
    in_order = {layer: layers[layer] for layer in parents[0].layers}
    made = KernelSet(cell_name(parent.concept for parent in parents), in_order, member_names(parents))
    warn_of_failures(made, options.name, run)
    return made


def _pairs(options: CycleGAN, sets: Sequence[KernelSet], generator: torch.Generator, device: str) -> list[Pair]:
    """One for each attribute. sets: of one layer each, the object's last."""
    *attributes, of_object = sets
    (layer,) = of_object.layers
    return [
        Pair(
            attribute,
            of_object,
            layer,
            Training(
                exchange(attribute.layers[layer]),
                exchange(of_object.layers[layer]),
                options,
                seed=int(torch.randint(2**62, (), generator=generator)),
                device=device,
            ),
            name=layer if len(attributes) == 1 else f"{layer} {attribute.concept}",
        )
        for attribute in attributes
    ]


@torch.no_grad()
def translate_with(generator: Generator, kernels: Tensor) -> Tensor:
    """Kernels [M, O, I, kH, kW] after the generator; on the CPU, wherever the generator lies."""
    device = next(generator.parameters()).device
    translated = [generator(exchange(part).to(device)).cpu() for part in torch.split(kernels, AT_ONCE)]
    return exchange(torch.cat(translated)).contiguous()


def exchange(kernels: Tensor) -> Tensor:
    """[M, I, O, kH, kW] from [M, O, I, kH, kW], and back."""
    return kernels.transpose(1, 2)


def member_names(parents: Sequence[KernelSet]) -> tuple[str, ...]:
    """`<member> A` for the object's, then `<member> B` for the attribute's (of several: `<member> B <attribute>`)."""
    *attributes, of_object = parents
    names = [f"{member} A" for member in of_object.members]
    for attribute in attributes:
        domain = "B" if len(attributes) == 1 else f"B {attribute.concept}"
        names += [f"{member} {domain}" for member in attribute.members]
    return tuple(names)


def require_same_layers(parents: Sequence[KernelSet]) -> None:
    """Raises ComposerError unless all parents have the same layers and shapes, and finite kernels."""
    first = parents[0]
    expected = {layer: list(kernels.shape[1:]) for layer, kernels in first.layers.items()}
    for parent in parents:
        met = {layer: list(kernels.shape[1:]) for layer, kernels in parent.layers.items()}
        if met != expected:
            raise ComposerError(
                f"cyclegan: the kernels of {first.concept!r} and {parent.concept!r} must have the same layers and"
                f" shapes, but are {expected} and {met}"
            )
        for layer, kernels in parent.layers.items():
            broken = (~kernels.flatten(1).isfinite().all(1)).nonzero().flatten().tolist()
            if broken:
                raise ComposerError(
                    f"cyclegan: {len(broken)} of {len(parent)} members of {parent.concept!r} have kernels that are not"
                    f" finite in layer {layer!r}, {parent.members[broken[0]]!r} first; leave them out or train anew"
                )


def _scale(sets: Sequence[KernelSet], options: CycleGAN) -> float:
    if options.scale == "none":
        return 1.0
    return max(float(kernels.abs().max()) for own in sets for kernels in own.layers.values()) or 1.0


def _warn_of_the_unreachable(layers: Sequence[Sequence[KernelSet]], run: Run) -> None:
    shares = []
    for sets in layers:
        (layer,) = sets[0].layers
        weights = torch.cat([own.layers[layer].flatten() for own in sets])
        outside = int((weights.abs() > 1).sum())
        if outside:
            shares.append(f"{100 * outside / len(weights):.2g} % in layer {layer!r}")
    if shares:
        run.warn(
            "cyclegan: kernel weights outside (-1, 1), which the generators' Tanh cannot reach: "
            + ", ".join(shares)
            + "; 'scale: unit' brings them inside"
        )


def train(pairs: Sequence[Pair], options: CycleGAN, run: Run) -> None:
    """Trains all pairs, one after the other, and keeps their curves. ComposerError where one diverges."""
    curves: dict[str, list[dict[str, float]]] = {pair.name: [] for pair in pairs}
    epochs = ((pair, epoch) for pair in pairs for epoch in range(1, options.epochs + 1))
    for pair, epoch in run.progress(epochs, "CycleGAN epochs of all layers", len(pairs) * options.epochs):
        losses = pair.training.epoch()
        _stop_if_diverged(losses, pair.name, epoch, options)
        curves[pair.name].append(losses)
    for name, losses_of_epochs in curves.items():
        run.figure(f"losses {name}", loss_curves(name, losses_of_epochs))


def _stop_if_diverged(losses: Mapping[str, float], name: str, epoch: int, options: CycleGAN) -> None:
    for loss, value in losses.items():
        if not isfinite(value) or value > DIVERGED:
            raise ComposerError(
                f"cyclegan: training diverged in layer {name!r}, epoch {epoch} of {options.epochs}: loss {loss!r} is"
                f" {value:.4g}; lower learning_rate ({options.learning_rate:g}; 2e-4 is usual)"
                + (", or set 'scale: unit' if the kernels are large" if options.scale == "none" else "")
            )


def through_all_generators(pairs: Sequence[Pair]) -> Tensor:
    """Of one layer: the object's kernels through the generators of all attributes, then the attributes' kernels."""
    in_style = pairs[0].object.layers[pairs[0].layer]
    for pair in pairs:
        in_style = translate_with(pair.training.to_a, in_style)
    return torch.cat(
        [in_style, *(translate_with(pair.training.to_b, pair.attribute.layers[pair.layer]) for pair in pairs)]
    )


def _before_and_after(pair: Pair) -> Tiles:
    rows: list[tuple[str, Tensor]] = []
    for source, target, generator in (
        (pair.object, pair.attribute, pair.training.to_a),
        (pair.attribute, pair.object, pair.training.to_b),
    ):
        kernels = source.layers[pair.layer][:SHOWN]
        for member, before, after in zip(source.members, kernels, translate_with(generator, kernels), strict=False):
            label = member if source.concept in member else f"{source.concept} {member}"
            rows += [(label, before), (f"-> {target.concept}", after)]
    return kernel_tiles(f"Kernels of {pair.name}, before and after translation", rows)
