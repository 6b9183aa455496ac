"""Recognition: how well a model's log-odds of the target tell it from everything else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from composer import Component, Contract, Evaluator, Run, ScoreInfo, hook

if TYPE_CHECKING:
    from composer import ComposedModel, Images, Report


class Recognition(Evaluator):
    """Scores of the log-odds of the target: AUC, against every negative cell too, average precision and accuracy.

    A model without log-odds gets an empty report.

    `auc_against.CELL` ranks the target against one cell alone, and `auc_hardest_cell` is the smallest of these.
    `accuracy` cuts by the rule of `threshold`, which no label enters. `accuracy_best_threshold` cuts where the test
    labels say is best, and is marked as fitted.
    """

    name = "recognition"
    scores = (
        ScoreInfo("auc", "AUC", "AUC", main=True),
        ScoreInfo("auc_hardest_cell", "AUC of the hardest cell", "hardest\ncell", compared=True, gain=True),
        ScoreInfo("accuracy", "accuracy", "accuracy", compared=True),
        ScoreInfo("accuracy_best_threshold", "accuracy at the best threshold", labels="fitting"),
    )
    contract = Contract(reference="Fawcett 2006, An introduction to ROC analysis, doi:10.1016/j.patrec.2005.10.010")

    threshold: Literal["concepts", "half", "otsu", "mixture"] = Field(
        "concepts",
        description="when a picture counts as the target: by which concepts' own probabilities are above 0.5 "
        "(concepts), its own above 0.5 (half), the cut of Otsu 1979 (otsu) or of two Gaussians (mixture) in log-odds",
    )

    def evaluate(self, model: ComposedModel, images: Images, run: Run) -> Report:
        from composer_recognition.evaluation import evaluate

        return evaluate(model, images, self.threshold, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Recognition]
