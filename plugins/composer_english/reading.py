"""From a phrase to what it was taken for: its words, then its grammar."""

from __future__ import annotations

from composer import Understanding
from composer_english.grammar import formula_of
from composer_english.items import items_of
from composer_english.words import Words


def understand(phrase: str, words: Words) -> Understanding:
    """What a phrase asks for; PhraseError where it is nothing, or more than one thing."""
    items = items_of(phrase, words)
    notes: list[str] = []
    expression = formula_of(items, phrase, notes)
    meant = [item.meaning.understood for item in items if item.meaning is not None]
    return Understanding(expression, tuple(dict.fromkeys(meant)), tuple(dict.fromkeys(notes)))
