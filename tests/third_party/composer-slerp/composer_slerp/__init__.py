"""The translator `slerp`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from composer import Component, Contract, Run, Translator, hook
from pydantic import Field

if TYPE_CHECKING:
    from composer import KernelSet


class Slerp(Translator):
    """Kernels on the great circle between those of two parents, with lengths between theirs.

    A plain mean of two directions is shorter than either; kernels between them on the sphere keep their strength.
    Members are paired, first with first; those without a partner are left out, with a warning.
    """

    name = "slerp"
    contract = Contract(parents=(2, 2), architecture="one", reference="Shoemake 1985, doi:10.1145/325165.325242")

    position: float = Field(0.5, ge=0, le=1, description="place on the way: 0 is the first parent, 1 the second")
    per: Literal["filter", "layer"] = Field("filter", description="what is turned as one vector")

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        from composer_slerp.spherical import translate  # imports torch

        return translate(parents, self.position, self.per, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Slerp]
