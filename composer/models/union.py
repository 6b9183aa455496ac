"""The arithmetic of a union: from the logits of several networks to log-odds of all their classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from composer.data.expressions import NONE

Outputs = Literal["softmax", "independent"]
Way = Literal["energy", "max_logit", "softmax"]
OUTPUTS: tuple[Outputs, ...] = get_args(Outputs)
LEFT_OUT = "-"
"""Stands for the name of an output that is left out, as if the network did not have it."""
NEARLY_SURE = -1e-7
"""Log-probability above which float32 cannot tell it from certainty."""


@dataclass(frozen=True)
class Knower:
    """What one network of a union knows, and how its logits are read.

    classes: names of its outputs in their order; `-` for one that is left out, `none` for one that means none of the
    others. says: whether its outputs are a softmax's logits, or log-odds of each class, as a student's are.
    It gives log P(class | one of mine) by a softmax at `temperature`, and the log-odds that the picture shows one of
    its classes at all: slope * score + offset. way: what that score is. `energy`: log of the summed exponentials of its
    classes' logits (Liu et al. 2020, arXiv:2010.03759); `max_logit`: the highest (Hendrycks et al. 2022,
    arXiv:1911.11132); `softmax`: none, its probabilities count as they are. share: of its classes' pictures among all,
    that is in `offset`.
    """

    classes: tuple[str, ...]
    says: Literal["softmax", "log_odds"] = "softmax"
    way: Way = "energy"
    temperature: float = 1.0
    slope: float = 1.0
    offset: float = 0.0
    share: float = 0.5
    calibrated: bool = False

    @property
    def own(self) -> tuple[str, ...]:
        """The classes that it knows, in the order of its outputs."""
        return tuple(name for name in self.classes if name not in (LEFT_OUT, NONE))

    @property
    def rows(self) -> list[int]:
        """Which outputs these are."""
        return [row for row, name in enumerate(self.classes) if name not in (LEFT_OUT, NONE)]

    def facts(self) -> dict[str, Any]:
        """As config.json holds it."""
        return {**asdict(self), "classes": list(self.classes)}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Knower:
        """The inverse of `facts`."""
        return cls(**{**facts, "classes": tuple(facts["classes"])})

    def score(self, logits: Tensor) -> Tensor:
        """How much a picture looks like one of its classes, [N], in no unit, from logits [N, K]."""
        own = logits[:, self.rows]
        if self.way == "softmax":
            return torch.zeros_like(own[:, 0])
        others = [row for row, name in enumerate(self.classes) if name == NONE]
        high = own.logsumexp(1) if self.way == "energy" else own.amax(1)
        return high - logits[:, others].logsumexp(1) if others else high

    def log_shares(self, logits: Tensor) -> Tensor:
        """log P(class | one of its classes), [N, classes]."""
        own = logits[:, self.rows]
        return logsigmoid(own).log_softmax(1) if self.says == "log_odds" else (own / self.temperature).log_softmax(1)

    def log_odds_of_any(self, logits: Tensor) -> Tensor:
        """Log-odds that a picture shows one of its classes, [N]."""
        return self.slope * self.score(logits) + self.offset

    def evidence(self, logits: Tensor) -> Tensor:
        """Of each class for a softmax over the union, up to what all networks have in common, [N, classes].

        log P(class | mine) + log p(score | mine) - log p(score | not mine) + log P(mine): what a network says of a
        picture is taken to be independent of what the others say, and the share of pictures counts once.
        """
        if self.says == "log_odds":
            return logsigmoid(logits[:, self.rows])
        once = torch.log1p(torch.tensor(-self.share, dtype=torch.float64)).to(logits)
        return self.log_shares(logits) + (self.log_odds_of_any(logits) + once)[:, None]

    def each_log_odds(self, logits: Tensor) -> Tensor:
        """Log-odds of each class by itself, whatever others say, [N, classes]."""
        if self.says == "log_odds":
            return logits[:, self.rows]
        return log_odds(self.log_shares(logits) + logsigmoid(self.log_odds_of_any(logits))[:, None])


def union_of(knowers: Sequence[Knower]) -> tuple[str, ...]:
    """All classes, each once, in the order in which they are met."""
    return tuple(dict.fromkeys(name for knower in knowers for name in knower.own))


def united(knowers: Sequence[Knower], logits: Sequence[Tensor], outputs: Outputs) -> Tensor:
    """Log-odds of each class of the union, float32 [N, U], from the logits [N, K] of each network.

    A class that several networks know has the mean of what they say (a logarithmic opinion pool: Genest and Zidek 1986,
    "Combining probability distributions"), so that a network beside itself says what it says alone.
    """
    each = [
        knower.evidence(own) if outputs == "softmax" else knower.each_log_odds(own)
        for knower, own in zip(knowers, logits, strict=True)
    ]
    columns = []
    for name in union_of(knowers):
        said = [own[:, k.own.index(name)] for k, own in zip(knowers, each, strict=True) if name in k.own]
        columns.append(torch.stack(said).mean(0))
    values = torch.stack(columns, dim=1)
    return log_odds(values.log_softmax(1)) if outputs == "softmax" else values


def log_odds(log_probability: Tensor) -> Tensor:
    """log p - log(1 - p), finite, from log p."""
    below = log_probability.clamp(max=NEARLY_SURE)
    return below - torch.log(-torch.expm1(below))
