"""Training of one CycleGAN between the kernels of two populations, in one layer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from composer_cyclegan.networks import Discriminator, Generator, Network, fresh, normalised

if TYPE_CHECKING:
    from composer_cyclegan import CycleGAN

LOSSES = ("generators, adversarial", "discriminators", "cycle", "identity")


class Training:
    """Two generators and two discriminators between domains A (the attribute) and B (the object).

    a, b: kernels [M, I, O, kH, kW] on the CPU; they may differ in M. Networks and steps live on `device`.
    seen: where the domains have coordinates of their own, a in those of B and b in those of A, for the identity loss.
    """

    def __init__(
        self, a: Tensor, b: Tensor, options: CycleGAN, seed: int, device: str, seen: tuple[Tensor, Tensor] | None = None
    ) -> None:
        # channels_last_3d makes a step on the CPU 1.4 times as fast as the default layout
        self.a, self.b, self.seen_a, self.seen_b = (
            domain.to(device).contiguous(memory_format=torch.channels_last_3d) for domain in (a, b, *(seen or (a, b)))
        )
        self.options = options
        self.random = torch.Generator().manual_seed(seed)
        size = (a.shape[1], options.hidden, self.random, options.side)
        self.to_a, self.to_b = (_placed(fresh(Generator, *size), device) for _ in range(2))
        judges = [fresh(Discriminator, *size) for _ in range(2)]
        if options.spectral_norm:
            judges = [normalised(judge, self.random) for judge in judges]
        self.judge_a, self.judge_b = (_placed(judge, device) for judge in judges)
        self.generators = _adam([*self.to_a.parameters(), *self.to_b.parameters()], options.learning_rate)
        self.discriminators = _adam([*self.judge_a.parameters(), *self.judge_b.parameters()], options.learning_rate)

    def epoch(self) -> dict[str, float]:
        """One pass over the larger domain: the mean over its steps of each loss that is used, unweighted."""
        # Some of cuDNN's gradients differ from run to run unless it is told otherwise; the CPU is not affected.
        with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
            steps = [
                self._step(self.a[of_a], self.b[of_b], self.seen_a[of_a], self.seen_b[of_b])
                for of_a, of_b in self._batches()
            ]
        losses = dict(zip(LOSSES, torch.stack(steps).mean(0).tolist(), strict=True))
        return {name: loss for name, loss in losses.items() if name != "identity" or self.options.identity_weight}

    def _batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Indices into both domains, in batches of nearly equal size; the smaller domain comes round again."""
        larger = max(len(self.a), len(self.b))
        orders = (self._order(len(domain), larger).to(domain.device) for domain in (self.a, self.b))
        count = -(-larger // self.options.batch)
        yield from zip(*(order.tensor_split(count) for order in orders), strict=True)

    def _order(self, members: int, length: int) -> Tensor:
        rounds = [torch.randperm(members, generator=self.random) for _ in range(-(-length // members))]
        return torch.cat(rounds)[:length]

    def _step(self, real_a: Tensor, real_b: Tensor, seen_a: Tensor, seen_b: Tensor) -> Tensor:
        """One step of all four networks; the losses, as LOSSES names them.

        The discriminators judge each picture once: the generators' and the discriminators' losses share these
        scores, which is the usual pair of steps exactly, as both see the networks as they were before.
        """
        fake_a, fake_b = self.to_a(real_b), self.to_b(real_a)
        cycle = F.l1_loss(self.to_a(fake_b), real_a) + F.l1_loss(self.to_b(fake_a), real_b)
        identity = cycle.new_zeros(())
        if self.options.identity_weight:
            identity = F.l1_loss(self.to_a(seen_a), real_a) + F.l1_loss(self.to_b(seen_b), real_b)
        real_score_a, fake_score_a = self.judge_a(torch.cat([real_a, fake_a])).chunk(2)
        real_score_b, fake_score_b = self.judge_b(torch.cat([real_b, fake_b])).chunk(2)

        adversarial = (fake_score_a - 1).square().mean() + (fake_score_b - 1).square().mean()
        discrimination = (
            (real_score_a - 1).square().mean()
            + fake_score_a.square().mean()
            + (real_score_b - 1).square().mean()
            + fake_score_b.square().mean()
        ) / 2
        total = adversarial + self.options.cycle_weight * cycle + self.options.identity_weight * identity
        _set_gradients(self.generators, total, keep_graph=True)
        _set_gradients(self.discriminators, discrimination, keep_graph=False)
        self.generators.step()
        self.discriminators.step()
        return torch.stack([adversarial, discrimination, cycle, identity]).detach()


def _placed(network: Network, device: str) -> Network:
    return network.to(device).to(memory_format=torch.channels_last_3d)


def _adam(parameters: list[Tensor], learning_rate: float) -> torch.optim.Adam:
    return torch.optim.Adam(parameters, learning_rate, betas=(0.5, 0.999), fused=True)


def _set_gradients(optimizer: torch.optim.Adam, loss: Tensor, *, keep_graph: bool) -> None:
    """Sets the gradients of the optimizer's own parameters only, so that no other network's are computed."""
    parameters = optimizer.param_groups[0]["params"]
    gradients = torch.autograd.grad(loss, parameters, retain_graph=keep_graph)
    for parameter, gradient in zip(parameters, gradients, strict=True):
        parameter.grad = gradient
