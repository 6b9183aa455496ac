"""A handful of labelled pictures of the target: the parents' heads, moved as far as the labels pay for it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from composer import Assembler, Component, Contract, RecipePath, Run, hook
from composer_few import layout

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from composer import ComposedModel, Images, KernelSet, Population

REFERENCE = (
    "Li, Grandvalet and Davoine 2018, arXiv:1802.01483 (the prior about the starting point); Rasmussen and Williams "
    "2006, algorithm 3.1 (the fit); Opper and Winther 2000 (leave-one-out in closed form); Zhou, Bousquet, Lal, Weston "
    "and Schoelkopf 2004 (label spreading)"
)
FOLDER: RecipePath = Field(
    description="folder with pictures that show the target in `yes`, and some that do not in `no`; none of them may be "
    "a test picture"
)
MOST: int | None = Field(
    None,
    ge=0,
    le=10_000,
    description="pictures taken of `yes`, and of `no`, at random; 0 makes the product, null takes all that are there",
)
UNLABELLED: RecipePath | None = Field(
    None,
    description="folder of pictures like those to be told, whatever they show: what labels and parents say flows "
    "between pictures that look alike (label spreading), and heads are moved by that too where leave-one-out says that "
    "it helps; none of them may be a test picture",
)
UNLABELLED_MOST: int = Field(500, ge=1, le=5000, description="pictures taken of `unlabelled`, at random")
NEIGHBOURS: int = Field(
    7, ge=1, le=1000, description="with `unlabelled`: how many that look most like it a picture is joined to"
)
ALPHA: float = Field(
    0.2,
    gt=0,
    lt=1,
    description="with `unlabelled`: how much a picture takes from its neighbours; the rest stays what its label or the "
    "parents say",
)


class FewShot(Assembler):
    """The product of the parents, its heads moved by a handful of labelled pictures of the target.

    What each parent says of its concept is changed by a linear function of its own features: a step of its head. Under
    a normal prior about the parents' own heads the most probable step is found, and how wide that prior is by leaving
    out one picture after another. Heads move only where that is clearly better than the parents as they are, so that
    without labels, and with labels that teach nothing, this is `product`.
    """

    name = "few_shot"
    contract = Contract(parents=(2, None), reference=REFERENCE)
    needs_kernels: ClassVar[bool] = False

    folder: RecipePath = FOLDER
    most: int | None = MOST
    unlabelled: RecipePath | None = UNLABELLED
    unlabelled_most: int = UNLABELLED_MOST
    neighbours: int = NEIGHBOURS
    alpha: float = ALPHA

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        return layout.problems(self)

    def files(self) -> Iterable[Path]:
        return layout.files(self)

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_few.assembling import few_shot  # imports torch

        return few_shot(self, parents, run)


class FewAlone(Assembler):
    """The same labelled pictures without what the parents say: heads fitted from nothing to the features of bodies."""

    name = "few_alone"
    control: ClassVar[bool] = True
    contract = Contract(parents=(2, None), reference=REFERENCE)
    needs_kernels: ClassVar[bool] = False

    folder: RecipePath = FOLDER
    most: int | None = MOST
    unlabelled: RecipePath | None = UNLABELLED
    unlabelled_most: int = UNLABELLED_MOST
    neighbours: int = NEIGHBOURS
    alpha: float = ALPHA
    bodies: Literal["parents", "untrained"] = Field(
        "parents", description="whose features: those of the `parents`' own bodies, or of `untrained` ones"
    )

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        return layout.problems(self)

    def files(self) -> Iterable[Path]:
        return layout.files(self)

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_few.assembling import few_alone  # imports torch

        return few_alone(self, parents, run)


def handful(who: str, folder: Path, most: int | None, rng: np.random.Generator) -> tuple[Images, NDArray[np.bool_]]:
    """The labelled pictures taken of a folder, and which show the target, for other components that learn from any."""
    from composer_few import reading  # imports torch

    return reading.handful(who, folder, most, rng)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [FewShot, FewAlone]
