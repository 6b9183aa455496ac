"""A population: M trained models of one architecture that know one concept, stacked."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

from composer.data.curve import Curve, HeldOut
from composer.data.expressions import Expression
from composer.data.images import Images, Keeper
from composer.errors import ComposerError
from composer.networks.architecture import Architecture

BATCH = 256
WORTH_KEEPING = 2.0
"""Seconds of work from which on features are kept beside the pictures on disk."""


@dataclass(frozen=True)
class Preprocessing:
    """How pixels become a network's input: resized to `size`, scaled to [0, 1], minus mean, over std."""

    size: int
    mean: tuple[float, float, float] = (0.5, 0.5, 0.5)
    std: tuple[float, float, float] = (0.5, 0.5, 0.5)

    def __call__(self, pixels: Tensor) -> Tensor:
        """float32 [N, 3, S, S] from uint8 [N, 3, S, S]."""
        mean = torch.tensor(self.mean, device=pixels.device).view(1, 3, 1, 1)
        std = torch.tensor(self.std, device=pixels.device).view(1, 3, 1, 1)
        return (pixels.float() / 255 - mean) / std


@dataclass(frozen=True)
class Population:
    """M models that know `concept`: parameter -> [M, ...], a name per member.

    outputs: which outputs of the head mean the concept; empty for a population without a head,
    whose features can be had but not its log-odds. Several outputs are a softmax's, a single one is a sigmoid's.
    cells: concepts whose cells the head's outputs are, in the order of `cell_names`; empty for any other head.
    calibration: what the log-odds that the outputs give are sent through; None for as they are.
    held_out: what the members said of pictures that they were not trained on, where their source knows that.
    """

    concept: str
    architecture: Architecture
    weights: Mapping[str, Tensor]
    members: tuple[str, ...]
    preprocessing: Preprocessing
    outputs: tuple[int, ...] = (0,)
    cells: tuple[str, ...] = ()
    calibration: Curve | None = None
    held_out: HeldOut | None = None
    _memo: dict[int, tuple[Images, Tensor]] = field(default_factory=dict, compare=False, repr=False)

    def __post_init__(self) -> None:
        for name, tensor in self.weights.items():
            if tensor.ndim == 0 or len(tensor) != len(self.members):
                raise ValueError(f"{name!r} must be [{len(self.members)}, ...], not {list(tensor.shape)}")
        if self.calibration is not None and len(self.calibration) != len(self.members):
            raise ValueError(f"{len(self.calibration)} curves calibrate {len(self.members)} members")

    def __len__(self) -> int:
        return len(self.members)

    @property
    def has_head(self) -> bool:
        """Whether there is a head, and so log-odds."""
        return bool(self.outputs)

    @property
    def why_no_log_odds(self) -> str:
        """What to do where nothing says which outputs mean the concept, or where there are none."""
        weight = self.weights.get(f"{self.architecture.head}.weight")
        if weight is None:
            return f"the population of {self.concept!r} has no head, and so no log-odds"
        return (
            f"the network {self.members[0]!r} has {weight.shape[1]} outputs, and nothing says which of them mean "
            f"{self.concept!r}: give `outputs` or `names` of its models, or `classes` of the concept (numbers from 0). "
            "`composer inspect FILE --images FOLDER` shows which of them fires for which pictures"
        )

    @property
    def parameters(self) -> int:
        """Parameters of one member."""
        return count_parameters(self.weights)

    def knowing(self, target: Expression) -> Population:
        """The same networks, of whose head of cells those count that satisfy as much of `target` as they know."""
        asked = target.restricted(self.cells)
        if asked is None:
            raise ValueError(f"a head with the cells of {', '.join(self.cells) or 'nothing'} knows nothing of {target}")
        true = tuple(index for index, holds in enumerate(asked.cells(self.cells)) if holds)
        return replace(self, outputs=true, calibration=None, held_out=None, _memo={})

    def select(self, indices: Sequence[int]) -> Population:
        """The members at `indices`, in that order."""
        index = torch.as_tensor(list(indices), dtype=torch.long)
        return replace(
            self,
            weights={name: tensor[index] for name, tensor in self.weights.items()},
            members=tuple(self.members[i] for i in indices),
            calibration=None if self.calibration is None else self.calibration.select(indices),
            held_out=None if self.held_out is None else self.held_out.select(indices),
            _memo={},
        )

    @classmethod
    def joined(cls, groups: Sequence[Population]) -> Population:
        """The members of all groups, which are alike in all else. None of them is calibrated."""
        first = groups[0]
        said = [each.held_out for each in groups if each.held_out is not None]
        return replace(
            first,
            weights={name: torch.cat([each.weights[name] for each in groups]) for name in first.weights},
            members=tuple(name for each in groups for name in each.members),
            held_out=HeldOut.joined(said) if len(said) == len(groups) else None,
            _memo={},
        )

    @torch.no_grad()
    def features(self, images: Images, device: torch.device | str = "cpu") -> Tensor:
        """What the head sees: float32 [M, N, D] on the CPU, computed once per `images`."""
        known = self._memo.get(id(images))
        if known is not None:
            return known[1]
        keeper = images.keeper
        found = self._compute_features(images, device) if keeper is None else self._kept(keeper, images, device)
        self._memo.clear()  # evaluators ask for one set of pictures at a time
        self._memo[id(images)] = (images, found)
        return found

    def _kept(self, keeper: Keeper, images: Images, device: torch.device | str) -> Tensor:
        name = f"features-{self.body_digest}"
        known = keeper.kept(name)
        if known is not None:
            return known["features"]
        started = time.perf_counter()
        features = self._compute_features(images, device)
        if time.perf_counter() - started > WORTH_KEEPING:
            keeper.keep(name, {"features": features})
        return features

    def _compute_features(self, images: Images, device: torch.device | str) -> Tensor:
        if images.pool is None:
            return self._of_pixels(images, device)
        return images.pool.features(self.body_digest, images, lambda others: self._of_pixels(others, device))

    def _of_pixels(self, images: Images, device: torch.device | str) -> Tensor:
        pixels = images.at(self.preprocessing.size)
        weights = {name: tensor.to(device) for name, tensor in self.weights.items()}
        batches = [
            self.architecture.stacked_features(weights, self.preprocessing(batch.to(device))).cpu()
            for batch in torch.split(pixels, BATCH)
        ]
        return torch.cat(batches, dim=1)

    @cached_property
    def body_digest(self) -> str:
        """What decides the features: architecture, preprocessing, and all weights but the head's."""
        total = hashlib.sha256(repr((self.architecture.options(), self.preprocessing)).encode())
        for name in sorted(self.weights):
            if not name.startswith(f"{self.architecture.head}."):
                tensor = self.weights[name]
                total.update(f"{name} {tensor.dtype} {list(tensor.shape)}".encode())
                total.update(tensor.cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
        return total.hexdigest()[:16]

    def forget_features(self) -> None:
        """Frees the memory of the features computed last."""
        self._memo.clear()

    def logits(self, images: Images, device: torch.device | str = "cpu") -> Tensor:
        """The head's outputs, float32 [M, N, K]."""
        if not self.has_head:
            raise ComposerError(self.why_no_log_odds)
        head = self.architecture.head
        features = self.features(images, device)
        bias = self.weights[f"{head}.bias"]
        return features @ self.weights[f"{head}.weight"].mT + bias[:, None, :]

    def log_odds(self, images: Images, device: torch.device | str = "cpu") -> Tensor:
        """log P(concept) - log P(not concept) from the summed softmax probability, calibrated, float32 [M, N]."""
        found = concept_log_odds(self.logits(images, device), self.outputs)
        return found if self.calibration is None else self.calibration(found)

    def on_body_of(self, other: Population) -> Population:
        """The same population with the body of `other` in place of its own, which must be equal: it is kept once."""
        return replace(self, weights={**self.head_weights, **other.body_weights}, _memo=other._memo)

    def shares_body(self, other: Population) -> bool:
        """Whether all but the head is the same: architecture, preprocessing, and every other weight of every member."""
        if (self.architecture, self.preprocessing) != (other.architecture, other.preprocessing):
            return False
        own, others = self.body_weights, other.body_weights
        return own.keys() == others.keys() and all(
            tensor is others[name] or torch.equal(tensor, others[name]) for name, tensor in own.items()
        )

    @property
    def body_weights(self) -> dict[str, Tensor]:
        """All weights but the head's."""
        return {name: tensor for name, tensor in self.weights.items() if not self._of_head(name)}

    @property
    def head_weights(self) -> dict[str, Tensor]:
        """The weights of the head."""
        return {name: tensor for name, tensor in self.weights.items() if self._of_head(name)}

    def _of_head(self, name: str) -> bool:
        return name.startswith(f"{self.architecture.head}.")


def count_parameters(weights: Mapping[str, Tensor]) -> int:
    """Numbers in one member of stacked weights."""
    return sum(tensor[0].numel() for tensor in weights.values() if tensor.is_floating_point())


def concept_log_odds(logits: Tensor, outputs: Sequence[int]) -> Tensor:
    """log P(concept) - log P(not concept) from logits [..., K] of a softmax, or of a sigmoid where K is 1."""
    if logits.shape[-1] == 1:
        return logits[..., 0]
    others = [output for output in range(logits.shape[-1]) if output not in outputs]
    return logits[..., list(outputs)].logsumexp(-1) - logits[..., others].logsumexp(-1)
