"""From log-odds to the report."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from composer import (
    ComposedModel,
    ComposerError,
    Images,
    Report,
    Run,
    Score,
    cell_names,
    resamples,
)
from composer_recognition.ranking import at_each_score, auc, average_precision, best_accuracy
from composer_recognition.thresholds import RULES

Floats = NDArray[np.float64]


def evaluate(model: ComposedModel, images: Images, threshold: str, run: Run) -> Report:
    """All scores of `model`; an empty report where it gives no log-odds."""
    if not model.has_log_odds:
        return Report({})
    cells = _cells(images)
    log_odds = _answers(model.log_odds(images, run.device).double().numpy(), model)
    decided = model.decisions(images, run.device).numpy() if threshold == "concepts" else RULES[threshold](log_odds, ())
    right = decided == images.target
    base = float(max(images.target.mean(), 1 - images.target.mean()))

    every = np.ones((1, len(images)), dtype=np.int64)
    drawn = _counts(resamples(images, run.seed), len(images))
    of_members = [_scores(values, own, cells, every) for values, own in zip(log_odds, right, strict=True)]
    of_resamples = _scores(log_odds[run.picked], right[run.picked], cells, drawn)
    return Report(
        {
            name: Score(
                np.concatenate([scores[name] for scores in of_members]),
                replicates,
                labels="fitting" if name == "accuracy_best_threshold" else "scoring",
                base=base if name.startswith("accuracy") else None,
            )
            for name, replicates in of_resamples.items()
        }
    )


def _scores(
    log_odds: Floats, right: NDArray[np.bool_], cells: dict[str, NDArray[np.bool_]], counts: NDArray[np.int64]
) -> dict[str, Floats]:
    """Score name -> [B] of one member, on B resamples given as counts [B, N]. The target's cell comes first."""
    at = {cell: at_each_score(log_odds, counts * shown) for cell, shown in cells.items()}
    positives, *negatives = at.values()
    others = sum(negatives[1:], start=negatives[0])
    against = {f"auc_against.{cell}": auc(positives, at[cell]) for cell in list(cells)[1:]}
    return {
        "auc": auc(positives, others),
        "auc_hardest_cell": np.min(list(against.values()), axis=0),
        **against,
        "average_precision": average_precision(positives, others),
        "accuracy": counts @ right / counts.sum(axis=1),
        "accuracy_best_threshold": best_accuracy(positives, others),
    }


def _cells(images: Images) -> dict[str, NDArray[np.bool_]]:
    """Cell -> which pictures are in it, the target first, cells without a picture left out."""
    shown = np.asarray(images.cells)
    others = set(shown[~images.target].tolist())
    if images.target.all() or not images.target.any():
        missing = f"{'only pictures' if images.target.any() else 'no picture'} of {str(images.expression)!r}"
        raise ComposerError(f"recognition: {missing} among {len(images)} test pictures; it needs both kinds")
    cells = {cell: shown == cell for cell in cell_names(images.concepts) if cell in others}
    return {str(images.expression): images.target, **cells}


def _answers(log_odds: Floats, model: ComposedModel) -> Floats:
    """The log-odds [M, N], those of members with NaN or infinite ones as 0: such a member says nothing.

    ComposerError where no member is left.
    """
    broken: NDArray[np.bool_] = np.asarray(~np.isfinite(log_odds).all(axis=1), dtype=np.bool_)
    if broken.all():
        names = ", ".join(repr(member) for member in model.members[:3])
        raise ComposerError(
            f"recognition: the log-odds of {len(model)} of {len(model)} members are not finite ({names}); their "
            "training or their kernels have diverged: lower the learning rate, or leave them out"
        )
    return np.where(broken[:, None], 0.0, log_odds)


def _counts(drawn: NDArray[np.int64], pictures: int) -> NDArray[np.int64]:
    """How often each picture was drawn, [B, N], from the indices drawn [B, N]."""
    rows = np.arange(len(drawn))[:, None] * pictures
    return np.bincount((drawn + rows).ravel(), minlength=len(drawn) * pictures).reshape(len(drawn), pictures)
