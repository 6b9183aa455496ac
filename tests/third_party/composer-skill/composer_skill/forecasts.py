"""Proper scores of forecasts, by the library scoringrules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scoringrules
from composer import ComposedModel, ComposerError, Images, Report, Run, Score, replicate, resamples
from numpy.typing import NDArray

Floats = NDArray[np.float64]

RULES: Mapping[str, Callable[[Any, Any], Any]] = {"brier": scoringrules.brier_score, "log": scoringrules.log_score}
SUREST = 1e-6
"""How near to 0 and 1 a probability counts: a sure error would have an infinite log score."""


def evaluate(model: ComposedModel, images: Images, rules: Sequence[str], run: Run) -> Report:
    """A skill score of every member for each rule; ComposerError where the test pictures have one kind only."""
    if not model.has_log_odds:
        return Report({})
    shown = images.target.astype(np.float64)
    if shown.min() == shown.max():
        raise ComposerError("all test pictures show the target, or none does; skill needs both kinds")
    log_odds = model.log_odds(images, run.device).double()
    forecasts = log_odds.sigmoid().clamp(SUREST, 1 - SUREST).numpy()  # [M, N]
    drawn = resamples(images, run.seed)
    return Report({rule: score(RULES[rule], shown, forecasts, run.picked, drawn) for rule in rules})


def score(
    rule: Callable[[Any, Any], Any], shown: Floats, forecasts: Floats, picked: int, drawn: NDArray[np.int64]
) -> Score:
    """1 - score / score of the constant, of every member and of the picked one on resampled pictures."""
    reached = np.asarray(rule(shown, forecasts), dtype=np.float64)  # [M, N]
    constant = np.asarray(rule(shown, np.full_like(shown, shown.mean())), dtype=np.float64)  # [N]
    values = 1 - reached.mean(axis=1) / constant.mean()
    # Pictures are drawn within their cells, so the target's share, and with it the constant, stays the same.
    replicates = replicate(lambda chosen: 1 - float(reached[picked, chosen].mean() / constant[chosen].mean()), drawn)
    return Score(values, replicates)
