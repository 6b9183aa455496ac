"""Errors that people can mend; anything else that is raised is a bug."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class ComposerError(Exception):
    """Something the user can mend: shown without a traceback, exit code 2."""


class PluginError(Exception):
    """A plugin raised what is no ComposerError (`__cause__`): a bug, and this says in which plugin."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong with a recipe, and where: `where` is `file:line:col` or a command-line option."""

    where: str
    option: str
    message: str

    def __str__(self) -> str:
        return ": ".join(part for part in (self.where, self.option, self.message) if part)


class RecipeError(ComposerError):
    """All that is wrong with a recipe, at once."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))
