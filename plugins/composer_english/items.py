"""The words of a phrase, each with the part it plays: what grammar says about it, and which concept it means."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Literal

from composer import Expression, PhraseError
from composer_english.colours import is_colour
from composer_english.words import Meaning, Words

Sort = Literal[
    "attribute", "object", "article", "and", "or", "comma", "but", "not", "with", "without", "that", "both", "(", ")"
]
_GRAMMAR: dict[str, tuple[Sort, ...]] = {
    **dict.fromkeys(("a", "an", "the", "some", "any", "all", "every", "each", "these", "those"), ("article",)),
    **dict.fromkeys(("and", "&", "+", "as well as", "plus"), ("and",)),
    **dict.fromkeys(("or", "/", "nor", "and / or"), ("or",)),
    **dict.fromkeys((",", ";"), ("comma",)),
    **dict.fromkeys(("but", "yet"), ("but",)),
    **dict.fromkeys(("not", "no", "non", "neither", "never"), ("not",)),
    "with": ("with",),
    **dict.fromkeys(("without", "except", "except for", "excluding", "other than", "apart from"), ("without",)),
    **dict.fromkeys(("anything but", "everything but", "all but"), ("without",)),
    **dict.fromkeys((f"{who}{be}" for who in ("", "that ", "which ", "who ") for be in ("is", "are")), ("that",)),
    **dict.fromkeys(
        (f"{who}{be}n't" for who in ("", "that ", "which ", "who ") for be in ("is", "are")), ("that", "not")
    ),
    **dict.fromkeys((f"{who}{have}" for who in ("", "that ", "which ", "who ") for have in ("has", "have")), ("with",)),
    **dict.fromkeys(("that", "which", "who", "that's"), ("that",)),
    **dict.fromkeys(("thing", "things", "object", "objects", "one", "ones"), ()),
    **dict.fromkeys(("anything", "everything", "something", "coloured", "colored", "either", "of", "showing"), ()),
    **dict.fromkeys(("image", "images", "photo", "photos", "photograph", "photographs", "picture", "pictures"), ()),
    "both": ("both",),
    "(": ("(",),
    ")": (")",),
}
"""What the words of grammar are, some nothing: they say nothing of a picture. Those of several have spaces."""
LONGEST_PHRASE = 500
"""Letters."""
_LONGEST = 3
"""Words of the longest entry of `_GRAMMAR`."""
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)?|[,;/&+()]|[\s_.!?\"-]+|.", re.DOTALL)


@dataclass(frozen=True)
class Item:
    """A word of a phrase, or several that belong together."""

    text: str
    sort: Sort
    meaning: Meaning | None = None
    bracketed: Expression | None = None
    """What stands between brackets, of which all are one item."""

    @property
    def plural(self) -> bool:
        return self.meaning is not None and self.meaning.plural

    @property
    def means(self) -> Expression:
        """The formula of its concept, or of its brackets."""
        if self.bracketed is not None:
            return self.bracketed
        assert self.meaning is not None, self.text
        return Expression.of(self.meaning.understood.concept)


def items_of(phrase: str, words: Words) -> list[Item]:
    """The phrase's words; PhraseError that names all of them that mean nothing, or for a phrase that says nothing."""
    if len(phrase) > LONGEST_PHRASE:
        raise PhraseError("grammar", f"the phrase has {len(phrase):,} letters; {LONGEST_PHRASE} are the most")
    tokens = _tokens(phrase)
    items: list[Item] = []
    unknown: list[PhraseError] = []
    at = 0
    while at < len(tokens):
        try:
            found, length = _item(tokens[at:], words)
        except PhraseError as error:
            unknown.append(error)
            found, length = [], 1
        at += length
        if items and items[-1].sort != "(" and any(item.sort == "both" for item in found):
            continue  # it says nothing but at the beginning: of adjectives both are always meant
        items += found
    if unknown:
        raise PhraseError(unknown[0].refusal, "\n".join(map(str, unknown)))
    if not any(item.meaning is not None for item in items):
        said = f"{phrase!r} names no concept" if phrase.strip() else "the phrase is empty"
        raise PhraseError("empty", f"{said}; say what pictures should show, such as 'small black cat'")
    found = _kinds(items)
    for index, item in enumerate(found):
        if item.text in ("a", "an") and (thing := _thing(found[index + 1 :])):
            raise words.unknown(thing, "is a colour, and stands here like a thing")
    return found


def _thing(items: Sequence[Item]) -> str:
    """The colour that ends the words behind `a` without a noun, as in `a rose`; empty where there is none."""
    row = list(takewhile(lambda item: item.meaning is not None, items))
    last = row[-1].meaning if row else None
    alone = last is not None and last.nearest and all(item.sort == "attribute" for item in row)
    goes_on = len(items) > len(row) and items[len(row)].sort in ("and", "or", "comma", "but")
    return row[-1].text if alone and not goes_on else ""


def _tokens(phrase: str) -> list[str]:
    text = phrase.lower().replace("’", "'")
    found = [token for token in _TOKEN.findall(text) if token.strip(' \t\r\n_.!?"-')]
    for token in found:
        if not re.fullmatch(r"[^\W_]+(?:'[^\W_]+)?|[,;/&+()]", token):
            raise PhraseError("grammar", f"{phrase!r} has {token!r}, which is no part of a phrase; leave it out")
    return found


def _item(tokens: Sequence[str], words: Words) -> tuple[list[Item], int]:
    """(what the first tokens are, how many they are)."""
    if meaning := words.named(tokens):
        return [_meant(meaning)], meaning.length
    for length in range(min(_LONGEST, len(tokens)), 0, -1):
        text = " ".join(tokens[:length])
        if text in _GRAMMAR:
            return [Item(text, sort) for sort in _GRAMMAR[text]], length
    if meaning := words.coloured(tokens) or words.near(tokens[0]):
        return [_meant(meaning)], meaning.length
    raise words.unknown(tokens[0])


def _meant(meaning: Meaning) -> Item:
    return Item(meaning.understood.word, meaning.kind or "attribute", meaning)


def _kinds(items: Sequence[Item]) -> list[Item]:
    """The items, those of unknown kind guessed: objects where they are plurals, or end a row of words."""
    found = list(items)
    for index, item in enumerate(items):
        if item.meaning is None or item.meaning.kind is not None or is_colour(item.text):
            continue
        before = items[index - 1].meaning if index else None
        after = items[index + 1].meaning if index + 1 < len(items) else None
        if item.plural or (before is not None and after is None):
            found[index] = replace(item, sort="object")
    return found
