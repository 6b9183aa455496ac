"""How well each parent knows its own concept: no composition knows more than its parents do."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from composer.data.expressions import cell_name
from composer.data.images import Images
from composer.data.population import Population
from composer.data.ranking import auc
from composer.data.run import Run
from composer.data.scores import Report, Score, consensus_pick, resamples
from composer.judging.coverage import coverage, warn_of

WEAK = 0.8
"""AUC below which a parent is said not to know its own concept."""
WORSE_THAN_CHANCE = 0.4
"""AUC below which an output probably means something else than was thought."""
WITHIN = "auc_within."
"""Begins the name of a score within the pictures that are alike in all other concepts."""


def judge_parent(parent: Population, images: Images, run: Run) -> Report:
    """AUC of the parent's own concept on the test pictures: over all, and within those that are alike in all others.

    `auc_within.black` ranks pictures that show black and no other concept. With the parent's training pictures,
    `run.pictures`, also `coverage`: which share of the test pictures is like them. Empty for a parent without a head,
    and for one whose log-odds are not finite in any member.
    """
    if not parent.has_head:
        return Report({})
    log_odds = parent.log_odds(images, run.device).double().numpy()  # [M, N]
    parent.forget_features()
    finite = np.flatnonzero(np.isfinite(log_odds).all(axis=1))
    if len(finite) < len(log_odds):
        run.warn(f"the log-odds of {len(log_odds) - len(finite)} of {len(log_odds)} members are not finite")
    if len(finite) == 0:
        return Report({})
    log_odds = log_odds[finite]
    shown = images.labels[parent.concept]
    drawn = resamples(images, run.seed)
    picked = consensus_pick(log_odds)
    picked_by = "agreement with the other members" if len(log_odds) > 1 else "the only member"
    judged = None if len(finite) == len(parent) else tuple(finite.tolist())
    scores = {}
    for name, among in {"auc": np.ones(len(images), dtype=np.bool_), **_contexts(parent.concept, images)}.items():
        values = auc(log_odds[:, among], shown[among])
        if np.isnan(values).any():  # the pictures show the concept, or they do not
            continue
        # Resamples are drawn cell by cell, so that each holds as many of these pictures.
        own = drawn[among[drawn]].reshape(len(drawn), -1)
        scores[name] = Score(
            values, auc(log_odds[picked][own], shown[own]), judged=judged, picked=picked, picked_by=picked_by
        )
    if run.pictures:
        whole = parent if judged is None else parent.select(judged)
        found = coverage(whole, run.pictures[0], images, run)
        scores["coverage"] = replace(found, judged=judged, picked=picked, picked_by=picked_by)
        warn_of(parent.concept, found, run)
    report = Report(scores)
    for message in _weaknesses(parent, report):
        run.warn(message)
    return report


def _contexts(concept: str, images: Images) -> dict[str, NDArray[np.bool_]]:
    """`auc_within.CELL` -> the pictures that show, of the other concepts, exactly those of the cell."""
    others = [other for other in images.concepts if other != concept]
    cells = np.asarray(
        [cell_name([other for other in others if images.labels[other][index]]) for index in range(len(images))]
    )
    return {f"{WITHIN}{cell}": cells == cell for cell in dict.fromkeys(cells.tolist())} if others else {}


def _weaknesses(parent: Population, report: Report) -> list[str]:
    """What the parent cannot do, in words."""
    if "auc" not in report.scores:
        return []
    concept = parent.concept
    who = "the parent tells" if len(parent) == 1 else f"the median of its {len(parent)} networks tells"
    whole = report.scores["auc"].median
    if whole < WORSE_THAN_CHANCE:
        return [
            f"{who} {concept} from others with AUC {whole:.2f} on the test pictures, worse than by chance: "
            f"does the output that is taken for {concept} mean something else (`classes` of the concept)?"
        ]
    if whole < WEAK:
        return [
            f"{who} {concept} from others with AUC {whole:.2f} on the test pictures: "
            "a composition cannot be better than its parents"
        ]
    weak = [
        f"among those of {name.removeprefix(WITHIN)} with {score.median:.2f}"
        for name, score in report.scores.items()
        if name.startswith(WITHIN) and score.median < WEAK
    ]
    if not weak:
        return []
    return [
        f"{who} {concept} from others with AUC {whole:.2f} on the test pictures, but {' and '.join(weak)} only: "
        "a composition cannot be better than its parents"
    ]
