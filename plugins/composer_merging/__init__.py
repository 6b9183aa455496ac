"""Merging networks in weight space: one network of one parent's size out of several of one architecture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from composer import Assembler, Component, Contract, Run, hook

if TYPE_CHECKING:
    from composer import ComposedModel, KernelSet, Population


class AlignedMean(Assembler):
    """The mean of the parents' weights after their units were put in the same order: Git Re-Basin.

    The units of all parents but the first change places, which leaves each parent's outputs as they are, such that
    they agree best with those of the first. Members go together one by one, as in `product`.
    """

    name = "aligned_mean"
    contract = Contract(
        parents=(2, None),
        architecture="one",
        pictures="unlabelled",
        reference="Ainsworth, Hayase and Srinivasa 2023, arXiv:2209.04836; running statistics anew as in Jordan et al. "
        "2023, arXiv:2211.08403",
    )
    needs_kernels: ClassVar[bool] = False

    by: Literal["weights", "activations", "nothing"] = Field(
        "weights",
        description="what has to agree: the `weights`, or the `activations` on the parents' pictures; `nothing` leaves "
        "all units where they are, for comparison",
    )
    sweeps: int = Field(100, ge=1, le=10_000, description="most passes over all layers of the matching of weights")
    pictures: int = Field(512, ge=2, le=1_000_000, description="most pictures that activations are compared on")
    head: Literal["fit", "mean"] | None = Field(
        None,
        description="where the head comes from: `fit`, fitted to what the parents say of their pictures, or `mean`; "
        "left out: `mean` where all parents' outputs mean the same",
    )
    recalibrate: bool | None = Field(
        None,
        description="estimate the running statistics of batch norm anew on the parents' pictures; left out: where "
        "there are some, with a warning where there are none",
    )

    @property
    def terms(self) -> Contract:
        uses = self.by == "activations" or self.head != "mean" or self.recalibrate is not False
        return self.contract if uses else replace(self.contract, pictures="none")

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_merging.merging import merge  # imports torch

        return merge(self, parents, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [AlignedMean]
