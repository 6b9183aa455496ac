"""Words that mean nearly what a concept is called: with an encoder of letters, and with that of the extra `words`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from composer import PhraseError
from composer_english.near_words import ASKED, nearest_meanings, usual_encoder
from composer_english.reading import understand
from composer_english.words import Words
from drawn_words import Entry, drawn, listed

RIGHT = (
    "kitten cat kitty cat feline cat puppy dog hound dog canine dog sparrow bird trout fish moth butterfly "
    "tabby cat blossom flower tulip flower oak tree pine tree toadstool mushroom automobile car sedan car "
    "truck car ship boat vessel boat yacht boat canoe boat home house cottage house stool chair armchair chair "
    "cup mug teacup mug brolly umbrella tiny small little small miniature small big large huge large enormous "
    "large giant large stripy striped stripes striped dotted spotted speckled spotted dots spotted"
)
"""Words, each with the concept that it means."""
OTHERS = (
    "elephant bicycle zebra computer happy wet wooden fast table guitar horse rabbit mountain shoe broken old "
    "wolf train lion plane lamp banana grass leaf insect shirt river moon sun square round shiny loud metal "
    "bus tiger mouse bottle plate hat coat window door cow pig sheep on in with two"
)
"""Words that mean none of the concepts."""


def by_letters(texts: Sequence[str]) -> NDArray[np.float32]:
    """How often each letter stands in the last word of a text: words of the same letters are near."""
    counts = np.array([[text.split()[-1].count(letter) for letter in "abcdefghijklmnopqrstuvwxyz"] for text in texts])
    vectors: NDArray[np.float32] = (counts / np.linalg.norm(counts, axis=1, keepdims=True)).astype(np.float32)
    return vectors


def test_the_nearest_of_a_concepts_names_counts() -> None:
    found = nearest_meanings("tac", {"dog": ["dog", "hound"], "cat": ["feline", "cat"]}, by_letters)
    assert [concept for _, concept in found] == ["cat", "dog"]
    assert found[0][0] == pytest.approx(1)
    assert ASKED.format("x").endswith(" x")


def test_a_word_that_is_near_to_one_concept_means_it_and_says_so() -> None:
    words = Words([Entry("cat", kind="object"), Entry("dog", kind="object")], encode=by_letters)
    (found,) = understand("tac", words).words
    assert (found.concept, found.how) == ("cat", "near in meaning (1.00; dog 0.00)")


def test_a_word_that_is_near_to_two_concepts_or_to_none_is_refused() -> None:
    words = Words([Entry("cat"), Entry("act"), Entry("dog")], encode=by_letters)
    for text in ("tac", "xyz"):
        with pytest.raises(PhraseError, match="is none of the concepts of the zoo"):
            understand(text, words)


def test_names_and_colours_come_first() -> None:
    words = Words([Entry("red", kind="attribute"), Entry("scarletx")], encode=by_letters)
    assert understand("scarlet", words).expression.text == "red"


def meanings(words: Words, asked: Sequence[str]) -> dict[str, str]:
    """What each word means, those left out that mean nothing."""
    found = {word: words.near(word) for word in asked}
    return {word: meaning.understood.concept for word, meaning in found.items() if meaning is not None}


@pytest.mark.skipif(usual_encoder() is None, reason="the extra `words` is not installed")
def test_the_encoder_knows_words_that_nobody_declared_and_takes_nothing_for_another() -> None:
    pairs = RIGHT.split()
    right = dict(zip(pairs[::2], pairs[1::2], strict=True))
    bare = [Entry(name) for concepts in listed()["concepts"].values() for name in concepts]
    words = Words(bare, encode=usual_encoder())
    found = meanings(words, list(right))
    assert found == {word: right[word] for word in found}
    assert len(found) >= 15
    assert meanings(words, OTHERS.split()) == {}
    assert understand("tiny kittens", words).expression.text == "small and cat"
    assert drawn().near("kitten") is None, "without an encoder nothing is near"
