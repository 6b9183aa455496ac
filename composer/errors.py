"""Errors that people can mend; anything else that is raised is a bug."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

LONGEST = 2000
"""How many letters of a message are shown: names in files and recipes can have millions."""


def shortened(text: str) -> str:
    """The text, or its beginning and how much more there is."""
    if len(text) <= LONGEST:
        return text
    kept = text[: LONGEST - 40]
    return f"{kept} ... ({len(text) - len(kept):,} letters more)"


class ComposerError(Exception):
    """Something the user can mend: shown without a traceback, exit code 2."""

    def __str__(self) -> str:
        return shortened(super().__str__())


class PluginError(Exception):
    """A plugin raised what is no ComposerError (`__cause__`): a bug, and this says in which plugin."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a recipe, and where: `where` is `file:line:col` or a command-line option."""

    where: str
    option: str
    message: str

    def __str__(self) -> str:
        return shortened(": ".join(part for part in (self.where, self.option, self.message) if part))


class RecipeError(ComposerError):
    """All that is wrong with a recipe, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __str__(self) -> str:
        """All problems, each shortened for itself."""
        return "\n".join(str(problem) for problem in self.problems)
