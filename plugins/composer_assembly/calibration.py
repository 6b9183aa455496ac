"""Log-odds brought to how often networks are right, concept by concept, on pictures held out from their training."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import log

import numpy as np
import torch
from numpy.typing import NDArray

from composer import ComposerError, Curve, HeldOut, Images, Population, Run

FEWEST = 10
"""Held-out pictures of each kind without which nothing is fitted."""
ISOTONIC = 200
"""Held-out pictures from which on a free curve is fitted (Niculescu-Mizil and Caruana 2005 ask for about 1000; below
some hundreds they find it to overfit); with fewer it is Platt's line."""
WEAK_PENALTY = 1e6
"""C of scikit-learn's logistic regression: as good as none."""

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Fitted:
    """The curve of one member.

    shifts: whether it was fitted to how many held-out pictures show the concept. why: what it is in place of what was
    asked for, and why, with `{}` where `count` pictures stand; empty where that was made.
    """

    x: Sequence[float] = (0.0,)
    y: Sequence[float] = (0.0,)
    below: float = 1.0
    above: float = 1.0
    shifts: bool = False
    why: str = ""
    count: int = 0

    def with_points(self, count: int) -> Fitted:
        """The same curve, written with more points: its last line goes on."""
        more = range(1, count - len(self.x) + 1)
        x = [*self.x, *(self.x[-1] + step for step in more)]
        return replace(self, x=x, y=[*self.y, *(self.y[-1] + self.above * step for step in more)])


def calibrated(parent: Population, method: str, prior: str, run: Run) -> Population:
    """The networks with their log-odds sent through curves; as they are where neither is asked for.

    Members of which too little is known keep their log-odds, and a warning names the concept and says why.
    ComposerError where nothing is known, neither from their source nor from pictures.
    """
    if method == "none" and prior == "kept":
        return parent
    known = _held_out(parent, method, run)
    shown = known.shown.numpy().astype(np.bool_)
    fits = [_fitted(method, own, shown) for own in known.log_odds.double().numpy()]
    _say(parent, fits, run)
    points = max(len(fit.x) for fit in fits)
    rows = [fit.with_points(points) for fit in fits]
    x, y, below, above = (
        torch.tensor([getattr(fit, name) for fit in rows], dtype=torch.float64) for name in ("x", "y", "below", "above")
    )
    curve = Curve(x, y, below, above)
    if prior == "out":
        curve = curve.shifted(torch.tensor([-odds for odds in _prior_odds(parent, known, fits, run)]))
    return replace(parent, calibration=_after(parent.calibration, curve, parent), held_out=None, _memo={})


def _held_out(parent: Population, method: str, run: Run) -> HeldOut:
    if parent.held_out is not None:
        return parent.held_out
    pictures = next((images for images in run.pictures if parent.concept in images.labels), None)
    if pictures is None:
        raise ComposerError(
            f"product: nothing can be calibrated for {parent.concept!r}: neither its models nor the recipe hold "
            "labelled pictures of it; give it `images`, or leave `calibrate` and `prior` out"
        )
    if method != "none":
        run.warn(
            f"product: which pictures of {parent.concept!r} its models were not trained on is not known: they are "
            f"calibrated on all {len(pictures)}, and are too sure of themselves where they were trained on these"
        )
    else:
        run.warn(
            f"product: how many of the pictures that the models of {parent.concept!r} were trained on show it is not "
            f"known: the share among its {len(pictures)} pictures here is taken out"
        )
    return _said_of(pictures, parent, run)


def _said_of(pictures: Images, parent: Population, run: Run) -> HeldOut:
    log_odds = parent.log_odds(pictures, run.device)
    parent.forget_features()
    return HeldOut(log_odds, torch.from_numpy(pictures.labels[parent.concept].copy()), "its training pictures")


def _fitted(method: str, log_odds: Floats, shown: Flags) -> Fitted:
    """The curve of one member from its log-odds [N], NaN where it was trained on a picture."""
    if method == "none":
        return Fitted()
    if np.isinf(log_odds).any():
        return Fitted(why="stay as they are: their log-odds are not finite")
    there = ~np.isnan(log_odds)
    values, flags = log_odds[there], shown[there]
    rarer = min(int(flags.sum()), int((~flags).sum()))
    if rarer < FEWEST:
        why = f"stay as they are: {{}} held-out pictures are of the rarer kind, and {FEWEST} are needed"
        return Fitted(why=why, count=rarer)
    if values.std() <= 1e-9 * max(1.0, abs(float(values.mean()))):
        return Fitted(why="stay as they are: they answer the same for every held-out picture")
    if method == "isotonic":
        if len(values) >= ISOTONIC:
            return _isotonic(values, flags)
        line = _line(values, flags, shifts=True)
        why = f"get Platt's line, not a free curve: {{}} pictures are held out, and {ISOTONIC} are needed"
        return replace(line, why=line.why or why, count=len(values))
    return _line(values, flags, shifts=method == "platt")


def _line(log_odds: Floats, shown: Flags, *, shifts: bool) -> Fitted:
    """Logistic regression on the log-odds alone, towards Platt's targets, which no line reaches by growing steep."""
    from sklearn.linear_model import LogisticRegression  # a second to import

    positives, negatives = int(shown.sum()), int((~shown).sum())
    target = np.where(shown, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    scale = float(log_odds.std())
    rows = np.concatenate([log_odds, log_odds])[:, None] / scale
    labels = np.repeat([True, False], len(log_odds))
    model = LogisticRegression(C=WEAK_PENALTY, fit_intercept=shifts, solver="newton-cholesky", tol=1e-8)
    model.fit(rows, labels, sample_weight=np.concatenate([target, 1 - target]))
    slope = float(model.coef_[0, 0]) / scale
    if slope <= 0:
        return Fitted(why="stay as they are: on held-out pictures they are no better than chance")
    shift = float(model.intercept_[0]) if shifts else 0.0
    return Fitted(y=(shift,), below=slope, above=slope, shifts=shifts)


def _isotonic(log_odds: Floats, shown: Flags) -> Fitted:
    """The rising curve of least squares; no probability is further out than one picture more could put it."""
    from sklearn.isotonic import IsotonicRegression  # a second to import

    least = 1 / (len(shown) + 2)
    model = IsotonicRegression(y_min=least, y_max=1 - least).fit(log_odds, shown.astype(np.float64))
    probability = model.y_thresholds_
    return Fitted(model.X_thresholds_.tolist(), np.log(probability / (1 - probability)).tolist(), 0.0, 0.0, shifts=True)


def _prior_odds(parent: Population, known: HeldOut, fits: Sequence[Fitted], run: Run) -> list[float]:
    """Log-odds of the concept's share that each member's answers hold: that of its curve, or of its training."""
    shown = known.shown.numpy().astype(np.bool_)
    positives = int(shown.sum())
    if positives in (0, len(shown)):
        run.warn(f"product: the prior of {parent.concept!r} is not taken out: its pictures are of one kind only")
        return [0.0] * len(fits)
    trained = 0.0 if known.balanced else log(positives / (len(shown) - positives))
    return [
        _odds(shown[~np.isnan(own)]) if fit.shifts else trained
        for own, fit in zip(known.log_odds.double().numpy(), fits, strict=True)
    ]


def _odds(shown: Flags) -> float:
    return log(int(shown.sum()) / int((~shown).sum()))


def _after(first: Curve | None, then: Curve, parent: Population) -> Curve:
    if first is not None:
        raise ComposerError(
            f"product: the models of {parent.concept!r} are calibrated already; leave `calibrate` and `prior` out"
        )
    return then


def _say(parent: Population, fits: Sequence[Fitted], run: Run) -> None:
    for why in dict.fromkeys(fit.why for fit in fits if fit.why):
        counts = sorted(fit.count for fit in fits if fit.why == why)
        pictures = str(counts[0]) if counts[0] == counts[-1] else f"{counts[0]} to {counts[-1]}"
        who = f"{len(counts)} of {len(fits)} networks of {parent.concept!r}"
        run.warn(f"product: calibration: {who} {why.format(pictures)}")
