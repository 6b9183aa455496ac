"""The zoo: a folder of concepts, each a folder of its own. Nothing here imports torch when it is imported."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

from composer.errors import ComposerError
from composer.registry import nearest
from composer.zoo.entry import Concept, plain_name, read_concept

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
        """One for each concept; what is being written is hidden."""
        if not self.folder.is_dir():
            return []
        try:
            there = sorted(self.folder.iterdir())
        except OSError as error:
            raise ComposerError(f"the zoo {self.folder} cannot be read: {error.strerror or error}") from None
        return [folder for folder in there if folder.is_dir() and not folder.name.startswith(".")]

    def _near(self, name: str) -> str:
        if not self._read:
            return "; it is empty: fill it with `composer zoo drawings`, `composer learn` or `composer zoo add`"
        return nearest(name, list(self._read), MOST_NAMED)
