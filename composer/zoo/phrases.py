"""Phrases: what people ask for in words, as a formula of a zoo's concepts. Nothing here imports torch."""

from __future__ import annotations

from dataclasses import dataclass

from composer.data.expressions import MOST_CONCEPTS, Expression
from composer.recipes.target import always, never
from composer.zoo.grammar import formula_of
from composer.zoo.items import items_of
from composer.zoo.words import PhraseError, Understood, Words

__all__ = ["PhraseError", "Understanding", "understand"]


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
