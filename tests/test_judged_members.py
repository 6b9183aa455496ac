"""Which members a report says that its scores are of: what a run refuses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from composer import Evaluator, Images, Report, Run, Score
from composer.data.composed import ComposedModel
from composer.data.scores import Pick
from composer.running.boundary import first_fault
from composer.testing import examples

PICKED = Pick(np.asarray([0.0, 1.0, 0.5]), "agreement")


class Mine(Evaluator):
    """Made for a test."""

    name = "mine"

    def evaluate(self, model: ComposedModel, images: Images, run: Run) -> Report:
        return Report({})


def fault(values: list[float], **rest: Any) -> str | None:
    model = examples.model(examples.populations(2))
    assert len(model) == len(PICKED.values)
    report = Report({"mean": Score(np.asarray(values), **rest)})
    return first_fault(Mine(), report, [model, None, PICKED], None)


@pytest.mark.parametrize(
    ("values", "judged", "replicates", "said"),
    [
        ([1.0, 2.0, 3.0], None, 2, None),
        ([1.0, 2.0], (2, 1), 2, None),
        ([1.0, 2.0], (2, 0), 0, None),
        ([1.0, 2.0], (2, 0), 2, "replicates of score 'mean', which leaves out the picked member 1 (`run.picked`)"),
        ([1.0, 2.0], (1, 3), 0, "score 'mean' of members 1, 3; the model has 3"),
        ([1.0, 2.0], (1, 1), 0, "score 'mean' of members 1, 1; the model has 3"),
        ([1.0, 2.0], None, 0, "2 values of score 'mean' for a model of 3 members"),
    ],
)
def test_scores_are_of_members_that_there_are_each_once_and_replicates_of_the_picked_one(
    values: list[float], judged: tuple[int, ...] | None, replicates: int, said: str | None
) -> None:
    assert fault(values, judged=judged, replicates=np.zeros(replicates)) == said
