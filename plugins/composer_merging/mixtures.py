"""How the units of several networks become those of one, and the weights that follow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd, _ConvTransposeNd

from composer import Architecture, ComposerError
from composer_merging.merging import Weights


@dataclass(frozen=True)
class Mixture:
    """The units of one group of couplings; K networks have n each, the merged one has m.

    made: float64 [m, K * n], each new unit as a sum of old ones. read: float64 [K * n, m], each old unit out of the new
    ones, for the layers that read it.
    """

    made: Tensor
    read: Tensor


def of_clusters(clusters: Sequence[Sequence[int]], count: int) -> Mixture:
    """Each new unit is the mean of a cluster of the `count` old ones, and stands for all of them."""
    made = torch.zeros(len(clusters), count, dtype=torch.float64)
    for row, cluster in enumerate(sorted(clusters, key=min)):
        made[row, list(cluster)] = 1 / len(cluster)
    return Mixture(made, (made.T > 0).double())


@dataclass(frozen=True)
class _Part:
    """Units along one axis of a tensor: where they are [n, p], and where they will be [m, p]."""

    group: str
    before: Tensor
    after: Tensor


class Mixer:
    """Makes the weights of one network, of the same width or wider, out of those of several."""

    def __init__(self, architecture: Architecture, wider: Architecture) -> None:
        """ComposerError where one of the two cannot be followed, or they are not built alike."""
        self.couplings, self.wider = architecture.couplings(), wider.couplings()
        self.modules = dict(architecture.blueprint().named_modules())
        self.head = architecture.head
        self._parts: dict[tuple[str, int], list[_Part]] = {}
        self._sizes = wider.shapes()
        if self.couplings.groups.keys() != self.wider.groups.keys():
            raise ComposerError(f"width: the wider network of {architecture.name!r} is not built as the parents are")
        for name, group in self.couplings.groups.items():
            for side, other in zip(group.sides, self.wider.groups[name].sides, strict=True):
                part = _Part(name, side.places, other.places)
                self._parts.setdefault((side.tensor, side.axis), []).append(part)
        for tensor in self._sizes:
            self.output_axis(tensor)

    def output_axis(self, tensor: str) -> int:
        """The axis of what a layer gives, along which merged units are sums; along all others units are read.

        ComposerError, naming the module, for parameters of which nobody can say it.
        """
        path, _, leaf = tensor.rpartition(".")
        module = self.modules.get(path)
        if isinstance(module, (_ConvNd, nn.Linear)) and leaf == "weight":
            return 1 if isinstance(module, _ConvTransposeNd) else 0
        if isinstance(module, nn.MultiheadAttention):
            return 0
        axes = sorted(axis for name, axis in self._parts if name == tensor)
        if len(axes) > 1:
            raise ComposerError(
                f"module {path or 'at the top'!r}: nobody can say which axis of its {leaf!r} gives units and which "
                "reads them; take `aligned_mean` or `distil`"
            )
        return axes[0] if axes else 0

    def weights(self, networks: Sequence[Weights], mixtures: Mapping[str, Mixture]) -> Weights:
        """The merged network; whole numbers, such as counts of steps, are those of the first."""
        merged: Weights = {}
        for name, first in networks[0].items():
            merged[name] = first
            if first.is_floating_point():
                each = [self._moved(own[name], name, k, mixtures, len(networks)) for k, own in enumerate(networks)]
                merged[name] = torch.stack(each).sum(0)
        return merged

    def outputs(self, module: str, rows: Tensor, network: int, mixtures: Mapping[str, Mixture], count: int) -> Tensor:
        """What a network's share of the merged outputs of a layer is, [P, m] from its own outputs [P, n]."""
        return self._along(rows, 1, (f"{module}.weight", 0), network, mixtures, count, made=True)

    def demand(self, group: str, networks: Sequence[Weights]) -> Tensor:
        """float64 [K * n, K * n]: how much two units of a network matter together to the layers that read them."""
        each = [torch.zeros(len(self.couplings.groups[group]), dtype=torch.float64).diag() for _ in networks]
        for side in self.couplings.groups[group].sides:
            if side.tensor not in networks[0] or side.axis == self.output_axis(side.tensor):
                continue
            for own, total in zip(networks, each, strict=True):
                rows = own[side.tensor].double()
                if side.tensor == f"{self.head}.weight" and len(rows) > 1:
                    rows = rows - rows.mean(0)  # what all outputs have in common does not change a softmax
                units = rows.movedim(side.axis, 0)[side.places].flatten(1)
                total += units @ units.T
        whole: Tensor = torch.block_diag(*each)  # type: ignore[no-untyped-call]  # torch types it in part
        return whole if bool(whole.any()) else torch.eye(len(whole), dtype=whole.dtype)

    def _moved(self, tensor: Tensor, name: str, network: int, mixtures: Mapping[str, Mixture], count: int) -> Tensor:
        out = self.output_axis(name)
        for axis in range(tensor.ndim):
            if axis == out or (name, axis) in self._parts:
                tensor = self._along(tensor, axis, (name, axis), network, mixtures, count, made=axis == out)
        return tensor

    def _along(
        self,
        tensor: Tensor,
        axis: int,
        place: tuple[str, int],
        network: int,
        mixtures: Mapping[str, Mixture],
        count: int,
        *,
        made: bool,
    ) -> Tensor:
        """The tensor with one axis, which is that of `place`, laid out anew; what never moves is a mean, or is read."""
        rows, parts = tensor.movedim(axis, 0), self._parts.get(place, [])
        size = self._sizes[place[0]][place[1]] if parts else len(rows)
        found = rows.new_zeros(size, *rows.shape[1:])
        old, new = torch.ones(len(rows), dtype=torch.bool), torch.ones(size, dtype=torch.bool)
        for part in parts:
            own = slice(network * len(part.before), (network + 1) * len(part.before))
            mixture = mixtures[part.group]
            matrix = mixture.made[:, own] if made else mixture.read[own].T  # [m, n]
            found[part.after] = torch.tensordot(matrix.to(rows), rows[part.before], dims=1)
            old[part.before], new[part.after] = False, False
        found[new] = rows[old] / count if made else rows[old]
        return found.movedim(0, axis)
