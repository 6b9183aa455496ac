"""The zoo: a folder of concepts, each a folder of its own. Nothing here imports torch when it is imported."""

from __future__ import annotations

import dataclasses
import os
import sys
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from composer.data.expressions import Expression
from composer.errors import ComposerError
from composer.interfaces import ModelSource
from composer.recipes.target import formula_problems
from composer.registry import load_registry, nearest
from composer.zoo.entry import (
    FILL,
    Concept,
    Kind,
    as_name,
    as_synonyms,
    is_concept,
    plain_name,
    read_concept,
    require_replaceable,
)

if TYPE_CHECKING:
    from composer.data.population import Population
    from composer.models.loading import LoadedModel
    from composer.zoo.writing import Entry

__all__ = ["Concept", "Zoo", "default_zoo"]

VARIABLE = "COMPOSER_ZOO"
"""The environment variable that names the zoo."""
MOST_NAMED = 3
"""Concepts that are named where an unknown one was asked for."""


def default_zoo() -> Path:
    """Where the zoo is unless the user says otherwise: COMPOSER_ZOO, else `composer/zoo` in the data folder."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "composer" / "zoo"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "composer" / "Zoo"
    home = os.environ.get("XDG_DATA_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".local" / "share") / "composer" / "zoo"


class Zoo:
    """Concepts by name, read from a folder; one that does not exist yet is an empty zoo.

    folder: default COMPOSER_ZOO, else `composer/zoo` in the user's data folder.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        self.folder = default_zoo() if folder is None else Path(folder)
        if os.path.lexists(self.folder) and not self.folder.is_dir():
            raise ComposerError(
                f"{self.folder}: is no folder, and a zoo is one; name a folder (--zoo, or the environment variable "
                f"{VARIABLE})"
            )

    def __getitem__(self, name: str) -> Concept:
        """The concept of that name; ComposerError where there is none, or where it is damaged."""
        plain = plain_name(name)
        if plain in self.damaged:
            raise ComposerError(self.damaged[plain])
        if plain not in self._read:
            raise ComposerError(f"the zoo {self.folder} has no concept {name!r}{self._near(plain)}")
        return self._read[plain]

    def __iter__(self) -> Iterator[str]:
        """The names of all concepts that are whole, sorted."""
        return iter(self._read)

    def __len__(self) -> int:
        return len(self._read)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and plain_name(name) in self._read

    @property
    def concepts(self) -> tuple[Concept, ...]:
        """All concepts that are whole, by name."""
        return tuple(self._read.values())

    def require_free(self, name: str, replace: bool = False) -> str:
        """The name as it is kept; ComposerError where it is no word, or taken and not to be replaced."""
        plain = as_name(name)
        if os.path.lexists(self.folder / plain):
            require_replaceable(self.folder / plain, replace)
        return plain

    def add(
        self,
        name: str,
        model: Population | ModelSource | str | Path,
        *,
        synonyms: Sequence[str] = (),
        kind: Kind | None = None,
        source: str = "",
        licence: str = "",
        replace: bool = False,
    ) -> Concept:
        """Keeps a model that knows a concept, whole or not at all.

        model: a run's folder or a model's (of whose networks the one is taken that is called as the concept), a model
        source such as `Checkpoints(pattern="cat.pth")`, or a population.
        kind: `attribute` or `object`. source, licence: where it came from, in words.
        ComposerError where the name is taken and `replace` is not said, where the model does not know the concept or
        gives no log-odds, and where the folder cannot be written.
        """
        from composer.zoo.adding import entry_of  # imports torch

        plain = self.require_free(name, replace)
        return self.put(entry_of(model, plain, source), synonyms, kind, licence, replace)

    def learn(
        self,
        name: str,
        yes: str | Path,
        no: str | Path,
        *,
        models: ModelSource | None = None,
        architecture: str | None = None,
        synonyms: Sequence[str] = (),
        kind: Kind | None = None,
        licence: str = "",
        seed: int = 0,
        device: str = "cpu",
        replace: bool = False,
    ) -> Concept:
        """Learns a concept from two folders of pictures, those that show it and those that do not.

        A fifth of the pictures is held out to say how well it is known.
        models: what learns it; left out, a head on a pretrained body where one is installed and no `architecture` is
        named, else a few small networks of that architecture (`cnn`). Warnings are shown as Python shows them.
        ComposerError where there are too few pictures, or some lie in both folders; else as for `add`.
        """
        from composer.zoo.learning import Lesson, usual_source  # imports torch
        from composer.zoo.writing import prepare

        plain = self.require_free(name, replace)
        prepare(self.folder)
        lesson = Lesson(models or usual_source(architecture, load_registry()), seed, device)
        entry = lesson.learn_folders(plain, Path(yes), Path(no))
        for warning in lesson.warnings:
            warnings.warn(warning, stacklevel=2)
        return self.put(entry, synonyms, kind, licence, replace)

    def put(
        self,
        entry: Entry,
        synonyms: Sequence[str] = (),
        kind: Kind | None = None,
        licence: str = "",
        replace: bool = False,
    ) -> Concept:
        """Keeps what was learned or read; of its own synonyms those that mean no other concept here already.

        synonyms: in place of its own. ComposerError where one means another concept, or the name is taken.
        """
        from composer.zoo.writing import put  # imports torch

        words = as_synonyms(synonyms or entry.synonyms, entry.name)
        others = {
            word: one.name for one in self.concepts if one.name != entry.name for word in (one.name, *one.synonyms)
        }
        if taken := [word for word in words if word in others and synonyms]:
            raise ComposerError(f"synonym {taken[0]!r}: it means the zoo's concept {others[taken[0]]!r} already")
        words = tuple(word for word in words if word not in others)
        whole = dataclasses.replace(entry, synonyms=words, kind=kind or entry.kind, licence=licence or entry.licence)
        put(self.folder, whole, replace)
        self.refresh()
        return self[entry.name]

    def remove(self, name: str) -> None:
        """Removes a concept, also one that is damaged; ComposerError where there is none."""
        from composer.zoo.writing import take_away  # imports torch

        plain = name if name in self.damaged else plain_name(name)
        if plain not in self.damaged:
            _ = self[plain]
        take_away(self.folder, plain)
        self.refresh()

    def refresh(self) -> None:
        """Reads the folder anew when it is next asked: others may have written there."""
        self.__dict__.pop("_found", None)

    def product(self, *names: str) -> LoadedModel:
        """The concepts of these names all at once, as `composer.load` gives such a model."""
        return self.compose(Expression.all_of(names))

    def compose(self, target: str | Expression) -> LoadedModel:
        """A formula of the zoo's concepts, or a phrase (`"small black cats"`), as `composer.load` gives such a model.

        `composer.models.exporting.export(model, folder, "safetensors")` writes it. ComposerError where the text is
        neither, can be read in two ways, or names what the zoo does not have.
        """
        from composer.data.composed import side_by_side  # imports torch
        from composer.models.in_memory import in_no_folder
        from composer.models.loading import LoadedModel

        asked = self._asked(target)
        model = side_by_side([self[concept].picked() for concept in asked.concepts]).answering(asked)
        return LoadedModel(model, in_no_folder(f"composer.Zoo.compose({asked.text!r})", "product", model))

    def _asked(self, target: str | Expression) -> Expression:
        """A formula of concepts that are here; of a text that is none what it asks for as a phrase."""
        text, known = target if isinstance(target, str) else target.text, {*self, *self.damaged}
        try:
            formula: Expression | None = Expression.parse(text)
        except ValueError:
            formula = None
        if formula is None or not known.issuperset(formula.concepts):
            from composer.zoo.phrases import understand_in  # only phrases need words and grammar

            return understand_in(self, text).expression
        if problems := list(formula_problems(text, list(known), f"the zoo {self.folder}")):
            raise ComposerError(f"target: {'; '.join(problems)}")
        return formula

    @property
    def damaged(self) -> Mapping[str, str]:
        """Name of the folder of each concept that cannot be used -> why, and what to do."""
        return self._found[1]

    @property
    def _read(self) -> Mapping[str, Concept]:
        return self._found[0]

    @cached_property
    def _found(self) -> tuple[dict[str, Concept], dict[str, str]]:
        whole: dict[str, Concept] = {}
        damaged: dict[str, str] = {}
        for folder in self._folders():
            try:
                whole[folder.name] = read_concept(folder)
            except ComposerError as error:
                damaged[folder.name] = str(error)
        return whole, damaged

    def _folders(self) -> list[Path]:
        """One for each concept; other folders, and what is being written, are left alone."""
        if not self.folder.is_dir():
            return []
        try:
            there = sorted(self.folder.iterdir())
        except OSError as error:
            raise ComposerError(f"the zoo {self.folder} cannot be read: {error.strerror or error}") from None
        return [folder for folder in there if is_concept(folder) and not folder.name.startswith(".")]

    def _near(self, name: str) -> str:
        if not self._read:
            return f"; it is empty: {FILL}"
        return nearest(name, list(self._read), MOST_NAMED)
