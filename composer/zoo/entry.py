"""One concept of a zoo: its folder, its facts in `concept.json`, and its networks. Nothing here imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, ValidationError

from composer.data.expressions import NONE
from composer.data.files import one_line, read_part
from composer.data.records import Record
from composer.errors import ComposerError
from composer.models.folder_files import CONCEPT, CONFIG, WEIGHTS
from composer.networks.architecture import Architecture
from composer.recipes.recipe import why_no_name
from composer.registry import load_registry

if TYPE_CHECKING:
    from composer.data.population import Population
    from composer.models.model_folder import ModelFolder

FILE = CONCEPT
"""What a folder is known for a concept's by."""
FORMAT = 1
"""Of `concept.json`; another is of another version of composer."""
PROBES = "probes.safetensors"
"""A few pictures with and without the concept that it did not learn from."""
RESERVED = ("and", "or", "not", NONE)
"""Words that formulas need for themselves."""
FILL = "fill it with `composer zoo drawings`, `composer learn` or `composer zoo add`"
"""What to do with an empty zoo."""
Kind = Literal["attribute", "object"]


class WrittenRecord(Record):
    """What every concept.json says, of whatever version."""

    format: int
    composer_version: str


class ConceptRecord(WrittenRecord):
    """concept.json."""

    name: str = Field(min_length=1)
    synonyms: list[str] = Field(default=[])
    kind: Kind | None = None
    auc: Annotated[float, Field(ge=0, le=1)] | None = None
    pictures: Annotated[int, Field(ge=0)] | None = None
    source: str = ""
    licence: str = ""


class NamedRecord(Record):
    use: str


class PartRecord(Record):
    concept: str
    architecture: NamedRecord


class ConfigRecord(Record):
    """As much of config.json as is read without torch."""

    parts: list[PartRecord] = Field(min_length=1, max_length=1)


@dataclass(frozen=True)
class Concept:
    """A concept of a zoo: what it is called, how well it is known, and where its networks lie."""

    name: str
    synonyms: tuple[str, ...]
    kind: Kind | None
    """Whether it is said of things, as adjectives do, or is a thing, as nouns are; None where nobody said."""
    folder: Path
    auc: float | None
    """Of the member that people get, on pictures held out from learning; of a run's parent the median over members.
    None where nobody measured it."""
    pictures: int | None
    """By how many held-out pictures the AUC was measured."""
    source: str = ""
    """Where it came from, in words."""
    licence: str = ""
    """Empty where nobody said."""
    version: str = ""
    """Of the composer that wrote it."""

    @property
    def concept(self) -> str:
        """Its name, as parents in memory have one: it can stand for one in `composer.product` and `composer.distil`."""
        return self.name

    def population(self) -> Population:
        """Its networks, all members; ComposerError where they are damaged or their plugin is not installed."""
        return self._home().population()

    def picked(self) -> Population:
        """The one member that people get."""
        home = self._home()
        return home.read(home.member(None)).parts[0]

    @property
    def architecture(self) -> Architecture:
        """Of its networks; no weight is read, and no torch imported."""
        file = self.folder / CONFIG
        again = _again(self.name)
        options = dict(read_part(file, ConfigRecord, again)["parts"][0]["architecture"])
        try:
            found = load_registry().find("architecture", options.pop("use")).model_validate(options)
        except (ComposerError, ValidationError) as error:
            raise ComposerError(f"{file}: {one_line(error)}; install the plugin that offers it, or {again}") from error
        assert isinstance(found, Architecture)
        return found

    def files(self) -> tuple[Path, Path]:
        """What its networks are read from."""
        return self.folder / CONFIG, self.folder / WEIGHTS

    def _home(self) -> ModelFolder:
        from composer.models.model_folder import read_folder  # imports torch

        home = read_folder(self.folder)
        if len(home.parts) != 1 or home.parts[0]["concept"] != self.name:
            raise ComposerError(f"{self.folder / CONFIG}: is not the network of {self.name!r}; {_again(self.name)}")
        return home


def is_concept(folder: Path) -> bool:
    """Whether a folder is that of a concept, be it damaged; any other is somebody's own, and left alone."""
    return folder.is_dir() and any((folder / name).is_file() for name in (FILE, CONFIG))


def read_concept(folder: Path, anywhere: bool = False) -> Concept:
    """The concept that a folder of a zoo holds; ComposerError where it is damaged or of another version.

    anywhere: the folder is in no zoo, and may be called otherwise than the concept.
    """
    again = _again(folder.name)
    for name in (FILE, CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise ComposerError(f"{folder}: damaged: {name} is missing; {again}")
    written = read_part(folder / FILE, WrittenRecord, again)
    if written["format"] != FORMAT:
        by = f"format {written['format']} (composer {written['composer_version']})"
        raise ComposerError(f"{folder / FILE}: is of {by}, and this composer reads format {FORMAT}; {again}")
    facts = ConceptRecord.model_validate(read_part(folder / FILE, ConceptRecord, again))
    if facts.name != folder.name and not anywhere:
        raise ComposerError(
            f"{folder / FILE}: says {facts.name!r}, and the folder is called {folder.name!r}; rename it"
        )
    return Concept(
        facts.name,
        tuple(facts.synonyms),
        facts.kind,
        folder,
        facts.auc,
        facts.pictures,
        facts.source,
        facts.licence,
        facts.composer_version,
    )


def require_replaceable(folder: Path, replace: bool) -> None:
    """Raises ComposerError where a folder of a zoo may not be replaced: it was not asked for, or it is no concept's."""
    if not is_concept(folder):
        raise ComposerError(f"{folder}: is there, and no concept of the zoo; move it away, or give another name")
    if not replace:
        raise ComposerError(
            f"the zoo {folder.parent} has a concept {folder.name!r} already; give another name, or --replace it"
        )


def how_known(concept: Concept | ConceptRecord) -> str:
    """How well a concept is known by itself, in words."""
    if concept.auc is None:
        return "nobody has measured how well it is known"
    return f"AUC {concept.auc:.3f} on {concept.pictures} pictures held out from learning"


def plain_name(text: str) -> str:
    """A name as zoos write it: in small letters, single spaces."""
    return " ".join(text.lower().split())


def as_name(text: str) -> str:
    """The name that a text gives a concept; ComposerError where it is no word of formulas and folders."""
    name = plain_name(text)
    if wrong := why_no_name(name):
        raise ComposerError(f"the name of a concept {wrong}")
    if name in RESERVED:
        raise ComposerError(f"the name of a concept must not be {name!r}, a word that formulas need for themselves")
    return name


def as_synonyms(texts: Sequence[str], name: str) -> tuple[str, ...]:
    """Synonyms as they are kept: each once, and none that is the name; ComposerError where one is no word."""
    return tuple(dict.fromkeys(word for word in map(as_name, texts) if word != name))


def _again(name: str) -> str:
    return f"remove it (composer zoo remove {name!r}) and learn or add it again"
