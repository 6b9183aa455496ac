"""What a word means: one of the concepts of a zoo. Nothing here imports torch.

In this order: its own name; its name in the singular or spelled the other way (`grey`, `gray`); a synonym that it
declares; a colour whose nearest plain colour it is (`colours.py`); a word that means nearly the same (`near_words.py`),
where the extra `words` is installed. The first that fits is taken, and longer spans of words before shorter ones. What
two concepts fit equally well is refused, unless somebody can be asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal, Protocol

from composer import PhraseError, Understood
from composer_english.colours import CLEARLY, FARTHEST, PLAIN, called_also, is_colour, nearest_colours
from composer_english.near_words import APART, SIMILAR, Encode, nearest_meanings

Kind = Literal["attribute", "object"]
Choose = Callable[[str, Sequence[str]], str]
"""Asks somebody which of several is meant by a word."""
LONGEST_COLOUR = 4
"""Words of the longest name of a colour (`light greyish green` has three)."""
NEAREST = 3
"""Concepts that are named where a word is unknown."""
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_IRREGULAR = {
    "children": "child",
    "dice": "die",
    "feet": "foot",
    "geese": "goose",
    "leaves": "leaf",
    "men": "man",
    "mice": "mouse",
    "oxen": "ox",
    "people": "person",
    "teeth": "tooth",
    "women": "woman",
}
_ENDINGS = (("ies", "y"), ("ves", "f"), ("ves", "fe"), ("es", ""), ("s", ""))
_SPELLED = (
    ("aluminium", "aluminum"),
    ("centre", "center"),
    ("coloured", "colored"),
    ("colour", "color"),
    ("fibre", "fiber"),
    ("grey", "gray"),
    ("jewellery", "jewelry"),
    ("moustache", "mustache"),
    ("multicoloured", "multicolored"),
    ("pyjama", "pajama"),
    ("tyre", "tire"),
)
_OTHER = {**dict(_SPELLED), **{american: british for british, american in _SPELLED}}


class Known(Protocol):
    """As much of a concept as words need."""

    @property
    def name(self) -> str: ...
    @property
    def synonyms(self) -> Sequence[str]: ...
    @property
    def kind(self) -> Kind | None: ...


@dataclass(frozen=True)
class Meaning:
    """A span of a phrase's words that means a concept."""

    understood: Understood
    length: int
    """In words."""
    kind: Kind | None
    plural: bool = False
    nearest: bool = False
    """Whether it is a colour that the zoo has not, taken for the nearest."""


class Words:
    """The words by which the concepts of a zoo can be named."""

    def __init__(self, concepts: Iterable[Known], choose: Choose | None = None, encode: Encode | None = None) -> None:
        self.kinds: dict[str, Kind | None] = {}
        self._choose = choose
        self._encode = encode
        self._called: dict[str, tuple[str, ...]] = {}
        self._names: dict[tuple[str, ...], list[str]] = {}
        self._synonyms: dict[tuple[str, ...], list[str]] = {}
        for concept in concepts:
            self.kinds[concept.name] = concept.kind
            self._called[concept.name] = (concept.name, *concept.synonyms)
            self._names.setdefault(words_of(concept.name), []).append(concept.name)
            for synonym in concept.synonyms:
                self._synonyms.setdefault(words_of(synonym), []).append(concept.name)
        self._longest = max(map(len, [*self._names, *self._synonyms]), default=0)

    def named(self, words: Sequence[str]) -> Meaning | None:
        """The concept that the first of the words name, as many of them as can be; None where they name none."""
        for length in range(min(self._longest, len(words)), 0, -1):
            span = tuple(words[:length])
            for concepts, how, plural in self._fitting(span):
                if concepts:
                    return self._meaning(span, concepts, how, plural)
        return None

    def coloured(self, words: Sequence[str]) -> Meaning | None:
        """The concept whose colour is nearest to the one that the first of the words name; None for no colour.

        PhraseError where two are about as near, or where the zoo has not the nearest.
        """
        for length in range(min(LONGEST_COLOUR, len(words)), 0, -1):
            span = tuple(words[:length])
            if is_colour(" ".join(span)):
                return replace(self._meaning(span, *self._nearest_colour(span), plural=False), nearest=True)
        return None

    def near(self, word: str) -> Meaning | None:
        """The concept that a word means nearly; None where that is not clear, or no encoder is there."""
        if self._encode is None or len(self._called) < 2:
            return None
        (best, concept), (second, other) = nearest_meanings(word, self._called, self._encode)[:2]
        if best < SIMILAR or best - second < APART:
            return None
        how = f"near in meaning ({best:.2f}; {other} {second:.2f})"
        return self._meaning((word,), [concept], how, plural=any(singulars(word)))

    def unknown(self, word: str, why: str = "") -> PhraseError:
        """The error for a word that means nothing here, with the concepts that are spelled nearly so."""
        spoken = sorted({" ".join(words) for words in (*self._names, *self._synonyms)})
        close = get_close_matches(word, spoken, NEAREST)
        near = f"nearest in spelling: {', '.join(close)}" if close else "`composer zoo` lists them"
        return PhraseError(
            "unknown",
            f"{word!r} {why or 'is none of the concepts of the zoo'}; {near}. To teach it: "
            f"composer learn {word!r} --yes FOLDER --no FOLDER",
        )

    def _fitting(self, span: tuple[str, ...]) -> Iterator[tuple[list[str], str, bool]]:
        """(concepts, how, whether it is a plural), the best first."""
        for known, what in ((self._names, "its name"), (self._synonyms, "a synonym")):
            yield known.get(span, []), what, False
            yield known.get(_other_spelling(span), []), f"{what}, spelled the other way", False
            ones = [(*span[:-1], one) for one in singulars(span[-1])]
            each = [known.get(spelled, []) for one in ones for spelled in (one, _other_spelling(one))]
            yield list(dict.fromkeys(concept for found in each for concept in found)), f"{what}, in the plural", True

    def _meaning(self, span: tuple[str, ...], concepts: Sequence[str], how: str, plural: bool) -> Meaning:
        word, concept = " ".join(span), concepts[0]
        if len(concepts) > 1:
            if self._choose is None:
                raise PhraseError(
                    "ambiguous", f"{word!r} may mean {' or '.join(concepts)}: say which in its place, or both by 'or'"
                )
            concept, how = self._choose(word, concepts), "chosen"
        return Meaning(Understood(word, concept, how), len(span), self.kinds[concept], plural)

    def _nearest_colour(self, span: tuple[str, ...]) -> tuple[list[str], str]:
        """(concepts, how) of the zoo's colours that may be meant."""
        name = " ".join(span)
        own = [concept for concept, kind in self.kinds.items() if kind != "object"]
        ranked = nearest_colours(name, own)
        for colour in (span[-1:], _other_spelling(span[-1:])) if len(span) > 1 else ():
            if colour[0] in {*PLAIN, *own}:
                return self._owned(name, colour[0], "a shade of it")
        (near, first), (far, second) = ranked[:2]
        if near > FARTHEST:
            raise self.unknown(name, "is a colour that is near to no plain one")
        both = f"CIEDE2000 {near:.1f}; {second} {far:.1f}"
        if far >= CLEARLY * near:
            return self._owned(name, first, f"the nearest colour ({both})")
        if called_also(name, first):
            return self._owned(name, first, f"the nearest colour ({both}; {name} {first} is said)")
        between = [colour for distance, colour in ranked if distance < CLEARLY * near]
        concepts = [concept for colour in between for concept in self._concepts(colour)]
        if len(concepts) < len(between):
            raise self.unknown(name, f"is a colour between {' and '.join(between)}")
        return concepts, "a colour between"

    def _owned(self, name: str, colour: str, how: str) -> tuple[list[str], str]:
        concepts = self._concepts(colour)
        if not concepts:
            raise self.unknown(name, f"is nearest to the colour {colour}, which the zoo has not")
        return concepts, how

    def _concepts(self, colour: str) -> list[str]:
        """The concepts called as a colour; nouns are none."""
        fitting = self._fitting((colour,))
        found = next((concepts for concepts, _, plural in fitting if concepts and not plural), [])
        return [concept for concept in found if self.kinds[concept] != "object"]


def words_of(text: str) -> tuple[str, ...]:
    """The words of a name, in small letters; hyphens part them."""
    return tuple(_WORD.findall(text.lower().replace("’", "'")))


def singulars(word: str) -> Iterator[str]:
    """What a word may be the plural of; what of these is no word does no harm, because only known ones are sought."""
    if word in _IRREGULAR:
        yield _IRREGULAR[word]
    for ending, instead in _ENDINGS:
        if word.endswith(ending) and not word.endswith("ss") and len(word) > len(ending) + 1:
            yield word.removesuffix(ending) + instead


def _other_spelling(words: tuple[str, ...]) -> tuple[str, ...]:
    """British for American and the other way round; the words themselves where both write them so."""
    return tuple(_OTHER.get(word, word) for word in words)
