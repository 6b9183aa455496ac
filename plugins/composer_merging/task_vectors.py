"""What fine-tuning changed in networks, put together and added to the base that all of them come from.

Tensor by tensor: beside the parents, the base and the result no more than one tensor's changes are held, and for
trimming over a whole network the sizes of one parent's changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import sqrt
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from composer import Architecture, ComposedModel, ComposerError, Population, Run, WeightsReader, read_state_file
from composer_merging import Dare, TaskArithmetic, Ties
from composer_merging.merging import Weights, member_count, merge, one_member, other_meaning, require_alike

Options = TaskArithmetic | Ties | Dare
Shares = Sequence[float]
Rule = Callable[[str, list[Tensor]], Tensor]
"""The merged change of a tensor: its name, and what changed in it from the base to each parent."""

STATISTICS = ("running_mean", "running_var")
"""What a network does not learn, but meets: it does not count."""
UNRELATED = 0.1
"""Cosine between the weights of a network and its base below which it hardly comes from there: on CIFAR-10, published
ResNet-20 from different starts have 0.02 at most, two states of one training run 0.98 or more."""


def from_base(options: Options, parents: Sequence[Population], run: Run) -> ComposedModel:
    """Members i of all parents become one network; a parent of one member serves all."""
    for option, message in options.problems([parent.concept for parent in parents]):
        raise ComposerError(f"{options.name}: {option}: {message}")
    assert options.base is not None, "`problems` said so"
    shares = tuple(options.weights or (1.0,) * len(parents))
    if len(shares) != len(parents):
        raise ComposerError(f"{options.name}: weights: there are {len(shares)} of them for {len(parents)} parents")
    base, unfit_head = read_base(options.base, parents)
    return from_weights(options, base, unfit_head, parents, shares, run)


def from_weights(
    options: Options, base: Weights, unfit_head: str, parents: Sequence[Population], shares: Shares, run: Run
) -> ComposedModel:
    """The same with the base at hand. unfit_head: why the head cannot be merged like the rest; empty where it can."""
    require_alike(options.name, parents)
    warn_of_strangers(options, base, parents, run)
    return merge(
        options,
        parents,
        lambda with_head: merged(options, base, parents, shares, with_head, run),
        run,
        unfit_head=unfit_head,
        head=options.head,
        recalibrate=options.recalibrate,
    )


def read_base(file: Path, parents: Sequence[Population]) -> tuple[Weights, str]:
    """The base's weights, and why the head cannot be merged like the rest; empty where it can.

    ComposerError where the file holds no network of the parents' architecture.
    """
    architecture = parents[0].architecture
    state, reader = read_state_file(file), WeightsReader(architecture)
    unfit = other_meaning(parents)
    try:
        base = reader.find(state, file).weights
    except ComposerError:
        base = reader.find(state, file, headless=True).weights
        held = sum(tensor.is_floating_point() for tensor in state.tensors.values())
        if held > sum(tensor.is_floating_point() for tensor in base.values()):
            raise  # more than a body without its head, such as a deeper network
        return base, unfit or "the base has no head"
    return base, unfit or _other_head(architecture, base, parents[0])


def _other_head(architecture: Architecture, base: Weights, parent: Population) -> str:
    weight = f"{architecture.head}.weight"
    own, others = len(base[weight]), parent.weights[weight].shape[1]
    return "" if own == others else f"the base has {own} outputs, and the parents {others}"


def warn_of_strangers(options: Options, base: Weights, parents: Sequence[Population], run: Run) -> None:
    """Warns of parents that hardly resemble the base, so that they may never have been trained from it."""
    for parent in parents:
        cosine = resemblance(base, one_member(parent, 0, with_head=False))
        if cosine < UNRELATED:
            run.warn(
                f"{options.name}: {parent.members[0]!r} hardly resembles the base (cosine of the weights "
                f"{cosine:.2f}); if it was not trained from there, what is made of it means nothing"
            )


def resemblance(base: Weights, network: Weights) -> float:
    """The cosine between the weights of two networks, without biases and norms."""
    both = own = others = 0.0
    for name, tensor in network.items():
        if tensor.is_floating_point() and tensor.ndim > 1:
            first, second = base[name].flatten(), tensor.flatten()
            both += float(first @ second)
            own += float(first @ first)
            others += float(second @ second)
    return both / max(sqrt(own * others), 1e-30)


def merged(
    options: Options, base: Weights, parents: Sequence[Population], shares: Shares, with_head: bool, run: Run
) -> Weights:
    """The weights of the merged networks, [M, ...]."""
    count = member_count(parents)
    like = one_member(parents[0], 0, with_head)
    found = {name: tensor.new_empty(count, *tensor.shape) for name, tensor in like.items()}
    generator = run.generator()
    for member in run.progress(range(count), "merging networks", count):
        networks = [one_member(parent, member, with_head) for parent in parents]
        rule = _rule(options, base, networks, shares, generator)
        for name in sorted(found):  # in this order numbers are drawn
            put_together(name, base, networks, shares, options, rule, found[name][member])
    return found


def put_together(
    name: str, base: Weights, networks: Sequence[Weights], shares: Shares, options: Options, rule: Rule, out: Tensor
) -> None:
    """Writes a tensor of the merged network; whole numbers, such as counts of steps, are those of the first network."""
    tensors = [network[name] for network in networks]
    if not out.is_floating_point():
        out.copy_(tensors[0])
        return
    own = base[name]
    changes = [tensor - own for tensor in tensors]
    if not name.endswith(STATISTICS):
        torch.add(own, rule(name, changes).mul_(options.scale), out=out)
        return
    total = sum(shares) if isinstance(options, Ties) else 1.0
    torch.add(own, summed(changes, shares).mul_(options.scale / total), out=out)
    if name.endswith("running_var"):
        torch.maximum(out, torch.stack([own, *tensors]).amin(0), out=out)


def _rule(
    options: Options, base: Weights, networks: Sequence[Weights], shares: Shares, generator: torch.Generator
) -> Rule:
    if isinstance(options, TaskArithmetic):
        return lambda name, changes: summed(changes, shares)
    if isinstance(options, Dare):
        return lambda name, changes: summed([dropped(change, options.keep, generator) for change in changes], shares)
    least = [least_kept(base, network, options.keep) if options.trim == "network" else None for network in networks]
    return lambda name, changes: agreed(
        [trimmed(change, options.keep, own) for change, own in zip(changes, least, strict=True)], shares
    )


def summed(changes: Sequence[Tensor], shares: Shares) -> Tensor:
    """The weighted sum."""
    total = changes[0] * shares[0]
    for change, share in zip(changes[1:], shares[1:], strict=True):
        total.add_(change, alpha=share)
    return total


def dropped(change: Tensor, keep: float, generator: torch.Generator) -> Tensor:
    """Numbers kept with probability `keep`, and divided by it; the others are 0."""
    kept = torch.rand(change.shape, generator=generator) < keep
    return torch.where(kept, change / keep, 0.0)


def trimmed(change: Tensor, keep: float, least: float | None) -> Tensor:
    """The changes of at least this size, or the share `keep` of them that is largest; the others become 0, in place."""
    least = least_of(change.abs().flatten(), keep) if least is None else least
    return change.masked_fill_(change.abs() < least, 0.0)


def least_kept(base: Weights, network: Weights, keep: float) -> float:
    """The size of the smallest change of a whole network that is kept."""
    names = [name for name, own in network.items() if own.is_floating_point() and not name.endswith(STATISTICS)]
    sizes = torch.empty(sum(network[name].numel() for name in names))
    start = 0
    for name in names:
        own = sizes[start : start + network[name].numel()]
        torch.sub(network[name].flatten(), base[name].flatten(), out=own).abs_()
        start += len(own)
    return least_of(sizes, keep)


def least_of(sizes: Tensor, keep: float) -> float:
    """The smallest of the share `keep` of numbers [n] that is largest, one at least; puts them in another order."""
    place = len(sizes) - max(round(keep * len(sizes)), 1)
    numbers: NDArray[np.float32] = sizes.numpy()
    numbers.partition(place)
    return float(numbers[place])


def agreed(changes: Sequence[Tensor], shares: Shares) -> Tensor:
    """For every number the weighted mean of those changes that have the sign of their weighted sum; else 0."""
    sign = summed(changes, shares).sign_()
    total, weight = torch.zeros_like(sign), torch.zeros_like(sign)
    for change, share in zip(changes, shares, strict=True):
        agrees = (change.sign() == sign) & (change != 0)
        total.add_(torch.where(agrees, change, 0.0), alpha=share)
        weight.add_(agrees, alpha=share)
    return torch.where(weight > 0, total / weight.clamp(min=torch.finfo(weight.dtype).tiny), 0.0)
