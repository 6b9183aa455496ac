"""Scores of every member, with what is needed to say how sure they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from composer.data.images import Images

Labels = Literal["scoring", "fitting"]
Outputs = Sequence[NDArray[np.float64]] | NDArray[np.float64]
RESAMPLES = 1000
ROUNDING = 1e-6
"""Relative to the largest output: differences that float32 arithmetic makes by itself."""


@dataclass(frozen=True)
class Score:
    """One score of M members.

    values: [M].
    replicates: [B], the score of the picked member (`run.picked`) on B resamples of the pictures; the same resamples
    for every model that one evaluator judges, so that differences are paired.
    labels: "fitting" where test labels were used for more than scoring.
    judged: [M] which of the model's members the values are of; None for all, in their order.
    base: what is reached without looking at a picture, such as by always answering no; None where that says nothing.
    picked: index into `values` of the member chosen without labels, by `picked_by`. Composer sets both: evaluators
    do not pick.
    """

    values: NDArray[np.float64]
    replicates: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    labels: Labels = "scoring"
    higher_is_better: bool = True
    judged: tuple[int, ...] | None = None
    base: float | None = None
    picked: int = 0
    picked_by: str = ""

    def __post_init__(self) -> None:
        if self.values.ndim != 1 or not 0 <= self.picked < len(self.values):
            met = f"{self.values.shape}, {self.picked}"
            raise ValueError(f"a score needs one value per member and a picked one, not {met}")
        if self.judged is not None and len(self.judged) != len(self.values):
            raise ValueError(f"{len(self.values)} values are said to be of {len(self.judged)} members")

    @property
    def median(self) -> float:
        """Over all members that were judged."""
        return float(np.median(self.values))

    @property
    def best_member(self) -> int:
        """Index among the judged members of the best value."""
        return int(np.argmax(self.values) if self.higher_is_better else np.argmin(self.values))

    def member(self, index: int) -> int:
        """The model's member that `values[index]` is of."""
        return index if self.judged is None else self.judged[index]

    @property
    def best(self) -> float:
        """The best member's value: chosen with the test labels, so nothing to expect of new pictures."""
        return float(self.values[self.best_member])

    @property
    def interval(self) -> tuple[float, float] | None:
        """95 % percentile interval of the picked member's score over resampled pictures."""
        if len(self.replicates) == 0:
            return None
        low, high = np.percentile(self.replicates, [2.5, 97.5])
        return float(low), float(high)


@dataclass(frozen=True)
class Report:
    """What one evaluator says of one model: score name -> Score (`kmeans.accuracy`)."""

    scores: Mapping[str, Score]


@dataclass(frozen=True)
class Pick:
    """Which member of a composition people get: chosen once, without labels, for all scores and for `predict`.

    values: [M] of the criterion, minus infinity for a member that tells no two pictures apart.
    by: what the criterion goes by, in words.
    """

    values: NDArray[np.float64]
    by: str

    @property
    def member(self) -> int:
        """The member with the highest value, of equals the first; the first of all where every member is dead."""
        return int(np.argmax(self.values))

    @property
    def dead(self) -> int:
        """How many members tell no two pictures apart, or give numbers that are not finite."""
        return int(np.isneginf(self.values).sum())

    def completed(self, score: Score) -> Score:
        """The score with its picked member: the composition's or, where it was not judged, the best of those judged."""
        members = range(len(self.values)) if score.judged is None else score.judged
        if self.member in members:
            return replace(score, picked=members.index(self.member), picked_by=self.by)
        by = f"{self.by}, of {len(members)} of {len(self.values)} members"
        return replace(score, picked=int(np.argmax(self.values[list(members)])), picked_by=by)


def resamples(images: Images, seed: int, count: int = RESAMPLES) -> NDArray[np.int64]:
    """Indices [count, N] of pictures drawn with replacement within each cell (stratified bootstrap)."""
    rng = np.random.default_rng(seed)
    cells = np.asarray(images.cells)
    drawn = np.empty((count, len(images)), dtype=np.int64)
    for cell in sorted(set(images.cells)):
        own = np.flatnonzero(cells == cell)
        drawn[:, own] = own[rng.integers(0, len(own), (count, len(own)))]
    return drawn


def replicate(metric: Callable[[NDArray[np.int64]], float], drawn: NDArray[np.int64]) -> NDArray[np.float64]:
    """[B] values of `metric(indices)` over the rows of `drawn`."""
    return np.asarray([metric(indices) for indices in drawn], dtype=np.float64)


def tells_apart(outputs: Outputs) -> NDArray[np.bool_]:
    """Whether each member tells any two pictures apart, bool [M].

    outputs: [M, N], such as log-odds. A dead network gives one answer for every picture, rounding aside; a broken one
    gives NaN or infinity.
    """
    values = np.asarray(outputs, dtype=np.float64)
    finite: NDArray[np.bool_] = np.asarray(np.isfinite(values).all(axis=1), dtype=np.bool_)
    known = np.where(finite[:, None], values, 0)
    spread = np.ptp(known, axis=1)
    return np.asarray(finite & (spread > ROUNDING * np.maximum(np.abs(known).max(axis=1), 1)), dtype=np.bool_)


def agreement(outputs: Outputs) -> NDArray[np.float64]:
    """Correlation of each member's ranks with the mean ranks of all, [M]; ties share their mean rank.

    outputs: [M, N]. Members that tell no pictures apart have no say in the mean, and get minus infinity: whatever
    picks the highest picks another while there is one.
    """
    from scipy.stats import rankdata  # half a second to import

    values = np.asarray(outputs, dtype=np.float64)
    found = np.full(len(values), -np.inf)
    alive = tells_apart(values)
    if alive.any():
        ranks = rankdata(values[alive], axis=1)
        centred = ranks - ranks.mean(axis=1, keepdims=True)
        consensus = centred.mean(axis=0)
        found[alive] = centred @ consensus / np.linalg.norm(centred, axis=1) / max(np.linalg.norm(consensus), 1e-12)
    return found


def consensus_pick(outputs: Outputs) -> int:
    """The member whose outputs [M, N] agree best with those of all (`agreement`): a pick that needs no label."""
    return int(np.argmax(agreement(outputs)))
