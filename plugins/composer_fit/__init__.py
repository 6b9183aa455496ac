"""A concept in seconds: a linear head on the features of a frozen network."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from composer import Architecture, Component, Contract, ModelSource, Run, hook

if TYPE_CHECKING:
    from pathlib import Path

    from composer import Population


class Fit(ModelSource):
    """A frozen network with a new linear head, fitted on the concept's own pictures by logistic regression.

    The L2 strength is the one with the lowest cross-validated loss. With a backbone of several members each gets its
    own head.
    """

    name = "fit"
    contract = Contract(
        pictures="labelled",
        reference="Kornblith et al. 2019, arXiv:1805.08974 (logistic regression on the features of ImageNet networks)",
    )

    backbone: ModelSource = Field(description="the network whose features are used; its own head is left out")
    folds: int = Field(5, ge=2, le=20, description="parts of the pictures for cross-validation")
    strengths: tuple[float, ...] = Field(
        (0.1, 1.0, 10.0, 100.0, 1e3, 1e4),
        description="L2 strengths to choose from: weight of half the squared norm of the head against the summed loss "
        "of the pictures in nats, on features of unit variance",
    )
    scaling: Literal["each", "common"] = Field(
        "each",
        description="what brings features to unit variance: `each` has its own factor, or one factor is `common` to "
        "all, so that those which hardly vary on few pictures have little say; heads that are composed gain by that",
    )
    balanced: bool = Field(
        True, description="weigh the pictures so that those with and those without the concept count the same"
    )

    @property
    def network(self) -> Architecture:
        return self.backbone.network

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if not self.strengths or min(self.strengths) <= 0:
            yield "strengths", f"must be one or more numbers above 0, not {list(self.strengths)}"

    def files(self) -> Iterable[Path]:
        return self.backbone.files()

    def load(self, concept: str, run: Run) -> Population:
        from composer_fit.fitting import fit  # imports torch and scikit-learn

        return fit(self, concept, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Fit]
