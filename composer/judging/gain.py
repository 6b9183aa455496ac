"""Composition gain: how far from its better parent (0) to an oracle (1) a composition has come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from composer.data.scores import Score
from composer.interfaces import Evaluator
from composer.judging.comparison import FEWEST
from composer.judging.declared import declared_scores


def measured_in(evaluators: Mapping[str, Evaluator]) -> str | None:
    """The score that composition gain is measured in, `LABEL.NAME`: one declared for it, else a main one of which more
    is better; None where the evaluators have neither.
    """
    declared = {name: info for name, info in declared_scores(evaluators).items() if info.higher_is_better}
    wanted = [name for name, info in declared.items() if info.gain] + [
        name for name, info in declared.items() if info.main
    ]
    return next(iter(wanted), None)


@dataclass(frozen=True)
class Sampled:
    """A score, and the same score on B resamples of the pictures."""

    value: float
    replicates: NDArray[np.float64]

    @classmethod
    def of(cls, score: Score) -> Sampled:
        """That of the member picked without labels."""
        return cls(float(score.values[score.picked]), score.replicates)


@dataclass(frozen=True)
class Gain:
    """0: no better than the better parent; 1: as good as the oracle. Without a value, `why` says why."""

    value: float | None = None
    interval: tuple[float, float] | None = None
    why: str = ""

    def facts(self) -> dict[str, Any]:
        """As report.json shows it."""
        return {"value": self.value, "interval": list(self.interval) if self.interval else None, "why": self.why}


def better_parent(parents: Sequence[Sampled]) -> Sampled:
    """The better parent, chosen with the test labels, in each resample anew: so it is not underrated."""
    return Sampled(max(parent.value for parent in parents), np.max([parent.replicates for parent in parents], axis=0))


def gain(ours: Sampled, parent: Sampled, oracle: Sampled) -> Gain:
    """(ours - parent) / (oracle - parent) with its 95 % percentile interval.

    Undefined where the oracle is not shown to be better than the parent: the denominator may then be anything.
    The few resamples in which it still is not better (fewer than 2.5 %) widen the interval at both ends.
    """
    lead = oracle.value - parent.value
    if lead <= 0:
        return Gain(why=f"the oracle is no better than the better parent ({oracle.value:.3f} and {parent.value:.3f})")
    if len(oracle.replicates) == 0:
        return Gain((ours.value - parent.value) / lead)
    leads = oracle.replicates - parent.replicates
    low, high = bounds(leads, leads)
    if low <= 0:
        between = f"{lead:.3f} better, 95% interval {low:.3f} to {high:.3f}"
        return Gain(why=f"the oracle is not shown to be better than the better parent ({between})")
    positive = leads > 0
    ratios = np.divide(ours.replicates - parent.replicates, leads, out=np.zeros_like(leads), where=positive)
    interval = bounds(np.where(positive, ratios, -np.inf), np.where(positive, ratios, np.inf))
    return Gain((ours.value - parent.value) / lead, interval)


def bounds(below: NDArray[np.float64], above: NDArray[np.float64]) -> tuple[float, float]:
    """The 2.5 % quantile of `below` and the 97.5 % quantile of `above`, each one of the values."""
    return (
        float(np.quantile(below, 0.025, method="higher")),
        float(np.quantile(above, 0.975, method="lower")),
    )


def gains(
    scores: Mapping[str, Mapping[str, Score]],
    parents: Mapping[str, Mapping[str, Score]],
    oracle: Mapping[str, Score],
    cells: Sequence[str],
    measure: str,
) -> dict[str, Gain]:
    """Arm -> its gain in the score `measure`; all others map to scores by name. cells: of each test picture."""
    headless = [concept for concept, own in parents.items() if measure not in own]
    if measure not in oracle:
        why = f"no evaluator gave the oracle the score {measure}"
    elif headless:
        why = f"the parent {headless[0]!r} alone gives no log-odds, so nobody knows which parent is the better"
    elif min(Counter(cells).values()) < FEWEST:
        why = f"a cell has fewer than {FEWEST} test pictures"
    else:
        parent = better_parent([Sampled.of(own[measure]) for own in parents.values()])
        best = Sampled.of(oracle[measure])
        return {
            arm: gain(Sampled.of(own[measure]), parent, best) if measure in own else Gain(why="it gives no log-odds")
            for arm, own in scores.items()
        }
    return {arm: Gain(why=why) for arm in scores}
