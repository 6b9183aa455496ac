"""How the concepts of a formula are taken to hang together, and what the formula's log-odds are then."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import log, pi
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from composer.data.expressions import Expression

Kind = Literal["independent", "minimum", "copula"]
KINDS: tuple[Kind, ...] = get_args(Kind)
STRONGEST = 0.95
"""Largest correlation of a copula, either way: at 1 its integrals have steps."""
NODES = 48
"""Points at which the copula's common cause is summed over (Gauss-Hermite)."""
HALF_LOG = log(2 * pi) / 2


@dataclass(frozen=True)
class Dependence:
    """What is assumed of the concepts of one picture, given the probability of each.

    `independent`: the probabilities of the cells that satisfy the formula are summed. `minimum`: the least probable
    part of an `and` decides, the most probable one of an `or` (Goedel's logic; Zadeh 1965): concepts that come and go
    together. `copula`: a Gaussian copula, of two concepts with `correlation`; of more it is the same between any two,
    and a negative one counts as 0, since not all can avoid each other.
    """

    kind: Kind = "independent"
    correlation: float = 0.0

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"dependence: there are {', '.join(KINDS)}, not {self.kind!r}")
        if not abs(self.correlation) <= STRONGEST:
            raise ValueError(f"correlation: must be from -{STRONGEST} to {STRONGEST}, not {self.correlation}")

    def log_odds(self, formula: Expression, each: Mapping[str, Tensor]) -> Tensor:
        """log P(formula) - log P(not formula), float32, from log-odds of each concept, of one shape.

        Minus infinity where no cell satisfies the formula, infinity where all do, whatever is assumed.
        """
        if self.kind == "independent" or len(formula.concepts) == 1 or formula.is_certain:
            return formula.log_odds(each)
        if self.kind == "minimum":
            return _of_the_least(formula, each).float()
        return _of_a_common_cause(formula, each, self.correlation)

    def facts(self) -> dict[str, Any]:
        """What JSON holds of it; nothing where concepts are independent."""
        return {} if self == INDEPENDENT else {"dependence": {"kind": self.kind, "correlation": self.correlation}}

    @classmethod
    def of_facts(cls, facts: Mapping[str, Any]) -> Dependence:
        """The inverse of `facts`, which may hold more."""
        return cls(**facts.get("dependence", {}))


INDEPENDENT = Dependence()


def bounds(formula: Expression, each: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
    """The least and the largest probability of a formula, float64, whatever the dependence (Frechet 1935).

    They are the tightest where the formula names each concept once; else the truth may lie in less.
    """
    if formula.operator == "is":
        own = each[formula.concepts[0]].double().sigmoid()
        return own, own
    inner = [bounds(part, each) for part in formula.operands if isinstance(part, Expression)]
    if formula.operator == "not":
        return 1 - inner[0][1], 1 - inner[0][0]
    low, high = (torch.stack(side) for side in zip(*inner, strict=True))
    if formula.operator == "and":
        return (low.sum(0) - (len(inner) - 1)).clamp(min=0), high.amin(0)
    return low.amax(0), high.sum(0).clamp(max=1)


def _of_the_least(formula: Expression, each: Mapping[str, Tensor]) -> Tensor:
    if formula.operator == "is":
        return each[formula.concepts[0]]
    inner = [_of_the_least(part, each) for part in formula.operands if isinstance(part, Expression)]
    if formula.operator == "not":
        return -inner[0]
    return torch.stack(inner).amin(0) if formula.operator == "and" else torch.stack(inner).amax(0)


def _of_a_common_cause(formula: Expression, each: Mapping[str, Tensor], correlation: float) -> Tensor:
    """Each concept is shown where a normal variable passes a threshold; all have one cause W in common.

    Given W concepts are independent, so that the formula is what it always is; W is summed over.
    """
    concepts = formula.concepts
    probits = [probit(each[concept].double()) for concept in concepts]
    nodes = np.polynomial.hermite_e.hermegauss(NODES)
    # [Q, 1, ...]: one place of W beside all pictures
    places, shares = (probits[0].new_tensor(own).view(-1, *[1] * probits[0].ndim) for own in nodes)
    given = {
        concept: _log_odds_of_probit((value + pull * places) / (1 - pull**2) ** 0.5)
        for concept, value, pull in zip(concepts, probits, _pulls(len(concepts), correlation), strict=True)
    }
    said, weights = formula.log_odds(given).double(), shares.log()
    return ((logsigmoid(said) + weights).logsumexp(0) - (logsigmoid(-said) + weights).logsumexp(0)).float()


def _pulls(concepts: int, correlation: float) -> Sequence[float]:
    """How much the common cause weighs in each concept's variable."""
    strength = abs(correlation) ** 0.5
    if correlation < 0:
        return (strength, -strength) if concepts == 2 else (0.0,) * concepts
    return (strength,) * concepts


def probit(log_odds: Tensor) -> Tensor:
    """x with Phi(x) = sigmoid(log_odds), float64: exact where a probability has digits, by its tail's series beyond."""
    size = torch.nn.functional.softplus(log_odds.abs())  # -log of the smaller of P and 1 - P
    near = -torch.special.ndtri(torch.exp(-size.clamp(max=600)))
    far = (2 * size).sqrt()
    for _ in range(6):  # log Phi(-x) = -x^2/2 - log x - log(2 pi)/2 - 1/x^2 + ...
        far = (2 * (size - far.log() - HALF_LOG - far.pow(-2)).clamp(min=0.5)).sqrt()
    found = torch.where(size < 600, near, far)
    return torch.where(log_odds < 0, -found, found)


def _log_odds_of_probit(probits: Tensor) -> Tensor:
    found: Tensor = torch.special.log_ndtr(probits) - torch.special.log_ndtr(-probits)
    return found
