"""Controls: compositions that should not work, and cost nothing, to judge the others by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from composer import Assembler, Component, Contract, Run, Translator, hook

if TYPE_CHECKING:
    from composer import ComposedModel, KernelSet, Population


class Random(Translator):
    """Kernels of normal noise with the mean and standard deviation of the parents' kernels, layer by layer."""

    name = "random"
    control: ClassVar[bool] = True
    contract = Contract(parents=(1, None), architecture="one")

    members: int | None = Field(
        None, ge=1, le=100_000, description="how many to make (default: as many as all parents have together)"
    )

    def member_count(self) -> int | None:
        return self.members

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        from composer_controls.kernels import random  # imports torch

        return random(parents, self.members, run)


class Shuffled(Translator):
    """The kernels of every parent's members with all weights of a layer shuffled within it."""

    name = "shuffled"
    control: ClassVar[bool] = True
    contract = Contract(parents=(1, None), architecture="one")

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        from composer_controls.kernels import shuffled  # imports torch

        return shuffled(parents, run)


class Mean(Translator):
    """The plain average of the parents' kernels: first member with first member, second with second."""

    name = "mean"
    control: ClassVar[bool] = True
    contract = Contract(
        parents=(2, None),
        architecture="one",
        reference="Wortsman et al. 2022, arXiv:2203.05482, without the shared starting weights that it needs",
    )

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        from composer_controls.kernels import mean  # imports torch

        return mean(parents, run)


class Around(Translator):
    """The option of controls that change what another translator makes; none of them itself."""

    control: ClassVar[bool] = True

    like: Translator = Field(description="the translator whose result is judged by this; it is computed for it anew")

    @property
    def terms(self) -> Contract:
        return self.like.terms

    @property
    def aligns(self) -> bool:
        return self.align or self.like.aligns

    def member_count(self) -> int | None:
        return self.like.member_count()


class Nearest(Around):
    """In place of each network that another translator makes the parents' member that it is nearest to.

    What this reaches, a translator reaches that copies.
    """

    name = "nearest"
    contract = Contract(parents=(1, None), architecture="one")

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        from composer_controls.kernels import nearest  # imports torch

        return nearest(self.like.translate(parents, run), parents)


class Noise(Around):
    """The parents' member nearest to each network that another translator makes, plus noise as large as the change.

    What this reaches, the direction of the change has not earned.
    """

    name = "noise"
    contract = Contract(parents=(1, None), architecture="one")

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        from composer_controls.kernels import noise  # imports torch

        return noise(self.like.translate(parents, run), parents, run)


class Parents(Assembler):
    """Each parent alone: its log-odds of one concept are taken for the target's, or minus these where it says not."""

    name = "parents"
    control: ClassVar[bool] = True
    contract = Contract(parents=(1, 1))
    needs_kernels: ClassVar[bool] = False

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer import ComposedModel  # imports torch

        (parent,) = parents
        return ComposedModel((parent,), parent.members)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Random, Shuffled, Mean, Nearest, Noise, Parents]
