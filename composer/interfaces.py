"""The interfaces that plugins implement: options (a frozen pydantic class) plus one verb.

Nothing here imports torch when it is imported, so that recipes are read and checked quickly.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from composer.component import Component, Contract
from composer.data.expressions import Expression, cell_concepts, cell_names
from composer.data.score_info import ScoreInfo
from composer.networks.architecture import Architecture

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from composer.data.composed import ComposedModel
    from composer.data.images import Images
    from composer.data.kernels import KernelSet
    from composer.data.population import Population
    from composer.data.run import Run
    from composer.data.scores import Report

    Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Split:
    """Which pictures to load: those that train one concept, or (`concept=None`) the test pictures.

    labelled: training pictures of every cell with the labels of all concepts, asked for only where
    `ImageSource.shows_target`: an oracle's. formula: the target; left out, all concepts at once.
    """

    concepts: tuple[str, ...]
    """All concepts of the recipe, attributes first and the object last."""
    concept: str | None = None
    labelled: bool = False
    formula: Expression | None = None

    @property
    def target(self) -> Expression:
        """What the recipe asks for."""
        return Expression.all_of(self.concepts) if self.formula is None else self.formula

    @property
    def kept_apart(self) -> tuple[tuple[str, ...], ...]:
        """Groups of concepts; no training picture shows all the concepts of a group at once.

        These are the smallest groups of two or more that some cell of the target shows, each in the recipe's order. Of
        a target that needs no two at once (`cat and not black`) it is the concepts that it names, all together: what
        nobody has seen is then what the target has to be told from.
        """
        named = [concept for concept in self.concepts if concept in self.target.concepts]
        if self.formula is None or len(named) < 2:
            return (self.concepts,)
        cells = [cell_concepts(cell) for cell in cell_names(named)]
        shown = [cell for cell, true in zip(cells, self.target.cells(named), strict=True) if true and len(cell) > 1]
        return tuple(cell for cell in shown if not any(set(other) < set(cell) for other in shown)) or (tuple(named),)

    @property
    def held_out(self) -> Expression:
        """What no training picture shows: all concepts of a group that is `kept_apart`; by default the target."""
        return reduce(Expression.__or__, map(Expression.all_of, self.kept_apart))

    @property
    def shown(self) -> tuple[str, ...]:
        """The concepts that its pictures are labelled with."""
        return self.concepts if self.concept is None else (self.concept,)

    def __str__(self) -> str:
        if self.labelled:
            return f"train.{self.target}"
        return f"train.{self.concept}" if self.concept else "test"


class ImageSource(Component):
    """Where pictures come from."""

    kind: ClassVar[str] = "images"
    noun: ClassVar[str] = "image source"
    shows_target: ClassVar[bool] = False
    """Whether `load` also takes splits with `labelled=True`."""

    def possible(self, shown: Sequence[str]) -> bool:
        """Whether one picture can show all of these concepts at once; no drawing is black and white."""
        return True

    def vocabulary(self) -> Mapping[str, Literal["attribute", "object"]]:
        """Every concept that it can show, and of which kind it is; empty where that is the user's to know."""
        return {}

    def split_problems(self, split: Split) -> Iterable[tuple[str, str]]:
        """(option, message) for all that can be seen to be wrong with one split that a run will load."""
        return ()

    def split_notes(self, split: Split) -> Iterable[str]:
        """Sentences on one split that is no error and may yet mislead; said before any picture is looked at."""
        return ()

    def targets(self) -> Sequence[tuple[str, ...]]:
        """The (attribute, object) pairs that a benchmark can hold out in turn; none where it is not for it to say."""
        return ()

    def split_files(self, split: Split) -> Iterable[Path]:
        """The files whose content decides what one split holds."""
        return self.files()

    def picture_count(self, split: Split) -> tuple[str, int] | None:
        """(option that decides it, how many pictures a split will hold at most), for estimates of memory.

        None where nobody knows before they are read; no torch in here.
        """
        return None

    def decided_by(self, split: Split) -> Mapping[str, Any]:
        """All of a split that decides its pictures, as plain data: splits that agree in it share their pictures."""
        usual = {"concepts": list(split.concepts), "concept": split.concept, "labelled": split.labelled}
        return usual if split.kept_apart == (split.concepts,) else {**usual, "held_out": split.held_out.text}

    @abstractmethod
    def load(self, split: Split, run: Run) -> Images:
        """Pictures with labels.

        For a test split: pictures of every cell that is possible, labelled with all of `split.concepts`.
        For a training split: pictures labelled with `split.concept`, none of which shows what is `held_out`.
        For a labelled split: pictures of every cell, with the labels of a test split's, and none of these.
        """


class ModelSource(Component):
    """Where a concept's population comes from: trained here, or read from files."""

    kind: ClassVar[str] = "models"
    noun: ClassVar[str] = "model source"

    @property
    @abstractmethod
    def network(self) -> Architecture:
        """The architecture of the population, known before any weight is read."""

    def member_count(self) -> int | None:
        """How many members there will be, where the option `members` says so: for estimates of memory."""
        return None

    def memory(self) -> Iterable[tuple[str, int, str]]:
        """(option, bytes held at once, what they are) of its own work, as far as it is known; no torch in here."""
        return ()

    def fewest_pictures(self) -> tuple[str, int] | None:
        """(option, how many training pictures it takes at least) where an option asks for some; no torch in here."""
        return None

    def class_names(self) -> Sequence[str] | None:
        """Names of the network's outputs in their order, or None where they are not known; no torch in here."""
        return None

    def class_groups(self) -> Mapping[str, Sequence[int]]:
        """Names for several outputs at once (`cat`: all breeds of cats); no torch in here."""
        return {}

    @abstractmethod
    def load(self, concept: str, run: Run) -> Population:
        """A population that knows `concept`; `run.pictures[0]` holds its training pictures if the contract asks."""

    def groups(self) -> Sequence[range]:
        """Members that `load_group` can load apart from the others; each group is then a stage. None: all at once.

        A fixed property of the options: no member depends on which group it is in, or on who works it.
        """
        return ()

    def load_group(self, concept: str, members: range, run: Run) -> Population:
        """Those members of the population that `load` gives."""
        return self.load(concept, run).select(members)

    def load_body(self, concept: str, run: Run) -> Population:
        """The same for its features alone, as `fit` needs it: a source of files then reads those without a head too."""
        return self.load(concept, run)


class KernelExtractor(Component):
    """Which weights of a population are its kernels."""

    kind: ClassVar[str] = "extractor"
    noun: ClassVar[str] = "kernel extractor"

    @abstractmethod
    def extract(self, population: Population, run: Run) -> KernelSet:
        """The kernels of every member: layer -> [M, O, I, kH, kW], members named as in the population."""


class Translator(Component):
    """Makes new kernels out of the parents'."""

    kind: ClassVar[str] = "translator"
    noun: ClassVar[str] = "translator"
    control: ClassVar[bool] = False
    """True: made to be compared with, not to compose; `composer bench` lists it so."""

    align: bool = Field(
        False,
        description="put the units of all parents' networks in one order first, that of the first parent's first "
        "member, and give them one scale where ReLU allows it; no network's outputs change by that",
    )

    @property
    def terms(self) -> Contract:
        """The contract, as far as the options change it: aligned networks are of one architecture."""
        return replace(self.contract, architecture="one") if self.aligns else self.contract

    @property
    def aligns(self) -> bool:
        """Whether it is given aligned kernels; a translator around another asks that one too."""
        return self.align

    def member_count(self) -> int | None:
        """How many members it will make, where the option `members` says so: for estimates of memory."""
        return None

    @abstractmethod
    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        """New kernels with the parents' layers and shapes; any number of members, each named."""


class Assembler(Component):
    """Makes a model out of kernels, or out of the parents themselves."""

    kind: ClassVar[str] = "assembler"
    noun: ClassVar[str] = "assembler"
    control: ClassVar[bool] = False
    """True: made to be compared with, not to compose; `composer bench` lists it so."""
    needs_kernels: ClassVar[bool] = True
    """False: works on the parents alone, and a composition that uses it has no translator."""

    @abstractmethod
    def assemble(self, kernels: KernelSet | None, parents: Sequence[Population], run: Run) -> ComposedModel:
        """A model of the target; `kernels` is None exactly where `needs_kernels` is False."""

    def learns_from(self) -> Sequence[tuple[str, ...]]:
        """Groups of other concepts: networks that know them are trained as the recipe's are, and given to `learn`."""
        return ()

    def learn(self, zoo: Sequence[Sequence[Population]], run: Run) -> Mapping[str, Any]:
        """What the networks of each group teach, as JSON can hold it; `assemble` finds it in `run.learned`.

        `run.pictures` holds each network's own pictures, group after group. It is computed once, and kept for all
        recipes whose groups, pictures and options are the same.
        """
        raise NotImplementedError(f"{self.name} learns from nothing")


class Criterion(Component):
    """Says without labels which member of a composition is worth most: that member is the one that people get."""

    kind: ClassVar[str] = "criterion"
    noun: ClassVar[str] = "criterion"
    picked_by: ClassVar[str]
    """What it goes by, as reports say it: `agreement with the other members`."""

    @abstractmethod
    def values(self, log_odds: Floats | None, features: Sequence[Tensor], run: Run) -> Floats:
        """What each member is worth, float64 [M]; the member with the highest is picked.

        log_odds: of the target on the test pictures, float64 [M, N]; None for a composition that gives none.
        features: of each member, float32 [N, D], computed when they are asked for.
        Members that tell no two pictures apart, or whose numbers are not finite, are not among the M.
        """


class Evaluator(Component):
    """Judges a composed model on the test pictures; which member is picked is not its business (`Criterion`)."""

    kind: ClassVar[str] = "evaluator"
    noun: ClassVar[str] = "evaluator"
    scores: ClassVar[tuple[ScoreInfo, ...]] = ()
    """What tables, comparisons and choices need to know of its scores; a score that is not declared has no column
    beside declared ones, and is compared only where no score is declared."""

    @abstractmethod
    def evaluate(self, model: ComposedModel, images: Images, run: Run) -> Report:
        """Scores of every member; an empty report where the model cannot be judged this way.

        Replicates and figures are of the member `run.picked`, which is always among those that are judged.
        """


INTERFACES: tuple[type[Component], ...] = (
    ImageSource,
    Architecture,
    ModelSource,
    KernelExtractor,
    Translator,
    Assembler,
    Criterion,
    Evaluator,
)
