"""What every component is: options (a frozen pydantic class), a contract, and one verb.

Nothing here imports torch, so that recipes are read and checked quickly.
"""

from __future__ import annotations

import json
from abc import ABC
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationInfo


def _from_root(path: Path, info: ValidationInfo) -> Path:
    root = (info.context or {}).get("root")
    whole = Path(root) / path if root is not None else path
    try:
        whole.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):
        pass  # whoever reads it says what it lacks
    except OSError as error:  # a name that no disk takes, a folder without rights: `is_dir` and `is_file` raise these
        raise ValueError(f"{whole} cannot be reached: {error.strerror}") from None
    return whole


RecipePath = Annotated[Path, AfterValidator(_from_root)]
"""A path option: relative paths start from the recipe's `root`."""


@dataclass(frozen=True)
class Contract:
    """What a component needs, as data: read by `check`, `describe`, `list-plugins` and the schema."""

    parents: tuple[int, int | None] = (1, None)
    """Fewest and most parents it takes (None: any number)."""
    architecture: Literal["one", "any"] = "any"
    """`one`: all parents must have the same architecture."""
    pictures: Literal["none", "unlabelled", "labelled"] = "none"
    """Which of the parents' own training pictures it uses (never the target's)."""
    kernels: bool = False
    """Whether an evaluator looks at the parents' kernels (`run.kernels`)."""
    populations: bool = False
    """Whether a translator or an evaluator looks at the parents themselves (`run.parents`)."""
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

    def __hash__(self) -> int:
        return hash((type(self), json.dumps(self.options(), sort_keys=True)))

    @property
    def terms(self) -> Contract:
        """The contract, as far as the options change what its class says."""
        return self.contract

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
