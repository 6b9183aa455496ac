"""Phrases: what people ask for in words, as a formula of a zoo's concepts; plugins read the languages.

Nothing here imports torch.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from composer.data.expressions import MOST_CONCEPTS, Expression
from composer.errors import ComposerError
from composer.recipes.target import always, never
from composer.registry import load_registry
from composer.zoo.entry import FILL

if TYPE_CHECKING:
    from composer.zoo.zoo import Zoo

Refusal = Literal["empty", "grammar", "unknown", "ambiguous", "contradiction"]
Choose = Callable[[str, Sequence[str]], str]
"""Asks somebody which of several concepts is meant by a word."""


class PhraseError(ComposerError):
    """A phrase of which nothing is made; `refusal` says of which sort the reason is."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


@dataclass(frozen=True)
class Understood:
    """What one word, or several that belong together, were taken for."""

    word: str
    concept: str
    how: str
    """`its name`, `its name, in the plural`, `a synonym`, `the nearest colour (...)`."""

    def __str__(self) -> str:
        return f"{self.word}: {self.concept}, {self.how}"


@dataclass(frozen=True)
class Understanding:
    """What a phrase was taken for."""

    expression: Expression
    words: tuple[Understood, ...]
    notes: tuple[str, ...] = ()
    """Where it could have been taken for something else."""

    def __str__(self) -> str:
        """A line for each word, one for the formula, and the notes."""
        lines = [str(word) for word in self.words]
        return "\n".join([*lines, f"formula: {self.expression.text}", *(f"note: {note}" for note in self.notes)])


def understand_in(zoo: Zoo, phrase: str, choose: Choose | None = None) -> Understanding:
    """What a phrase asks for of a zoo's concepts; ComposerError where the zoo has none, or it names a damaged one."""
    if not len(zoo):
        raise ComposerError(f"the zoo {zoo.folder} is empty; {FILL}")
    try:
        found = load_registry().hook.composer_understand(phrase=phrase, concepts=zoo.concepts, choose=choose)
    except PhraseError:
        said = _words(phrase)
        for name, why in zoo.damaged.items():
            if _words(name) <= said:
                raise ComposerError(why) from None
        raise
    if found is None:
        raise ComposerError(f"{phrase!r} is no formula, and no plugin that is installed reads phrases in its language")
    return shown_by_pictures(found, phrase)


def shown_by_pictures(found: Understanding, phrase: str) -> Understanding:
    """What a phrase was taken for; PhraseError where it names too much, or no picture or every one shows it."""
    expression = found.expression
    if len(expression.concepts) > MOST_CONCEPTS:
        most = f"names {len(expression.concepts)} concepts; {MOST_CONCEPTS} are the most"
        raise PhraseError("grammar", f"{phrase!r} {most}")
    if expression.is_certain:
        text = expression.text
        raise PhraseError("contradiction", always(text) if any(expression.cells()) else never(text))
    return found


def _words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", text.lower()))
