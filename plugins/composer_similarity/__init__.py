"""Similarity: whether the target's pictures look alike to a model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

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

    metric: Literal["cosine", "correlation", "rank", "mahalanobis"] = Field(
        "cosine",
        description="cosine of the features, their correlation (each picture's mean taken first), that of their ranks, "
        "or the cosine after whitening by what varies within the parents' classes (mahalanobis)",
    )
    weights: Literal["none", "anova", "heads", "lda"] = Field(
        "none",
        description="what each feature counts: all the same (none), the F statistic of the parents' labels (anova), "
        "the slopes of the model's heads (heads), or of discriminants that are fitted to the parents' labels (lda)",
    )
    centred: bool = Field(
        True,
        description="subtract the mean features of all test pictures first; without it features that passed a ReLU, "
        "which are never negative, have cosines near 1 throughout",
    )

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if self.metric == "mahalanobis" and self.weights != "none":
            yield "weights", "whitening undoes them: leave them out, or take another metric than mahalanobis"

    @property
    def terms(self) -> Contract:
        labelled = self.metric == "mahalanobis" or self.weights != "none"
        return replace(self.contract, pictures="labelled" if labelled else "none")

    def evaluate(self, model: ComposedModel, images: Images, run: Run) -> Report:
        from composer_similarity.evaluation import evaluate

        return evaluate(self, model, images, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Similarity]
