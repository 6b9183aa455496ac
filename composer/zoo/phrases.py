"""Phrases: what people ask for in words, as a formula of a zoo's concepts. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from composer.data.expressions import MOST_CONCEPTS, Expression
from composer.errors import ComposerError
from composer.recipes.target import always, never
from composer.zoo.entry import FILL
from composer.zoo.grammar import formula_of
from composer.zoo.items import items_of
from composer.zoo.near_words import usual_encoder
from composer.zoo.words import Choose, PhraseError, Understood, Words, words_of

if TYPE_CHECKING:
    from composer.zoo.zoo import Zoo

__all__ = ["PhraseError", "Understanding", "understand", "understand_in"]


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
        return understand(phrase, Words(zoo.concepts, choose, usual_encoder()))
    except PhraseError:
        said = words_of(phrase)
        for name, why in zoo.damaged.items():
            if set(words_of(name)) <= set(said):
                raise ComposerError(why) from None
        raise


def understand(phrase: str, words: Words) -> Understanding:
    """What a phrase asks for; PhraseError where it is nothing, or more than one thing."""
    items = items_of(phrase, words)
    notes: list[str] = []
    expression = formula_of(items, phrase, notes)
    if len(expression.concepts) > MOST_CONCEPTS:
        most = f"names {len(expression.concepts)} concepts; {MOST_CONCEPTS} are the most"
        raise PhraseError("grammar", f"{phrase!r} {most}")
    if expression.is_certain:
        text = expression.text
        raise PhraseError("contradiction", always(text) if any(expression.cells()) else never(text))
    meant = [item.meaning.understood for item in items if item.meaning is not None]
    return Understanding(expression, tuple(dict.fromkeys(meant)), tuple(dict.fromkeys(notes)))
