"""The study's method: kernels of one concept redrawn in the style of another's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from composer import Component, ComposerError, Contract, Run, Translator, hook

if TYPE_CHECKING:
    from composer import KernelSet


class CycleGAN(Translator):
    """Redraws kernels of one concept in the style of another's, one pair of generators per layer.

    For every attribute a CycleGAN is trained between its kernels and the object's, layer by layer. The
    result holds the object's kernels after the generators of all attributes in turn ("<member> A"), then
    each attribute's kernels translated to the object's domain ("<member> B").

    With `space: pca` the members of each parent are points in the space of their own principal components, all layers
    together, and one pair of generators takes points of one space to points of the other.
    """

    name = "cyclegan"
    contract = Contract(
        parents=(2, None),
        architecture="one",
        reference="Zhu et al. 2017, arXiv:1703.10593; Mao et al. 2017, arXiv:1611.04076; spectral norm: Miyato et al. "
        "2018, arXiv:1802.05957",
    )

    epochs: int = Field(
        200, ge=1, le=100_000, description="passes over the larger of the two populations; the smaller is repeated"
    )
    batch: int = Field(10, ge=1, le=100_000, description="most members of each population in one step")
    learning_rate: float = Field(2e-4, gt=0, le=1, description="step size of Adam (betas 0.5 and 0.999)")
    cycle_weight: float = Field(
        10.0,
        ge=0,
        le=1e6,
        description="weight of the cycle loss (mean absolute difference), relative to the adversarial loss",
    )
    identity_weight: float = Field(
        0.0, ge=0, le=1e6, description="weight of the identity loss: a generator should leave its own domain alone"
    )
    spectral_norm: bool = Field(
        False, description="divide each convolution of the discriminators by its largest singular value"
    )
    hidden: int = Field(64, ge=1, le=1024, description="channels between the two convolutions of a network")
    space: Literal["kernels", "pca"] = Field(
        "kernels",
        description="what generators see: a layer's `kernels`, or, of all layers at once, the member's place along the "
        "principal components of its population; the latter is always scaled as `scale: unit` does",
    )
    scale: Literal["none", "unit"] = Field(
        "none",
        description="unit: divide each layer's kernels by their largest absolute weight over all parents, so that Tanh"
        " can reach them, and multiply back",
    )

    share: bool = Field(
        False,
        description="one pair of generators for all layers whose kernels have one shape, as those of a deep network's "
        "stage, instead of one pair per layer",
    )

    @property
    def side(self) -> int:
        """Of the networks' convolutions: places along components have no neighbours."""
        return 1 if self.space == "pca" else 3

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if self.share and self.space == "pca":
            yield "share", "with `space: pca` all layers are translated at once, and there is nothing to share"

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        for option, message in self.problems(()):
            raise ComposerError(f"cyclegan: {option}: {message}")
        if self.space == "pca":
            from composer_cyclegan.components import translate_places  # imports torch

            return translate_places(self, parents, run)
        from composer_cyclegan.translation import translate  # imports torch

        return translate(self, parents, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [CycleGAN]
