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
    with_head = options.head != "fit" and not (difference := other_meaning(parents))
    if options.head == "mean" and not with_head:
        raise ComposerError(f"{options.name}: head: {difference}, and their mean means nothing; take `head: fit`")
    recalibrate = recalibrates(options, parents[0], run)
    if options.by == "activations":
        require_pictures(options, "activations are compared", run)
    concept = cell_name(dict.fromkeys(parent.concept for parent in parents))
    body = replace(aligned_mean(options, parents, with_head, run), concept=concept)
    if not with_head:
        body = replace(body, outputs=(), cells=(), _memo={})
    if recalibrate:
        body = recalibrated(body, run.pictures, run)
    if not with_head:
        body = headed(body, parents, run)
    return ComposedModel((body,), body.members)


def recalibrates(options: AlignedMean, parent: Population, run: Run) -> bool:
    """Whether running statistics are estimated anew: where there are any, unless the options say no."""
    if options.recalibrate is False or not any(name.endswith("running_var") for name in parent.weights):
        return False
    if options.recalibrate is None and not any(len(images) for images in run.pictures):
        run.warn(
            f"{options.name}: there are no pictures, so the running statistics of batch norm are means of the "
            "parents', with which merged networks are often no better than chance"
        )
        return False
    require_pictures(options, "running statistics are estimated", run)
    return True


def require_pictures(options: AlignedMean, what: str, run: Run) -> None:
    if not any(len(images) for images in run.pictures):
        raise ComposerError(f"{options.name}: {what} on the parents' pictures, and there are none")


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


def other_meaning(parents: Sequence[Population]) -> str:
    """Why the outputs of the parents cannot be averaged, in words; empty where they mean the same."""
    first = parents[0]
    for parent in parents:
        if not parent.has_head:
            return parent.why_no_log_odds
        own, others = ({name: tensor.shape[1:] for name, tensor in p.head_weights.items()} for p in (first, parent))
        meaning = (first.concept, first.outputs, first.cells), (parent.concept, parent.outputs, parent.cells)
        if meaning[0] != meaning[1] or own != others:
            return f"the outputs of {first.concept!r} and {parent.concept!r} do not mean the same"
    return ""


def aligned_mean(options: AlignedMean, parents: Sequence[Population], with_head: bool, run: Run) -> Population:
    """The mean networks; the head is a mean too, or left out."""
    first = parents[0]
    count = min((len(parent) for parent in parents if len(parent) > 1), default=1)
    couplings = None if options.by == "nothing" else first.architecture.couplings()
    pixels = sample(options, first, run) if options.by == "activations" else None
    merged = []
    for member in run.progress(range(count), "merging networks", count):
        own, *others = (one_member(parent, member, with_head) for parent in parents)
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
