"""Which unit of one network is which of another's, by what they answer to the same pictures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor, nn

from composer import Couplings

PICTURES_AT_ONCE = 64
Orders = dict[str, Tensor]


@torch.no_grad()
def match_activations(couplings: Couplings, own: nn.Module, other: nn.Module, pixels: Tensor) -> Orders:
    """For each group that can be watched the order in which the units of `other` correlate best with those of `own`.

    Correlations of pre-activations and activations over pictures and pixels, summed over all modules that show the
    group's units (Li et al. 2016, arXiv:1511.07543).
    """
    axes = {watch.module: watch.axis for group in couplings.groups.values() for watch in group.watches}
    sums: dict[str, _Sums] = {}
    with _watched(own, axes) as ours, _watched(other, axes) as theirs:
        for batch in torch.split(pixels, PICTURES_AT_ONCE):
            own.features(batch)  # type: ignore[operator]  # nn.Module attributes are untyped
            other.features(batch)  # type: ignore[operator]
            for module, values in ours.items():
                sums.setdefault(module, _Sums()).add(values, theirs[module])
    return {
        name: assigned(
            sum(
                (_of_units(sums[watch.module].correlation(), watch.places) for watch in group.watches),
                start=torch.zeros(len(group), len(group), dtype=torch.float64),
            )
        )
        for name, group in couplings.groups.items()
        if group.watches
    }


def assigned(similarity: Tensor) -> Tensor:
    """For each row its column, such that the sum of what they have in common is largest."""
    return torch.as_tensor(linear_sum_assignment(similarity.numpy(), maximize=True)[1])


@contextmanager
def _watched(network: nn.Module, axes: dict[str, int]) -> Iterator[dict[str, Tensor]]:
    """What the modules of a network gave last: float64 [channels, all else]."""
    found: dict[str, Tensor] = {}

    def keep(name: str, output: Tensor) -> None:
        found[name] = output.movedim(axes[name], 0).flatten(1).double().cpu()

    hooks = [
        module.register_forward_hook(lambda module, inputs, output, name=name: keep(name, output))
        for name, module in network.named_modules()
        if name in axes
    ]
    try:
        yield found
    finally:
        for hook in hooks:
            hook.remove()


class _Sums:
    """What the correlation of the channels of two networks needs, batch by batch."""

    def __init__(self) -> None:
        self.count = 0
        self.sums: list[Tensor] = []

    def add(self, own: Tensor, other: Tensor) -> None:
        self.count += own.shape[1]
        batch = [own.sum(1), other.sum(1), own.square().sum(1), other.square().sum(1), own @ other.T]
        self.sums = [total + new for total, new in zip(self.sums, batch, strict=True)] if self.sums else batch

    def correlation(self) -> Tensor:
        """float64 [channels, channels]; 0 for channels that never change."""
        own, other, own_squares, other_squares, both = (total / self.count for total in self.sums)
        scale = torch.outer(
            (own_squares - own.square()).clamp(min=0).sqrt(), (other_squares - other.square()).clamp(min=0).sqrt()
        )
        return torch.where(scale > 0, (both - torch.outer(own, other)) / scale.clamp(min=1e-12), 0.0)


def _of_units(correlation: Tensor, places: Tensor) -> Tensor:
    """[units, units] from [channels, channels]: the mean over the places of a unit."""
    total = torch.stack([correlation[own][:, own] for own in places.T])
    return total.mean(0)
