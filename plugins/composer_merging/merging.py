"""One network out of several: aligned, averaged, set right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor, nn

from composer import ComposedModel, ComposerError, Couplings, Population, Run, cell_name, headed, recalibrated
from composer_merging import AlignedMean
from composer_merging.by_activations import match_activations
from composer_merging.by_weights import Orders, match_weights


def merge(options: AlignedMean, parents: Sequence[Population], run: Run) -> ComposedModel:
    """Members i of all parents become one network; a parent of one member serves all."""
    require_alike(options, parents)
    recalibrate = options.recalibrate and any(name.endswith("running_var") for name in parents[0].weights)
    if (options.by == "activations" or recalibrate) and not any(len(images) for images in run.pictures):
        what = "activations are compared" if options.by == "activations" else "running statistics are estimated"
        raise ComposerError(f"{options.name}: {what} on the parents' pictures, and there are none")
    body = replace(aligned_mean(options, parents, run), concept=cell_name(dict.fromkeys(p.concept for p in parents)))
    if options.head == "fit":
        body = replace(body, outputs=(), cells=(), _memo={})
    if recalibrate:
        body = recalibrated(body, run.pictures, run)
    if options.head == "fit":
        body = headed(body, parents, run)
    return ComposedModel((body,), body.members)


def require_alike(options: AlignedMean, parents: Sequence[Population]) -> None:
    """Raises ComposerError for parents that one network cannot stand for."""
    first = parents[0]
    for parent in parents:
        for name, tensor in parent.weights.items():
            if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
                raise ComposerError(f"{options.name}: {name!r} of {parent.concept!r} is not finite; it has diverged")
        if parent.preprocessing != first.preprocessing:
            raise ComposerError(
                f"{options.name}: {first.concept!r} and {parent.concept!r} prepare their pictures differently "
                f"({first.preprocessing} and {parent.preprocessing}), so one network cannot stand for both"
            )
        if options.head == "mean":
            require_one_head(options, first, parent)


def require_one_head(options: AlignedMean, first: Population, parent: Population) -> None:
    """Raises ComposerError unless the outputs of two parents mean the same."""
    if not parent.has_head:
        raise ComposerError(f"{options.name}: {parent.why_no_log_odds}")
    shapes = [{name: tensor.shape[1:] for name, tensor in each.head_weights.items()} for each in (first, parent)]
    if (first.concept, first.outputs, first.cells) != (parent.concept, parent.outputs, parent.cells) or (
        shapes[0] != shapes[1]
    ):
        raise ComposerError(
            f"{options.name}: head: the outputs of {first.concept!r} and {parent.concept!r} do not mean the same, and "
            "their mean means nothing; take `head: fit`"
        )


def aligned_mean(options: AlignedMean, parents: Sequence[Population], run: Run) -> Population:
    """The mean networks; without a head unless the options say that it is a mean too."""
    first = parents[0]
    count = min((len(parent) for parent in parents if len(parent) > 1), default=1)
    couplings = None if options.by == "nothing" else first.architecture.couplings()
    pixels = sample(options, first, run) if options.by == "activations" else None
    merged = []
    for member in run.progress(range(count), "merging networks", count):
        own, *others = (one_member(parent, member, with_head=options.head == "mean") for parent in parents)
        if couplings is not None:
            others = [
                couplings.permuted(other, order(options, couplings, first, own, other, pixels)) for other in others
            ]
        merged.append(mean([own, *others]))
    weights = {name: torch.stack([each[name] for each in merged]) for name in merged[0]}
    names = [
        " + ".join(parent.members[member % len(parent)] for parent in parents)  # a parent of one serves all
        for member in range(count)
    ]
    return replace(first, weights=weights, members=tuple(names), _memo={})


def one_member(population: Population, member: int, with_head: bool) -> dict[str, Tensor]:
    weights = population.weights if with_head else population.body_weights
    return {name: tensor[member % len(tensor)] for name, tensor in weights.items()}


def order(
    options: AlignedMean,
    couplings: Couplings,
    parent: Population,
    own: dict[str, Tensor],
    other: dict[str, Tensor],
    pixels: Tensor | None,
) -> Orders:
    """The order in which the units of `other` are those of `own`."""
    known: Orders = {}
    if pixels is not None:
        known = match_activations(couplings, network(parent, own, pixels), network(parent, other, pixels), pixels)
    return match_weights(couplings, own, other, options.sweeps, known)


def network(parent: Population, weights: dict[str, Tensor], pixels: Tensor) -> nn.Module:
    """A network of the parent's architecture; its head is not used."""
    with torch.random.fork_rng(devices=[]):
        built = parent.architecture.build(outputs=1).eval()
    head = f"{parent.architecture.head}."
    built.load_state_dict({name: own for name, own in weights.items() if not name.startswith(head)}, strict=False)
    return built.to(pixels.device)


def sample(options: AlignedMean, parent: Population, run: Run) -> Tensor:
    """Preprocessed pixels of some of all pictures, drawn with the stage's seed."""
    prepared = parent.preprocessing
    pixels = torch.cat([images.at(prepared.size) for images in run.pictures])
    drawn = torch.randperm(len(pixels), generator=run.generator())[: options.pictures].sort().values
    return prepared(pixels[drawn].to(run.device))


def mean(networks: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """The mean of all weights; whole numbers, such as counts of steps, are those of the first network."""
    first, *others = networks
    return {
        name: torch.stack([tensor, *(other[name] for other in others)]).mean(0)
        if tensor.is_floating_point()
        else tensor
        for name, tensor in first.items()
    }
