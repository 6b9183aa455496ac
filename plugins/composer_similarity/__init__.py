"""Similarity: whether the target's pictures look alike to a model."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from composer import Component, Contract, Evaluator, Run, ScoreInfo, hook

if TYPE_CHECKING:
    from composer import ComposedModel, Images, Report


class Similarity(Evaluator):
    """Scores of the cosine similarity of features: within the target, between target and others, and their gap.

    `within_target` is the mean over pairs of different pictures of the target, `between` the mean over pairs of one
    picture of the target and one other, `gap` the first minus the second. A picture whose features are all zero has
    cosine 0 with every other.
    """

    name = "similarity"
    scores = (
        ScoreInfo("gap", "gap of cosines", main=True, compared=False),  # others are compared where there are others
        ScoreInfo("between", "cosine between target and others", higher_is_better=False),
    )
    contract = Contract(reference="Salton and McGill 1983, Introduction to modern information retrieval")

    centred: bool = Field(
        True,
        description="subtract the mean features of all test pictures first; without it features that passed a ReLU, "
        "which are never negative, have cosines near 1 throughout",
    )

    def evaluate(self, model: ComposedModel, images: Images, run: Run) -> Report:
        from composer_similarity.evaluation import evaluate

        return evaluate(model, images, self.centred, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Similarity]
