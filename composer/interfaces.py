"""The interfaces that plugins implement: options (a frozen pydantic class) plus one verb.

Nothing here imports torch when it is imported, so that recipes are read and checked quickly.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo

if TYPE_CHECKING:
    from torch import Tensor, nn

    from composer.composed import ComposedModel
    from composer.images import Images
    from composer.kernels import KernelSet
    from composer.population import Population
    from composer.run import Run
    from composer.scores import Report


def _from_root(path: Path, info: ValidationInfo) -> Path:
    root = (info.context or {}).get("root")
    return Path(root) / path if root is not None else path


RecipePath = Annotated[Path, AfterValidator(_from_root)]
"""A path option: relative paths start from the recipe's `root`."""


@dataclass(frozen=True)
class Contract:
    """What a component needs, as data: read by `check`, `describe`, `list-plugins` and the schema."""

    parents: tuple[int, int | None] = (1, None)
    """Fewest and most parents it takes (None: any number)."""
    architecture: Literal["one", "any"] = "any"
    """`one`: all parents must have the same architecture."""
    base: Literal["shared", "any"] = "any"
    """`shared`: all parents must have been trained from the same starting weights."""
    pictures: Literal["none", "unlabelled", "labelled"] = "none"
    """Which of the parents' own training pictures it uses (never the target's)."""
    kernels: bool = False
    """Whether an evaluator looks at the parents' kernels (`run.kernels`)."""
    kernels_alone: bool = False
    """Whether an assembler makes the whole body out of kernels and biases, so that nothing else may be in it."""
    reference: str = ""
    """Paper or equation it implements."""

    def parents_text(self) -> str:
        """`2 or more`, `1 to 3`: how many parents, for people."""
        fewest, most = self.parents
        if most is None:
            return f"{fewest} or more"
        return str(fewest) if fewest == most else f"{fewest} to {most}"


class Component(BaseModel, ABC):
    """Options, checked and frozen, plus one verb. Subclasses of an interface are final.

    The class docstring's first line is what `list-plugins` shows; each option needs a description.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)

    kind: ClassVar[str]
    noun: ClassVar[str]
    """What people call this kind."""
    name: ClassVar[str]
    version: ClassVar[str] = "1"
    """Raise it when the same options start to give another result."""
    contract: ClassVar[Contract] = Contract()

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        """(option, message) for all that can be seen to be wrong before any work; no torch in here."""
        return ()

    def files(self) -> Iterable[Path]:
        """The files whose content decides the result; they are hashed into the stage's key."""
        return ()

    def options(self, *, paths: bool = True) -> dict[str, Any]:
        """The options as a recipe would write them, `use` first; `paths=False` leaves path options out."""
        written: dict[str, Any] = {"use": self.name}
        for field in type(self).model_fields:
            value = getattr(self, field)
            if isinstance(value, Path) and not paths:
                continue
            written[field] = _plain(value)
        return written

    @classmethod
    def summary(cls) -> str:
        """First sentence of the docstring."""
        return (cls.__doc__ or "").strip().split("\n\n")[0].replace("\n", " ").strip()


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        return value.options()
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return json.loads(json.dumps(value))


@dataclass(frozen=True)
class Split:
    """Which pictures to load: those that train one concept, or (`concept=None`) the test pictures.

    oracle: labelled training pictures of the target itself; asked for only where `ImageSource.shows_target`.
    """

    concepts: tuple[str, ...]
    """All concepts of the recipe, attributes first and the object last; their conjunction is the target."""
    concept: str | None = None
    oracle: bool = False

    @property
    def target(self) -> str:
        """All concepts at once: `black+cat`."""
        return "+".join(self.concepts)

    def __str__(self) -> str:
        if self.oracle:
            return f"train.{self.target}"
        return f"train.{self.concept}" if self.concept else "test"


class ImageSource(Component):
    """Where pictures come from."""

    kind: ClassVar[str] = "images"
    noun: ClassVar[str] = "image source"
    shows_target: ClassVar[bool] = False
    """Whether `load` also takes splits with `oracle=True`."""

    def split_problems(self, split: Split) -> Iterable[tuple[str, str]]:
        """(option, message) for all that can be seen to be wrong with one split that a run will load."""
        return ()

    def split_files(self, split: Split) -> Iterable[Path]:
        """The files whose content decides what one split holds."""
        return self.files()

    def decided_by(self, split: Split) -> Mapping[str, Any]:
        """All of a split that decides its pictures, as plain data: splits that agree in it share their pictures."""
        return {"concepts": list(split.concepts), "concept": split.concept, "oracle": split.oracle}

    @abstractmethod
    def load(self, split: Split, run: Run) -> Images:
        """Pictures with labels.

        For a test split: pictures of every cell, labelled with all of `split.concepts`.
        For a training split: pictures labelled with `split.concept`, none of which shows the target.
        For an oracle's: pictures of every cell, labelled with all of `split.concepts`, none of them a test picture.
        """


class Architecture(Component):
    """A family of networks: how to build one, and how to run many with stacked weights."""

    kind: ClassVar[str] = "architecture"
    noun: ClassVar[str] = "architecture"
    head: ClassVar[str]
    """Name of the last linear layer: `{head}.weight` [K, D], `{head}.bias` [K]."""
    mean: ClassVar[tuple[float, float, float]] = (0.5, 0.5, 0.5)
    """What is usually subtracted from pixels in [0, 1], per channel; a file of weights does not say."""
    std: ClassVar[tuple[float, float, float]] = (0.5, 0.5, 0.5)
    """What they are usually divided by then."""

    def unfilled(self) -> str:
        """What of the body kernels and their biases cannot fill, in words; empty where they fill all of it.

        Builds the network without weights; an architecture that knows better answers without torch.
        """
        from composer.models.layers import unfilled  # imports torch

        return unfilled(self)

    @abstractmethod
    def build(self, outputs: int) -> nn.Module:
        """A fresh network with `features(x: [N, 3, S, S]) -> [N, D]` and `forward(x) -> [N, outputs]`."""

    def own_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """A file's tensors under the names that `build` uses, where files call them otherwise."""
        return state

    def usual_name(self, name: str) -> str:
        """What files call the parameter that `build` calls `name`: for messages."""
        return name

    def stacked_features(self, weights: Mapping[str, Tensor], pixels: Tensor) -> Tensor:
        """Features [M, N, D] of M stacked members on [N, 3, S, S] normalised pixels.

        `weights` may lack the head. An architecture may do this faster than one member at a time.
        """
        from composer.stacking import features_one_by_one  # imports torch

        return features_one_by_one(self, weights, pixels)


class ModelSource(Component):
    """Where a concept's population comes from: trained here, or read from files."""

    kind: ClassVar[str] = "models"
    noun: ClassVar[str] = "model source"

    @property
    @abstractmethod
    def network(self) -> Architecture:
        """The architecture of the population, known before any weight is read."""

    @property
    def base(self) -> str | None:
        """What the members were all trained from, or None where each started by itself."""
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


class Evaluator(Component):
    """Judges a composed model on the test pictures."""

    kind: ClassVar[str] = "evaluator"
    noun: ClassVar[str] = "evaluator"

    @abstractmethod
    def evaluate(self, model: ComposedModel, images: Images, run: Run) -> Report:
        """Scores of every member; an empty report where the model cannot be judged this way."""


INTERFACES: tuple[type[Component], ...] = (
    ImageSource,
    Architecture,
    ModelSource,
    KernelExtractor,
    Translator,
    Assembler,
    Evaluator,
)
