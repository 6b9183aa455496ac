"""Merging networks in weight space: one network of one parent's size out of several of one architecture."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field

from composer import Assembler, Component, ComposerError, Contract, RecipePath, Run, hook

if TYPE_CHECKING:
    from composer import ComposedModel, Images, KernelSet, Population


RECALIBRATE = Field(
    None,
    description="estimate the running statistics of batch norm anew on the parents' pictures; left out: where there "
    "are some, with a warning where there are none",
)

HEAD = Field(
    None,
    description="where the head comes from: `fit`, fitted to what the parents say of their pictures, or `mean`; "
    "left out: `mean` where all parents' outputs mean the same",
)
WIDTH = Field(
    1.0,
    ge=1,
    le=2,
    description="how many times as many units as a parent each layer has; above 1 for architectures that have a width",
)
RIDGE = Field(
    1e-3,
    gt=0,
    le=1e3,
    description="how strongly least squares pulls towards the weights that were mixed, in units of the inputs' mean "
    "square",
)


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
    head: Literal["fit", "mean"] | None = HEAD
    recalibrate: bool | None = RECALIBRATE

    @property
    def terms(self) -> Contract:
        uses = self.by == "activations" or self.head != "mean" or self.recalibrate is not False
        return self.contract if uses else replace(self.contract, pictures="none")

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_merging import aligned, merging  # import torch

        merging.require_alike(self.name, parents)
        return merging.merge(
            self,
            parents,
            lambda with_head: aligned.aligned_mean(self, parents, with_head, run),
            run,
            unfit_head=merging.other_meaning(parents),
            head=self.head,
            recalibrate=self.recalibrate,
        )


class Reducing(Assembler):
    """The options of all ways of making the units of two networks those of one; none of them itself."""

    needs_kernels: ClassVar[bool] = False

    pictures: int = Field(512, ge=2, le=1_000_000, description="most pictures that units are watched on")
    head: Literal["fit", "mean"] | None = HEAD
    recalibrate: bool | None = RECALIBRATE


def _of_two(reference: str) -> Contract:
    return Contract(parents=(2, 2), architecture="one", pictures="unlabelled", reference=reference)


class Zipit(Reducing):
    """Two networks zipped into one: the units that answer alike become one, be they of two networks or of one.

    Greedily, the two units whose answers to the parents' pictures correlate best become their mean, until as many are
    left as the width allows. With width 2 both networks are kept side by side.
    """

    name = "zipit"
    contract = _of_two(
        "Stoica et al. 2024, ZipIt! Merging models from different tasks without training, arXiv:2305.03053"
    )

    width: float = WIDTH
    within: float = Field(
        0.125,
        ge=0,
        le=1,
        description="of the units that have to go, the share that may be zipped with one of their own network",
    )
    repeat: float = Field(
        0.3,
        gt=0,
        le=1,
        description="what the correlations of a zipped unit are multiplied by before it is zipped again",
    )

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_merging.reducing import reduce  # imports torch

        return reduce(self, parents, run)


class Pleas(Reducing):
    """Two networks of which units that answer alike are matched, and then each layer is fitted: PLeaS.

    The pairs with the highest sum of correlations become their mean; a share of both networks' units is kept apart
    where there is width for it. Then each layer is fitted by least squares to the mean of what both parents' layers
    give, on what the merged network's layers before it make of the pictures.
    """

    name = "pleas"
    contract = _of_two(
        "Nasery et al. 2024, PLeaS: merging models with permutations and least squares, arXiv:2407.02447"
    )

    width: float = WIDTH
    ridge: float = RIDGE

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_merging.reducing import reduce  # imports torch

        return reduce(self, parents, run)


class ChannelChoice(Reducing):
    """Two networks side by side of which those units are kept out of which the others can be told best.

    They are chosen one after the other by regression, weighted by the next layers' weights. Then each layer is fitted
    by least squares to what its units gave, on what the layers before it make of the pictures. No unit is averaged.
    """

    name = "channel_choice"
    contract = _of_two(
        "no paper: forward selection as in Cotter et al. 1999, Forward sequential algorithms for best basis selection"
    )

    width: float = WIDTH
    ridge: float = RIDGE

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_merging.reducing import reduce  # imports torch

        return reduce(self, parents, run)


class LearnedChoice(Reducing):
    """As `channel_choice`, but units are chosen by a scorer that learned from many other pairs which to keep.

    It learns from a `zoo` of the recipe, or before, by `composer_merging.learn_scorer`, which writes a file. It sees
    what is known of each unit beside the others, in whatever order they come, and serves any width. `choice: random`
    is its control.
    """

    name = "learned_choice"
    contract = _of_two(
        "ours; Bertinetto et al. 2019, Meta-learning with differentiable closed-form solvers, arXiv:1805.08136 (least "
        "squares in the loss); Zaheer et al. 2017, Deep Sets, arXiv:1703.06114 (units in any order)"
    )

    width: float = WIDTH
    ridge: float = RIDGE
    choice: Literal["scorer", "random"] = Field(
        "scorer", description="who chooses: the `scorer` of the file, or, to see what its choice is worth, chance"
    )
    scorer: RecipePath | None = Field(None, description="file that `learn_scorer` made, of other concepts than these")
    zoo: tuple[str, ...] = Field(
        (),
        description="or pairs of other concepts to learn from, `[white+dog, red+fish]`: networks of them are trained "
        "as the recipe's are, and the scorer that learns from them serves every recipe with the same zoo and pictures",
    )

    def learns_from(self) -> Sequence[tuple[str, ...]]:
        return [tuple(pair.split("+")) for pair in self.zoo] if self.choice == "scorer" else []

    def learn(self, zoo: Sequence[Sequence[Population]], run: Run) -> Mapping[str, Any]:
        from composer_merging.learning import learn  # imports torch

        pictures = iter(run.pictures)
        return learn(Learning(), [(parents, [next(pictures) for _ in parents]) for parents in zoo], run).plain()

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        for pair in self.zoo:
            if len(set(pair.split("+"))) != 2:
                yield "zoo", f"a pair of two concepts is written as white+dog, not as {pair!r}"
        if self.scorer is not None and self.zoo:
            yield "zoo", "the scorer of the file has learned already; leave one of `zoo` and `scorer` out"
        elif self.choice == "scorer" and self.scorer is None and not self.zoo:
            yield (
                "zoo",
                "say pairs of other concepts to learn from, such as [white+dog, red+fish], or the file of a `scorer`",
            )
        elif self.scorer is not None and not self.scorer.is_file():
            yield "scorer", f"there is no file {self.scorer}"

    def files(self) -> Iterable[Path]:
        return [] if self.scorer is None else [self.scorer]

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        for option, message in self.problems(()):
            raise ComposerError(f"{self.name}: {option}: {message}")
        from composer_merging.reducing import reduce  # imports torch

        return reduce(self, parents, run)


@dataclass(frozen=True)
class Learning:
    """How a scorer learns: steps of Adam, networks in each, and the networks and pictures of each pair."""

    steps: int = 60
    learning_rate: float = 0.001
    networks: int = 2
    members: int = 2
    pictures: int = 192
    hidden: int = 32
    ridge: float = 1e-3


def learn_scorer(
    pairs: Sequence[tuple[Sequence[Population], Sequence[Images]]],
    file: Path,
    options: Learning | None = None,
    run: Run | None = None,
) -> None:
    """Writes the file of a scorer for `learned_choice` that has learned from pairs of parents and their own pictures.

    Leave out of `pairs` whatever it is to be used on. ComposerError for networks that are not `cnn`.
    """
    from composer_merging.learning import learn  # imports torch

    learn(options or Learning(), pairs, run or Run()).save(file)


class OptimalTransport(Reducing):
    """The mean of networks whose units were carried to those of the first at the least cost: OTFusion by activations.

    The cost is the squared distance of answers to the parents' pictures. As all networks have as many units and each
    unit counts the same, the cheapest plan is a permutation, and SciPy's assignment finds it. So it differs from
    `aligned_mean` with `by: activations` in that loud units count for more.
    """

    name = "optimal_transport"
    contract = Contract(
        parents=(2, None),
        architecture="one",
        pictures="unlabelled",
        reference="Singh and Jaggi 2020, Model fusion via optimal transport, arXiv:1910.05653",
    )

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_merging.reducing import reduce  # imports torch

        return reduce(self, parents, run)


class FromBase(Assembler):
    """The options of all ways of merging networks that were fine-tuned from one base; none of them itself."""

    needs_kernels: ClassVar[bool] = False

    base: RecipePath | None = Field(
        None, description="file with the weights that all parents were fine-tuned from, of the parents' architecture"
    )
    weights: tuple[float, ...] | None = Field(
        None, description="how much the change of each parent counts, in the parents' order; left out: 1 each"
    )
    head: Literal["fit", "merge"] | None = Field(
        None,
        description="where the head comes from: `fit`, fitted to what the parents say of their pictures, or `merge`, "
        "put together as the rest is; left out: `merge` where all parents' outputs mean the same and the base has them",
    )
    recalibrate: bool | None = RECALIBRATE

    @property
    def terms(self) -> Contract:
        uses = self.head != "merge" or self.recalibrate is not False
        return self.contract if uses else replace(self.contract, pictures="none")

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if self.base is None:
            yield (
                "base",
                "say the file of the weights that all parents were fine-tuned from: their changes from it are what is "
                "put together; networks without such a base are merged by 'aligned_mean'",
            )
        elif not self.base.is_file():
            yield "base", f"there is no file {self.base}"

    def files(self) -> Iterable[Path]:
        return [] if self.base is None else [self.base]


def _reference(own: str) -> Contract:
    return Contract(parents=(1, None), architecture="one", pictures="unlabelled", reference=own)


class TaskArithmetic(FromBase):
    """The base plus the sum of what fine-tuning changed in each parent: task arithmetic.

    With scale 0 it is the base, and one parent with scale 1 is that parent. A negative weight takes away what a parent
    has learned.
    """

    name = "task_arithmetic"
    contract = _reference("Ilharco et al. 2023, Editing models with task arithmetic, arXiv:2212.04089")

    scale: float = Field(
        0.4, ge=-10, le=10, description="what the sum of the changes is multiplied by; 0.4 is the paper's usual choice"
    )

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_merging.task_vectors import from_base  # imports torch

        return from_base(self, parents, run)


class Ties(FromBase):
    """The base plus the mean of the parents' largest changes that agree in sign: TIES.

    Of each parent's changes the smallest are left out (trim); for every number the sign is that of the changes' sum
    (elect); the changes of that sign are averaged (disjoint merge).
    """

    name = "ties"
    contract = _reference("Yadav et al. 2023, TIES-merging: resolving interference, arXiv:2306.01708")

    scale: float = Field(1.0, ge=-10, le=10, description="what the mean of the changes is multiplied by")
    weights: tuple[Annotated[float, Field(gt=0)], ...] | None = Field(
        None, description="how much the change of each parent counts, in the parents' order; left out: 1 each"
    )
    keep: float = Field(0.2, gt=0, le=1, description="share of each parent's changes, the largest, that is kept")
    trim: Literal["network", "tensor"] = Field(
        "network", description="the largest changes of the whole `network`, as in the paper, or of every `tensor`"
    )

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_merging.task_vectors import from_base  # imports torch

        return from_base(self, parents, run)


class Dare(FromBase):
    """The base plus the sum of the parents' changes, most of which are dropped at random: DARE.

    What is kept is divided by the share that is kept, so that the sum stays what it is on average.
    """

    name = "dare"
    contract = _reference("Yu et al. 2024, Language models are super Mario, arXiv:2311.03099")

    scale: float = Field(0.4, ge=-10, le=10, description="what the sum of the changes is multiplied by")
    keep: float = Field(0.5, gt=0, le=1, description="share of each parent's changes that is kept, drawn by the seed")

    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        from composer_merging.task_vectors import from_base  # imports torch

        return from_base(self, parents, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [AlignedMean, Zipit, Pleas, ChannelChoice, LearnedChoice, OptimalTransport, TaskArithmetic, Ties, Dare]
