"""The mean of networks whose units were put in one order."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from composer import Couplings, Population, Run, match_weights
from composer_merging import AlignedMean
from composer_merging.by_activations import Orders, match_activations
from composer_merging.merging import member_count, one_member, require_pictures


def aligned_mean(options: AlignedMean, parents: Sequence[Population], with_head: bool, run: Run) -> dict[str, Tensor]:
    """The weights of the mean networks, [M, ...]; the head is a mean too, or left out."""
    if options.by == "activations":
        require_pictures(options.name, "activations are compared", run)
    first = parents[0]
    count = member_count(parents)
    couplings = None if options.by == "nothing" else first.architecture.couplings()
    pixels = sample(options.pictures, first, run) if options.by == "activations" else None
    like = one_member(first, 0, with_head)
    merged = {name: tensor.new_empty(count, *tensor.shape) for name, tensor in like.items()}
    for member in run.progress(range(count), "merging networks", count):
        own, *others = (one_member(parent, member, with_head) for parent in parents)
        if couplings is not None:
            others = [
                couplings.permuted(other, order(options, couplings, first, own, other, pixels)) for other in others
            ]
        for name, tensor in merged.items():
            take_mean([own[name], *(other[name] for other in others)], tensor[member])
    return merged


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


def sample(most: int, parent: Population, run: Run) -> Tensor:
    """Preprocessed pixels of at most so many of all pictures, drawn with the stage's seed."""
    prepared = parent.preprocessing
    pixels = torch.cat([images.at(prepared.size) for images in run.pictures])
    drawn = torch.randperm(len(pixels), generator=run.generator())[:most].sort().values
    return prepared(pixels[drawn].to(run.device))


def take_mean(tensors: Sequence[Tensor], out: Tensor) -> None:
    """Writes the mean of all; of whole numbers, such as counts of steps, the first."""
    first, *others = tensors
    if not first.is_floating_point() or not others:
        out.copy_(first)
        return
    torch.add(first, others[0], out=out)
    for other in others[1:]:
        out.add_(other)
    out.div_(len(tensors))
