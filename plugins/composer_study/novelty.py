"""Copy or creation: how far kernels lie from those that they were made of, beside the same for plain noise.

Generators of weights tend to return their training examples, or these plus noise (arXiv:2506.07998). So each member
is measured beside its twin: the kernels that it was made from plus normal noise as large, layer by layer, as what it
was changed by. No member lies farther from all parents than its change is large, which is where the twin lies as a
rule: distance alone can show a copy, and seldom that something is newer than noise. What noise is worth, the scores
of the controls say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from composer import ComposerError, KernelSet, Lines, Run
from composer_study.names import sources

Floats = NDArray[np.float64]

AT_ONCE = 512
PERCENTILES = range(1, 100)

COPY = 0.5
"""Nearer to a parent than this share of the distance between parents is a copy."""


@dataclass(frozen=True)
class Novelty:
    """Euclidean distances over all weights of all layers.

    of_members: name -> [M]. `nearest`: to the nearest of all parents; `source`: to the kernels that a member was made
    from; `unrelated`: to other kernels of the source's parent, drawn at random; `noise`: from the twin to its nearest
    parent (these three NaN where the member's name does not say what it was made from); `mean`: to the mean of all
    parents. between_parents: [P], from each of the parents' members to the nearest other.
    """

    of_members: Mapping[str, Floats]
    between_parents: Floats

    @property
    def verdict(self) -> Literal["copies", "noise", "newer", "distinct"]:
        """By the medians: copies of a parent, no newer than their source plus noise, or newer than that.

        `distinct`: no copies, and nothing known of their source.
        """
        nearest = float(np.median(self.of_members["nearest"]))
        if nearest < COPY * np.median(self.between_parents):
            return "copies"
        if "noise" not in self._known:
            return "distinct"
        return "noise" if nearest <= np.median(self._known["noise"]) else "newer"

    @property
    def sentence(self) -> str:
        """What the distances say, in words."""
        medians = {name: float(np.median(values)) for name, values in self._known.items()}
        words = {
            "copies": "copies of a parent, or nearly",
            "noise": "no newer than noise: their source plus as much noise lies as far from every parent, or farther",
            "newer": "newer than noise: farther from every parent than their source plus as much noise",
            "distinct": "no copies of a parent",
        }
        said = (
            f"the kernels are {words[self.verdict]}; median distance to the nearest parent {medians['nearest']:.3g},"
            f" between parents {float(np.median(self.between_parents)):.3g}"
        )
        if "source" in medians:
            said += (
                f", of as much noise {medians['noise']:.3g}, to their own source {medians['source']:.3g}, to an"
                f" unrelated parent {medians['unrelated']:.3g}"
            )
        return said

    def figure(self, title: str) -> Lines:
        """The distances at every percentile of the members."""
        words = {
            "nearest": "to the nearest parent",
            "source": "to its own source",
            "unrelated": "to an unrelated parent",
            "noise": "source plus as much noise, to the nearest parent",
            "mean": "to the mean of all parents",
        }
        known = self._known
        if "noise" in known and np.allclose(
            known["noise"], known["source"], rtol=1e-3
        ):  # one line would hide the other
            del known["noise"]
            words["source"] = "to its own source (as far as source plus as much noise to any parent)"
        series = {words[name]: values for name, values in known.items()}
        series["parent to the nearest other parent"] = self.between_parents
        drawn = {name: np.percentile(values, PERCENTILES).tolist() for name, values in series.items()}
        return Lines(title, drawn, "percentile", "distance of kernels")

    @property
    def _known(self) -> dict[str, Floats]:
        """The distances without the members whose source is not known."""
        known = {name: values[~np.isnan(values)] for name, values in self.of_members.items()}
        return {name: values for name, values in known.items() if len(values)}


def novelty(kernels: KernelSet, parents: Sequence[KernelSet], run: Run) -> Novelty:
    """How far kernels are from their parents'."""
    require_same_layers(kernels, parents)
    layers = tuple(kernels.layers)
    trained = torch.cat([flat(parent, layers) for parent in parents]).to(run.device)
    made = flat(kernels, layers).to(run.device)
    nearest, place = nearest_of(made, trained, run, "distances to parents")
    origin, unrelated, known = _origins(kernels, parents, place, run)
    change = made - trained[origin]
    twins = trained[origin] + noise_like(change, [kernels.layers[layer][0].numel() for layer in layers], run)
    of_members = {
        "source": torch.where(known, change.norm(dim=1), torch.nan),
        "unrelated": torch.where(known, (made - trained[unrelated]).norm(dim=1), torch.nan),
        "nearest": nearest,
        "noise": torch.where(known, nearest_of(twins, trained, run, "distances of noise")[0], torch.nan),
        "mean": (made - trained.mean(0)).norm(dim=1),
    }
    between, _ = nearest_of(trained, trained, run, "distances between parents", itself=False)
    return Novelty({name: _numbers(values) for name, values in of_members.items()}, _numbers(between))


def flat(kernels: KernelSet, layers: Sequence[str]) -> Tensor:
    """All weights of each member, float32 [M, W], layer after layer."""
    return torch.cat([kernels.layers[layer].flatten(1) for layer in layers], dim=1).float()


def nearest_of(points: Tensor, others: Tensor, run: Run, what: str, itself: bool = True) -> tuple[Tensor, Tensor]:
    """Distance [M] from each of the points [M, W] to the nearest of the others [P, W], and which that is.

    itself: False where both are the same and a point must not find itself.
    """
    found = []
    starts = range(0, len(points), AT_ONCE)
    for start in run.progress(starts, what, len(starts)):
        part = points[start : start + AT_ONCE]
        distances = torch.cdist(part, others)
        if not itself:
            distances.diagonal(start).fill_(torch.inf)
        found.append(distances.argmin(1))
    place = torch.cat(found)
    # cdist multiplies matrices, which rounds small distances away: the one that is kept is taken anew.
    lengths = [
        (points[start : start + AT_ONCE] - others[place[start : start + AT_ONCE]]).norm(dim=1) for start in starts
    ]
    return torch.cat(lengths), place


def noise_like(change: Tensor, sizes: Sequence[int], run: Run) -> Tensor:
    """Normal noise [M, W] that is as long as the change [M, W], in each layer of `sizes` weights."""
    generator = run.generator()
    parts = []
    for part in torch.split(change, list(sizes), dim=1):
        noise = torch.randn(part.shape, generator=generator).to(part.device)
        parts.append(noise * (part.norm(dim=1, keepdim=True) / noise.norm(dim=1, keepdim=True)))
    return torch.cat(parts, dim=1)


def require_same_layers(kernels: KernelSet, parents: Sequence[KernelSet]) -> None:
    """Raises ComposerError unless all have the same layers and shapes."""
    wanted = {layer: list(weights.shape[1:]) for layer, weights in kernels.layers.items()}
    for parent in parents:
        met = {layer: list(weights.shape[1:]) for layer, weights in parent.layers.items()}
        if met != wanted:
            raise ComposerError(
                f"novelty: the kernels of {parent.concept!r} and the new ones must have the same layers and shapes,"
                f" but are {met} and {wanted}"
            )


def _origins(
    kernels: KernelSet, parents: Sequence[KernelSet], nearest: Tensor, run: Run
) -> tuple[Tensor, Tensor, Tensor]:
    """For each member, counted over all parents: its source, another of the same parent, and if its name says so."""
    starts = np.cumsum([0, *(len(parent) for parent in parents)])
    origin, unrelated = nearest.cpu().clone(), nearest.cpu().clone()
    known = torch.zeros(len(kernels), dtype=torch.bool)
    rng = run.rng()
    for member, source in enumerate(sources(kernels.members, [parent.members for parent in parents])):
        if source is None:
            continue
        parent, index = source
        other = (index + 1 + int(rng.integers(max(len(parents[parent]) - 1, 1)))) % len(parents[parent])
        origin[member], unrelated[member], known[member] = (
            int(starts[parent]) + index,
            int(starts[parent]) + other,
            True,
        )
    device = nearest.device
    return origin.to(device), unrelated.to(device), known.to(device)


def _numbers(values: Tensor) -> Floats:
    numbers: Floats = values.double().cpu().numpy()
    return numbers
