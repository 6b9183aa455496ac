"""Translators of rising strength: a linear map, optimal transport, a flow, and one that is taught what to compute."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from composer import Component, Contract, Run, Translator, hook

if TYPE_CHECKING:
    from composer import KernelSet

ALIGN = Field(
    True,
    description="put the units of all parents' networks in one order first, that of the first parent's first member, "
    "and give them one scale where ReLU allows it; no network's outputs change by that",
)


class Ridge(Translator):
    """What a member looks like in the other domain, by a ridge regression between members in pairs.

    Member i of one parent goes with member i of the other. Each is predicted from all pairs but its own, so that no
    result is a copy of its partner: the object's members first, then each attribute's.
    """

    name = "ridge"
    contract = Contract(parents=(2, None), architecture="one", reference="Hoerl and Kennard 1970 (ridge regression)")

    align: bool = ALIGN
    strength: float = Field(1.0, gt=0, le=1e6, description="of the ridge, in units of the members' mean variance")

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        from composer_translation.maps import ridge  # imports torch

        return ridge(self, parents, run)


class Transport(Translator):
    """Each member moved towards the members of the other parent that optimal transport takes it to.

    No pairs are needed: of equal numbers it is the best assignment by squared distance, of others the barycentric map
    of an entropic plan (Sinkhorn). The object's members first, then each attribute's.
    """

    name = "transport"
    contract = Contract(
        parents=(2, None),
        architecture="one",
        reference="McCann 1997, A convexity principle for interacting gases (the way between); Cuturi 2013, "
        "arXiv:1306.0895 (entropic plan)",
    )

    align: bool = ALIGN
    share: float = Field(0.5, gt=0, le=1, description="how far each goes on its way; 1 arrives in the other domain")

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        from composer_translation.maps import transport  # imports torch

        return transport(self, parents, run)


class Flow(Translator):
    """Kernels drawn from noise by a flow that learned both parents' members, under both conditions at once.

    Flow matching along straight lines by a plain network in the space of the members' principal components; the
    condition says which parent a member is of, and is their mean when kernels are drawn.
    """

    name = "flow"
    contract = Contract(
        parents=(2, None),
        architecture="one",
        reference="DeepWeightFlow 2026, arXiv:2601.05052; Lipman et al. 2023, arXiv:2210.02747 (flow matching)",
    )

    align: bool = ALIGN
    steps: int = Field(1000, ge=1, le=1_000_000, description="steps of the optimiser, Adam")
    learning_rate: float = Field(1e-3, gt=0, le=1, description="its step size")
    hidden: int = Field(128, ge=1, le=4096, description="width of the two hidden layers")
    members: int | None = Field(
        None, ge=1, le=100_000, description="how many to draw (default: as many as the smallest parent has)"
    )

    def member_count(self) -> int | None:
        return self.members

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        from composer_translation.flow import flow  # imports torch

        return flow(self, parents, run)


class Taught(Translator):
    """A generator that learned, on some members, to make networks whose features tell what the parents tell.

    It starts from the mean of a member of each parent. In training, a ridge regression on the features of what it makes
    is fitted, in closed form, to the log-odds that the parents give for their own pictures; its error on pictures that
    it was not fitted to is what the generator lowers. It is then applied, in one pass, to members that it never saw,
    which are all that it gives.
    """

    name = "taught"
    contract = Contract(
        parents=(2, None),
        architecture="one",
        pictures="unlabelled",
        populations=True,
        reference="Bertinetto et al. 2019, Meta-learning with differentiable closed-form solvers, arXiv:1805.08136 "
        "(the head in the loss)",
    )

    align: bool = ALIGN
    steps: int = Field(400, ge=1, le=1_000_000, description="steps of the optimiser")
    networks: int = Field(2, ge=1, le=64, description="networks that are made and judged in a step")
    pictures: int = Field(384, ge=8, le=100_000, description="pictures of a step; the head is fitted to two thirds")
    learning_rate: float = Field(3e-3, gt=0, le=1, description="first step size of Adam; it falls to 0 as a cosine")
    ridge: float = Field(0.1, gt=0, le=1e6, description="strength of the ridge, in units of the features' variance")
    hidden: int = Field(64, ge=1, le=4096, description="width of the generator's hidden layer")
    held_out: float = Field(
        0.34, gt=0, lt=1, description="share of each parent's members that training never sees; at least one of two"
    )
    members: int = Field(6, ge=1, le=100_000, description="most networks to make out of the members held out")
    mixed: float = Field(0.3, ge=0, lt=1, description="share of the pictures that are two of the parents' in one")
    condition: Literal["members", "shuffled", "mean"] = Field(
        "members",
        description="what it is applied to: the `members` held out; or, to see what these are worth, these `shuffled`, "
        "each layer's weights in an order of their own, or the `mean` of the training members",
    )

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        from composer_translation.taught import translate  # imports torch

        return translate(self, parents, run)


def warn_of_failures(kernels: KernelSet, who: str, run: Run) -> None:
    """Names, for any translator, what it made that is dead or all the same. ComposerError for what is not finite."""
    from composer_translation import members  # imports torch

    members.warn_of_failures(kernels, who, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Ridge, Transport, Flow, Taught]
