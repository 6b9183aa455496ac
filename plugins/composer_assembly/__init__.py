"""Making a model of the target: out of kernels, or out of the parents themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field

from composer import Assembler, Component, Contract, Run, hook

if TYPE_CHECKING:
    from composer import ComposedModel, KernelSet, Population

Rest = Literal["zeros", "object", "mean"]
REST: Rest = Field(
    "zeros",
    description="where biases, norms and all else that is no kernel come from: `zeros` (biases alone, and there may be "
    "nothing else), the networks of the `object`, or the `mean` over the parents",
)
RECALIBRATE: bool = Field(
    True,
    description="estimate running statistics anew on the parents' own pictures; where no layer normalises, biases that "
    "leave each channel active on half of what it sees. False keeps what `rest` says: the study's zeros",
)


class Transplant(Assembler):
    """Networks with the kernels put in and no head: they give features, not log-odds."""

    name = "transplant"
    contract = Contract(architecture="one", kernels_alone=True)

    rest: Rest = REST
    recalibrate: bool = RECALIBRATE

    @property
    def terms(self) -> Contract:
        contract = replace(self.contract, kernels_alone=self.rest == "zeros")
        return replace(contract, pictures="unlabelled") if self.recalibrate else contract

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer import ComposedModel  # imports torch
        from composer_assembly.transplant import transplant

        body = transplant(_given(kernels), parents, self.rest, self.recalibrate, run)
        return ComposedModel((body,), body.members)


class Product(Assembler):
    """The parents side by side, their probabilities multiplied: a product of experts that keeps every parent whole.

    Each concept can be calibrated first, on what its networks said of pictures that they were not trained on: what
    `train` with `resample` left out of a member's sample, and `fit` in cross-validation. Networks of which that is not
    known are calibrated on their own training pictures, and a warning says so.
    """

    name = "product"
    contract = Contract(
        parents=(2, None),
        reference="Hinton 2002, Training products of experts by minimizing contrastive divergence, equation 1",
    )
    needs_kernels: ClassVar[bool] = False

    calibrate: Literal["none", "temperature", "platt", "isotonic"] = Field(
        "none",
        description="bring the log-odds of each concept to how often its networks are right: by a factor "
        "(`temperature`), a factor and a shift (`platt`), or any rising curve (`isotonic`, from 200 held-out pictures)",
    )
    prior: Literal["kept", "out"] = Field(
        "kept",
        description="`out` takes from each concept's log-odds those of its share among the pictures that it was "
        "learned, or calibrated, on: what is then multiplied says how much more probable a picture makes it",
    )
    dependence: Literal["independent", "minimum", "copula"] = Field(
        "independent",
        description="how the concepts of one picture hang together: not at all; the least probable part of an `and` "
        "decides, and the most probable of an `or` (`minimum`); or as in a Gaussian `copula`, with the rank "
        "correlation of what the parents say of their own pictures",
    )

    @property
    def terms(self) -> Contract:
        if self.calibrate != "none" or self.prior == "out":
            return replace(self.contract, pictures="labelled")
        return replace(self.contract, pictures="unlabelled") if self.dependence == "copula" else self.contract

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_assembly.calibration import calibrated  # imports torch
        from composer_assembly.dependence import dependence_of
        from composer_assembly.product import product

        model = product(parents, run)
        parts = tuple(calibrated(part, self.calibrate, self.prior, run) for part in model.parts)
        return replace(model, parts=parts, dependence=dependence_of(self.dependence, parts, run))


class Refit(Assembler):
    """Networks with the kernels put in and a head fitted in closed form to the product of the parents' log-odds.

    The head is fitted on all parents' own training pictures, without their labels: for each concept a
    ridge regression of the log-odds that its parents give, averaged over members. Its outputs are the
    cells (`black+cat`, `black`, `cat`, `none`), so that the softmax is the product of experts.
    """

    name = "refit"
    contract = Contract(
        parents=(2, None),
        architecture="one",
        pictures="unlabelled",
        kernels_alone=True,
        reference="Hoerl and Kennard 1970 (ridge regression); Golub, Heath and Wahba 1979 (its strength)",
    )

    ridge: float | None = Field(
        None,
        gt=0,
        le=1e6,
        description="strength of the ridge, in units of the features' mean variance times the number of pictures"
        " (default: by generalised cross-validation, for each member)",
    )
    rest: Rest = REST
    recalibrate: bool = RECALIBRATE

    @property
    def terms(self) -> Contract:
        return replace(self.contract, kernels_alone=self.rest == "zeros")

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer import ComposedModel, headed  # imports torch
        from composer_assembly.transplant import transplant

        body = transplant(_given(kernels), parents, self.rest, self.recalibrate, run)
        networks = headed(body, parents, run, self.ridge)
        return ComposedModel((networks,), networks.members)


def _given(kernels: KernelSet | None) -> KernelSet:
    if kernels is None:
        raise ValueError("this assembler needs kernels")
    return kernels


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Transplant, Product, Refit]
