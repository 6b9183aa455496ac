"""Errors and notes in the terminal."""

from __future__ import annotations

from rich.text import Text

from composer.errors import ComposerError, RecipeError, shortened
from composer.text import make_console


def print_error(error: ComposerError | str) -> None:
    """Writes `error: ...` to standard error; each problem of a recipe on a line that begins with its place."""
    console = make_console(error=True)
    prefix = Text("error: ", style="bold red")
    if not isinstance(error, RecipeError):
        console.print(prefix + Text(str(error)), soft_wrap=True)
        return
    count = len(error.problems)
    console.print(prefix + Text(f"the recipe has {count} problem{'s' if count > 1 else ''}"), soft_wrap=True)
    for problem in error.problems:
        where = Text(f"{problem.where}: " if problem.where else "", style="bold")
        rest = ": ".join(part for part in (problem.option, problem.message) if part)
        console.print(where + Text(shortened(rest)), soft_wrap=True)


def print_note(message: str) -> None:
    """Writes `note: ...` to standard error."""
    make_console(error=True).print(Text("note: ", style="yellow") + Text(message), soft_wrap=True)
