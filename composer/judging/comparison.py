"""Compositions beside controls: whether a difference can be chance, and what picking the best of many is worth."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from composer.data.score_info import Declared
from composer.data.scores import Score

Floats = NDArray[np.float64]
Verdict = Literal["better", "worse", "unclear"]
Scores = Mapping[str, Mapping[str, Score]]
"""Composition -> name of a score -> that score."""

LEVEL = 0.05
FEWEST = 5
"""Pictures of a cell below which nothing is tested: resampling so few shows too little of what others would do."""


@dataclass(frozen=True)
class Comparison:
    """One score of a composition's picked member minus that of a control's, on the same resampled pictures.

    interval: 95 % percentile interval of the difference. p: two-sided. p_holm: corrected for the whole table.
    """

    composition: str
    control: str
    score: str
    difference: float
    interval: tuple[float, float]
    p: float
    p_holm: float
    higher_is_better: bool

    @property
    def verdict(self) -> Verdict:
        """`better` or `worse` only where the corrected test and the interval both exclude that nothing differs."""
        low, high = self.interval
        if self.p_holm > LEVEL or low <= 0 <= high:
            return "unclear"
        return "better" if (self.difference > 0) == self.higher_is_better else "worse"

    def facts(self) -> dict[str, Any]:
        """As report.json shows it."""
        return {
            "composition": self.composition,
            "control": self.control,
            "score": self.score,
            "difference": self.difference,
            "interval": list(self.interval),
            "p": self.p,
            "p_holm": self.p_holm,
            "verdict": self.verdict,
        }


def compare(
    scores: Scores, controls: Iterable[str], cells: Sequence[str], declared: Declared | None = None
) -> list[Comparison]:
    """Every composition against every control, in each of the compared scores that both were resampled for.

    cells: the cell of each test picture. Empty where a cell has fewer than FEWEST pictures. Scores that labels were
    fitted to are left out: a composition that fits them better is no better.
    """
    if min(Counter(cells).values()) < FEWEST:
        return []
    references = [name for name in scores if name in set(controls)]
    found = [
        _difference(composition, control, name, scores[composition][name], scores[control][name])
        for composition in scores
        if composition not in references
        for control in references
        for name in compared_scores(scores, declared or {})
        if _paired(scores[composition].get(name), scores[control].get(name))
    ]
    corrected = holm([one.p for one in found])
    return [replace(one, p_holm=float(p)) for one, p in zip(found, corrected, strict=True)]


def compared_scores(scores: Scores, declared: Declared) -> list[str]:
    """The scores declared to be compared and, where there is none of these, the main ones, or else all.

    Others would only make the correction stricter.
    """
    names = list(dict.fromkeys(name for arm in scores.values() for name in arm))
    chosen = [name for name, info in declared.items() if info.compared and name in names]
    return chosen or [name for name, info in declared.items() if info.main and name in names] or names


def beats_controls(comparisons: Iterable[Comparison], composition: str, name: str, score: Score) -> bool | None:
    """Whether a composition's `score`, called `name`, is shown to be better than each control's.

    None where it was compared with none; False where it is no better than what no look at a picture reaches.
    """
    own = [one.verdict for one in comparisons if (one.composition, one.score) == (composition, name)]
    if not own:
        return None
    blind = score.base is not None and float(score.values[score.picked]) <= score.base
    return not blind and all(verdict == "better" for verdict in own)


def _paired(ours: Score | None, theirs: Score | None) -> bool:
    if ours is None or theirs is None or "fitting" in (ours.labels, theirs.labels):
        return False
    return 1 < len(ours.replicates) == len(theirs.replicates)


def _difference(composition: str, control: str, name: str, ours: Score, theirs: Score) -> Comparison:
    difference = float(ours.values[ours.picked] - theirs.values[theirs.picked])
    gains = ours.replicates - theirs.replicates
    low, high = (float(bound) for bound in np.percentile(gains, [2.5, 97.5]))
    p = two_sided_p(difference, gains)
    return Comparison(composition, control, name, difference, (low, high), p, p, ours.higher_is_better)


def two_sided_p(difference: float, gains: Floats) -> float:
    """Chance of a difference at least as large where there is none, normal with the standard error of the resamples.

    gains: [B] differences on the resamples. Efron and Tibshirani 1993, An introduction to the bootstrap, section 12.5.
    Counting resamples on the wrong side of 0 instead could not show a p below 2 / (B + 1), and a table of 40
    comparisons asks for 0.00125.
    """
    from scipy.special import ndtr  # a quarter of a second to import

    error = float(gains.std(ddof=1))
    if error <= 1e-12:  # rounding apart, no resample changes anything
        return float(abs(difference) <= 1e-12)
    return float(2 * ndtr(-abs(difference) / error))


def holm(p: Sequence[float]) -> Floats:
    """p-values corrected for all of them: the chance of any false one stays below the level (Holm 1979)."""
    values = np.asarray(p, dtype=np.float64)
    order = np.argsort(values)
    corrected = np.empty_like(values)
    corrected[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)).clip(max=1)
    return corrected


def expected_best(
    values: ArrayLike, counts: ArrayLike, *, replacement: bool = False, higher_is_better: bool = True
) -> Floats:
    """Expected best of N of the values [M] drawn at random, for every N of `counts`.

    Exact. Of M values in rising order the i-th is the largest of N with chance C(i - 1, N - 1) / C(M, N); with
    `replacement`, (i / M)^N - ((i - 1) / M)^N. Without replacement it is an unbiased estimate of the best of N new
    ones; for N of M and more it is the best there is, of which the best of more new ones can only be more.
    """
    given = np.asarray(values, dtype=np.float64)
    if not higher_is_better:
        return -expected_best(-given, counts, replacement=replacement)
    rising = np.sort(given)
    wanted = np.atleast_1d(np.asarray(counts, dtype=np.float64))[:, None]
    if replacement:
        at_most = (np.arange(len(rising) + 1) / len(rising))[None, :] ** wanted
    else:
        at_most = _all_among(np.arange(len(rising) + 1.0)[None, :], len(rising), np.minimum(wanted, len(rising)))
    best: Floats = np.diff(at_most, axis=1) @ rising
    return best


def _all_among(lowest: Floats, members: int, drawn: Floats) -> Floats:
    """Chance that all drawn ones are among the i lowest of the members: C(i, N) / C(M, N)."""
    from scipy.special import gammaln  # a quarter of a second to import

    enough = lowest >= drawn
    i = np.where(enough, lowest, drawn)
    logarithm = gammaln(i + 1) - gammaln(i - drawn + 1) - gammaln(members + 1) + gammaln(members - drawn + 1)
    return np.where(enough, np.exp(logarithm), 0.0)


def best_of_as_many(score: Score, name: str, scores: Scores, controls: Iterable[str]) -> dict[str, float]:
    """Control -> the best to expect of as many of its members as `score` has values."""
    return {
        control: float(
            expected_best(scores[control][name].values, len(score.values), higher_is_better=score.higher_is_better)[0]
        )
        for control in controls
        if name in scores[control]
    }


def by_luck(best: Mapping[str, float], assembler: str, higher_is_better: bool) -> tuple[str, float] | None:
    """Of `best_of_as_many` the control that has luck only, or else the strongest; None without any.

    That is random kernels, in the composition's own assembler where several have them.
    """
    if not best:
        return None
    random = [name for name in (f"random.{assembler}", "random") if name in best]
    chosen = random[0] if random else (max if higher_is_better else min)(best, key=lambda name: best[name])
    return chosen, best[chosen]
