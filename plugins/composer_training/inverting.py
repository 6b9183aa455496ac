"""Pictures found in networks alone, such that batch norm meets what it remembers of their training: DeepInversion."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.modules.batchnorm import _BatchNorm

from composer import ComposerError, Images, Population, Preprocessing, Run
from composer_training import Distil
from composer_training.training import mirror_half, schedule

STATISTICS, ROUGHNESS = 10.0, 2.5e-5
"""How much running statistics and smoothness count beside the classes: the paper's, for pictures of 32 pixels."""
LARGEST_STEP = 0.1
"""Adam's, as in the paper; it rises to this and falls to 0."""
SHIFTS = 16
"""By up to one of so many parts of its side a picture is moved in each step, so that no pixel is fitted alone."""


def inverted(options: Distil, parents: Sequence[Population], generator: torch.Generator, run: Run) -> list[Images]:
    """Equally many pictures (to one) of every body among the parents, `options.count` in all; nobody saw any.

    ComposerError where a body has no batch norm with running statistics: it remembers nothing of its pictures.
    """
    bodies: list[list[Population]] = []
    for parent in parents:
        known = next((group for group in bodies if group[0].shares_body(parent)), None)
        if known is None:
            bodies.append([parent])
        else:
            known.append(parent)
    networks = [_Remembering(group) for group in bodies]
    found = []
    for number, network in enumerate(networks):
        count = options.made // len(networks) + (number < options.made % len(networks))
        batches = [min(options.batch, count - start) for start in range(0, count, options.batch)]
        progress = run.progress(batches, f"finding pictures in {network.concept!r}", len(batches))
        pixels = [network.invert(batch, turn, options, generator, run.device) for turn, batch in enumerate(progress)]
        names = [f"{network.concept} {index}" for index in range(count)]
        found.append(Images(names, {}, torch.cat(pixels)))
    return found


class _Remembering:
    """One body, all of whose parents' heads say what a picture shows, and what its batch norms remember."""

    def __init__(self, parents: Sequence[Population]) -> None:
        self.parents = parents
        first = parents[0]
        self.concept = first.concept
        with torch.random.fork_rng(devices=[]):
            self.network = first.architecture.build(outputs=1).eval().requires_grad_(False)
        norms = [module for module in self.network.modules() if isinstance(module, _BatchNorm)]
        self.norms = [norm for norm in norms if norm.running_mean is not None]
        if not self.norms:
            raise ComposerError(
                f"distil: pictures: `inverted` finds pictures by the running statistics of batch norm, and the network "
                f"of {self.concept!r} ({first.architecture.name}) has none; take `dead_leaves` or a `folder`"
            )

    def invert(self, count: int, turn: int, options: Distil, generator: torch.Generator, device: str) -> Tensor:
        """Pictures uint8 [count, 3, S, S] out of the member whose turn it is."""
        prepared, member = self.parents[0].preprocessing, turn % len(self.parents[0])
        body = {name: tensor[member] for name, tensor in self.parents[0].body_weights.items()}
        self.network.load_state_dict(body, strict=False)
        self.network.to(device)
        heads = self._heads(member, device)
        owner = torch.randint(len(heads), (count,), generator=generator).to(device)
        wanted = torch.rand(count, generator=generator).to(device)
        pixels = torch.randn(count, 3, prepared.size, prepared.size, generator=generator).to(device)
        pixels.requires_grad_()
        low, high = limits(prepared, device)
        optimiser = torch.optim.Adam([pixels], betas=(0.5, 0.9))
        reach = max(1, prepared.size // SHIFTS)
        for step in range(options.inversion_steps):
            optimiser.param_groups[0]["lr"] = LARGEST_STEP * schedule(step, options.inversion_steps)
            shifts = [int(shift) for shift in torch.randint(-reach, reach + 1, (2,), generator=generator)]
            moved = pixels.roll(shifts, dims=(2, 3))
            loss = self._loss(mirror_half(moved, generator) if options.flip else moved, heads, owner, wanted)
            if not bool(loss.isfinite()):
                raise ComposerError(f"distil: pictures: nothing finite was found in the network of {self.concept!r}")
            (pixels.grad,) = torch.autograd.grad(loss, [pixels])
            optimiser.step()
            with torch.no_grad():
                pixels.clamp_(low, high)
        shown = (pixels.detach() - low) / (high - low)
        return (255 * shown).round().to(torch.uint8).cpu()

    def _heads(self, member: int, device: str) -> list[tuple[Tensor, Tensor]]:
        """(weight, bias) of the head of each parent."""
        head = self.parents[0].architecture.head
        return [
            (own[f"{head}.weight"][member].to(device), own[f"{head}.bias"][member].to(device))
            for own in (parent.weights for parent in self.parents)
        ]

    def _loss(self, pixels: Tensor, heads: Sequence[tuple[Tensor, Tensor]], owner: Tensor, wanted: Tensor) -> Tensor:
        """How far the pictures are from what batch norm remembers, from showing what they should, and how rough.

        owner: which of the heads judges each picture; wanted: which of its outputs, as a share of them all.
        """
        gaps: list[Tensor] = []

        def compare(norm: Any, given: tuple[Tensor, ...]) -> None:
            dims = [dim for dim in range(given[0].ndim) if dim != 1]
            mean, variance = given[0].mean(dims), given[0].var(dims, correction=0)
            gaps.append((mean - norm.running_mean).norm() + (variance - norm.running_var).norm())

        hooks = [norm.register_forward_pre_hook(compare) for norm in self.norms]
        try:
            features = self.network.features(pixels)  # type: ignore[operator]  # nn.Module attributes are untyped
        finally:
            for hook in hooks:
                hook.remove()
        shown = pixels.new_zeros(())
        for number, (weight, bias) in enumerate(heads):
            own = owner == number
            classes = (wanted[own] * max(len(bias), 2)).long()
            shown = shown + _unlike(F.linear(features[own], weight, bias), classes)
        return STATISTICS * torch.stack(gaps).sum() + shown / len(pixels) + ROUGHNESS * roughness(pixels)


def _unlike(logits: Tensor, classes: Tensor) -> Tensor:
    """Summed cross-entropy; a single output is a sigmoid's."""
    if logits.shape[1] == 1:
        return F.binary_cross_entropy_with_logits(logits[:, 0], classes.to(logits), reduction="sum")
    return F.cross_entropy(logits, classes, reduction="sum")


def roughness(pixels: Tensor) -> Tensor:
    """Norm of the differences between neighbours, in four directions (total variation)."""
    right, down = pixels.diff(dim=3), pixels.diff(dim=2)
    falling = pixels[:, :, 1:, 1:] - pixels[:, :, :-1, :-1]
    rising = pixels[:, :, 1:, :-1] - pixels[:, :, :-1, 1:]
    return torch.stack([each.norm() for each in (right, down, falling, rising)]).sum()


def limits(prepared: Preprocessing, device: str) -> tuple[Tensor, Tensor]:
    """What black and white are to the network, [1, 3, 1, 1] each."""
    mean, std = (torch.tensor(own, device=device).view(1, 3, 1, 1) for own in (prepared.mean, prepared.std))
    return (0 - mean) / std, (1 - mean) / std
