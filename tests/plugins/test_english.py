"""Phrases over a zoo: sixty that were written down before the code, and what of them is refused."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from composer import Expression, PhraseError, Understanding
from composer.zoo.phrases import shown_by_pictures
from composer_drawings.factors import FACTORS
from composer_english.joining import spelled_out
from composer_english.reading import understand
from composer_english.words import Words, singulars
from drawn_words import Entry, drawn, listed

RIGHT = 57
"""Of the sixty, at least."""


def read(phrase: str, words: Words | None = None) -> Understanding:
    return shown_by_pictures(understand(phrase, words or drawn()), phrase)


def refusal(phrase: str, words: Words | None = None) -> PhraseError:
    with pytest.raises(PhraseError) as caught:
        read(phrase, words)
    return caught.value


def true_of_the_same(one: Expression, other: Expression) -> bool:
    concepts = (one & other).concepts
    return one.cells(concepts) == other.cells(concepts)


def is_right(entry: dict[str, str]) -> bool:
    """Whether a phrase of the list is understood as the list says; one that is wrong fails at once."""
    try:
        found = read(entry["phrase"])
    except PhraseError as error:
        return entry.get("refused") == error.refusal
    assert "formula" in entry, f"{entry['phrase']!r} should be refused, and is {found.expression.text}"
    wanted = Expression.parse(entry["formula"])
    assert true_of_the_same(found.expression, wanted), f"{entry['phrase']!r} is wrongly {found.expression.text}"
    return True


def test_nearly_all_phrases_of_the_list_are_understood_and_none_wrongly() -> None:
    entries = listed()["phrases"]
    missed = [entry["phrase"] for entry in entries if not is_right(entry)]
    assert len(entries) == 60
    assert len(entries) - len(missed) >= RIGHT, f"not understood: {missed}"


def test_the_list_is_about_all_that_can_be_drawn() -> None:
    named = [name for concepts in listed()["concepts"].values() for name in concepts]
    assert sorted(named) == sorted(value for values in FACTORS.values() for value in values)


def test_every_word_is_said_with_how_it_was_understood() -> None:
    assert str(read("tiny gray kittens but not crimson")).splitlines() == [
        "tiny: small, a synonym",
        "gray: grey, its name, spelled the other way",
        "kittens: cat, a synonym, in the plural",
        "crimson: red, the nearest colour (CIEDE2000 11.7; brown 23.9)",
        "formula: small and grey and cat and not red",
    ]


@pytest.mark.parametrize("text", ["small black cats", "cats and dogs", "black or white cats"])
def test_a_phrase_needs_no_concept_to_have_a_kind_where_plurals_tell(text: str) -> None:
    assert read(text, drawn(kinds=False)).expression == read(text).expression


def formulas(count: int) -> list[Expression]:
    """Formulas of all shapes, always the same ones."""
    draw = random.Random(7)

    def one(depth: int) -> Expression:
        if depth == 0 or draw.random() < 0.25:
            return Expression.of(draw.choice(["black", "white", "striped", "small", "cat", "dog", "bird"]))
        kind = draw.random()
        if kind < 0.25:
            return ~one(depth - 1)
        first, second = one(depth - 1), one(depth - 1)
        return first & second if kind < 0.65 else first | second

    return [formula for formula in (one(3) for _ in range(count)) if not formula.is_certain]


def test_a_formula_is_read_as_it_is_or_refused_as_unclear() -> None:
    words, unclear = drawn(), []
    for formula in formulas(500):
        for text in (spelled_out(formula), formula.text):
            found = read_or_refused(text, words)
            if isinstance(found, PhraseError):
                unclear.append((text == formula.text, text, found))
            else:
                assert true_of_the_same(found, formula), f"{text} is read as {found.text}"
    for without_brackets, text, error in unclear:
        assert error.refusal == "ambiguous", text
        assert without_brackets or "two things" in str(error) or "two nouns" in str(error), text
    assert len(unclear) < 300


def read_or_refused(text: str, words: Words) -> Expression | PhraseError:
    try:
        return read(text, words).expression
    except PhraseError as error:
        return error


@pytest.mark.parametrize(
    ("phrase", "readings"),
    [
        ("black cats and dogs", ["black and (cat or dog)", "(black and cat) or dog"]),
        ("cats that are not black and white", ["(not black) and white", "not (black and white)"]),
        ("small, black or white cat", ["small or black or white", "small and (black or white)"]),
        ("not a cat or a dog", ["(not cat) or dog", "not (cat or dog)"]),
        ("black cat or white", ["(black and cat) or white", "(black and cat) or (white and cat)"]),
        ("cats or dogs and not black", ["(cat or dog) and (not black)", "cat or (dog and (not black))"]),
    ],
)
def test_what_can_be_read_in_two_ways_is_refused_with_both(phrase: str, readings: list[str]) -> None:
    error = refusal(phrase)
    assert error.refusal == "ambiguous"
    for reading in readings:
        assert reading in str(error)
        assert true_of_the_same(read(reading).expression, Expression.parse(reading)), "what is offered is a phrase too"


def test_two_things_may_be_asked_for_in_plain_words() -> None:
    assert "'both' before them" in str(refusal("a cat and a dog"))
    assert read("both a cat and a dog").expression.text == "cat and dog"
    assert read("a cat with a dog").expression.text == "cat and dog"
    assert read("cats and dogs").notes == ("'and' between plurals, so pictures of either: cat or dog",)


def test_two_nouns_beside_each_other_are_refused() -> None:
    assert "has two nouns beside each other, cat and dog" in str(refusal("black cat dog"))


@pytest.mark.parametrize(
    ("phrase", "note"),
    [
        ("small black or white cat", "read together: black or white"),
        ("black and white cats", "'black' and 'white' are read as colours of one thing"),
    ],
)
def test_what_could_be_meant_otherwise_is_noted(phrase: str, note: str) -> None:
    assert note in str(read(phrase)).splitlines()[-1]


@pytest.mark.parametrize(
    ("phrase", "formula"),
    [
        ("neither cats nor dogs", "not (cat or dog)"),
        ("all but small cats", "not (small and cat)"),
        ("dogs with stripes and cats", "dog and striped or cat"),
        ("cats that are both black and small", "cat and black and small"),
        ("cats, dogs and birds", "cat or dog or bird"),
        ("something red that is not a car", "red and not car"),
        ("dark blue or light green cars", "(blue or green) and car"),
        ("((black) or (white)) cat", "(black or white) and cat"),
        ("cats with no stripes", "cat and not striped"),
        ("non-striped and small fish", "not striped and small and fish"),
        ("black cat except striped ones", "black and cat and not striped"),
        ("a small-black cat!", "small and black and cat"),
    ],
)
def test_more_phrases(phrase: str, formula: str) -> None:
    assert read(phrase).expression == Expression.parse(formula)


def test_repeated_words_are_meant_once() -> None:
    assert read("black cats that are black").expression.text == "black and cat"


def test_an_unknown_word_is_refused_with_what_is_near_and_how_to_teach_it() -> None:
    said = str(refusal("purple catt"))
    assert "'catt' is none of the concepts of the zoo; nearest in spelling: cat" in said
    assert "composer learn 'catt' --yes FOLDER --no FOLDER" in said
    assert refusal("zebra and elephant").refusal == "unknown"
    assert {"'zebra'", "'elephant'"} <= set(str(refusal("zebra and elephant")).split()), "all are named at once"


def test_a_colour_that_the_zoo_has_not_is_not_taken_for_another() -> None:
    error = refusal("navy boat", drawn(without=["blue"]))
    assert error.refusal == "unknown"
    assert "'navy' is nearest to the colour blue, which the zoo has not" in str(error)
    assert "'beige' may mean white or grey" in str(refusal("beige boat"))


def test_a_colour_that_stands_like_a_thing_is_none() -> None:
    assert read("a crimson car").expression.text == "red and car"
    assert "stands here like a thing" in str(refusal("a rose"))


def test_a_noun_is_no_colour() -> None:
    words = Words([Entry("orange", kind="object"), Entry("red", kind="attribute")])
    assert refusal("tangerine", words).refusal == "unknown"


def test_what_two_concepts_fit_is_refused_unless_somebody_can_say_which() -> None:
    assert "'vehicle' may mean car or boat" in str(refusal("large vehicle"))
    asked: list[tuple[str, Sequence[str]]] = []

    def choose(word: str, concepts: Sequence[str]) -> str:
        asked.append((word, list(concepts)))
        return concepts[1]

    assert read("large vehicle", drawn(choose)).expression.text == "large and boat"
    assert asked == [("vehicle", ["car", "boat"])]


def test_a_name_of_several_words_is_one_concept() -> None:
    words = Words([Entry("polka dots", kind="attribute"), Entry("t-shirt", kind="object"), Entry("dots")])
    assert read("polka-dots T-shirts", words).expression.concepts == ("polka dots", "t-shirt")


@pytest.mark.parametrize(
    ("phrase", "refused", "message"),
    [
        ("   ", "empty", "the phrase is empty"),
        ("everything", "empty", "'everything' names no concept"),
        ("black and", "grammar", "ends where a concept should stand"),
        ("(black cat", "grammar", r"ends where '\)' should stand"),
        ("black) cat", "grammar", r"has '\)' and no '\(' before it"),
        ("ca#t", "grammar", "has '#', which is no part of a phrase"),
        ("cat " * 200, "grammar", "has 800 letters; 500 are the most"),
        ("black white grey red orange yellow green cyan blue", "grammar", "names 9 concepts; 8 are the most"),
        ("black and not black", "contradiction", "no picture can show"),
    ],
)
def test_what_is_no_phrase_is_refused_with_a_reason(phrase: str, refused: str, message: str) -> None:
    with pytest.raises(PhraseError, match=message) as caught:
        read(phrase)
    assert caught.value.refusal == refused


@pytest.mark.parametrize(
    ("plural", "singular"),
    [("cats", "cat"), ("fishes", "fish"), ("butterflies", "butterfly"), ("knives", "knife"), ("mice", "mouse")],
)
def test_plurals_have_their_singular(plural: str, singular: str) -> None:
    assert singular in singulars(plural)


def test_glass_is_no_plural() -> None:
    assert list(singulars("glass")) == []
