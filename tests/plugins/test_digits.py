"""Tinted handwritten digits: what the pictures show, how they are chosen, and what is said of a wrong recipe."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
import torch

from composer import ComposerError, Images, Run, Split
from composer_digits import Digits
from composer_digits.factors import FACTORS, PALETTE
from composer_digits.source import handwritten, tint

GREEN_SEVEN = ("green", "seven")


def load(concepts: tuple[str, ...], concept: str | None = None, seed: int = 1, **options: int) -> Images:
    return Digits(**{"size": 16, "train": 180, "test": 80, **options}).load(Split(concepts, concept), Run(seed=seed))


def shown(images: Images) -> list[set[str]]:
    """The colour and the digit that each name says."""
    return [set(name.split()[:2]) for name in images.names]


def messages(*concepts: str, concept: str | None = None) -> list[tuple[str, str]]:
    return list(Digits().split_problems(Split(concepts, concept)))


def samples(images: Images) -> list[int]:
    """The handwritten sample that each name says."""
    return [int(name.split()[-1]) for name in images.names]


def test_no_handwritten_sample_serves_both_training_and_testing() -> None:
    trained = {*samples(load(GREEN_SEVEN, "green", train=800)), *samples(load(GREEN_SEVEN, "seven", train=800))}
    tested = set(samples(load(GREEN_SEVEN, test=800)))
    assert not trained & tested
    assert len(trained) > 800
    assert len(tested) > 200


def test_each_picture_is_made_from_a_sample_of_its_digit() -> None:
    ink, digits = handwritten()
    assert ink.max() == 255
    for images in (load(GREEN_SEVEN), load(GREEN_SEVEN, "seven")):
        for sample, name in zip(samples(images), images.names, strict=True):
            assert FACTORS["digit"][digits[sample]] in name


def test_test_pictures_fill_all_cells_equally() -> None:
    counts = Counter(load(GREEN_SEVEN, test=82).cells)
    assert sorted(counts.values()) == [20, 20, 21, 21], f"the cells hold {counts}"


def test_labels_agree_with_what_the_names_say() -> None:
    for images in (load(GREEN_SEVEN), load(GREEN_SEVEN, "green"), load(GREEN_SEVEN, "seven")):
        for concept, labels in images.labels.items():
            assert [concept in words for words in shown(images)] == labels.tolist()


def test_training_pictures_show_only_one_of_the_two_concepts() -> None:
    for concept, other in (GREEN_SEVEN, GREEN_SEVEN[::-1]):
        images = load(GREEN_SEVEN, concept)
        assert not any(other in words for words in shown(images))
        assert images.labels[concept].sum() == 90
        assert images.concepts == (concept,)


def test_the_digit_does_not_tell_the_colour() -> None:
    images = load(GREEN_SEVEN, "green", train=360)
    for label in (True, False):
        own = [w for w, is_green in zip(shown(images), images.labels["green"], strict=True) if is_green == label]
        counts = [sum(digit in words for words in own) for digit in FACTORS["digit"] if digit != "seven"]
        assert max(counts) - min(counts) <= 1, f"digits are uneven where green is {label}: {counts}"


def test_the_ink_has_the_colour_that_the_name_says() -> None:
    ink = np.full((8, 8), 255, dtype=np.uint8)
    rng = np.random.default_rng(0)
    for colour in PALETTE:
        middles = [tint(ink, colour, 32, rng)[12:20, 12:20].mean(axis=(0, 1)) for _ in range(20)]
        red, green, blue = np.mean(middles, axis=0)
        strongest = "red" if red > max(green, blue) else "green" if green > blue else "blue"
        if colour in ("red", "green", "blue"):
            assert strongest == colour, f"{colour} ink is {red:.0f}, {green:.0f}, {blue:.0f}"
        elif colour in ("white", "grey"):
            assert max(red, green, blue) - min(red, green, blue) < 15, (
                f"{colour} ink is {red:.0f}, {green:.0f}, {blue:.0f}"
            )


def test_the_same_seed_makes_the_same_pictures_and_another_seed_makes_others() -> None:
    torch_state, numpy_state = torch.random.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    first, again, other = load(GREEN_SEVEN, seed=5), load(GREEN_SEVEN, seed=5), load(GREEN_SEVEN, seed=6)
    assert first.names == again.names
    assert torch.equal(first.at(16), again.at(16))
    assert not torch.equal(first.at(16), other.at(16))
    assert torch.equal(torch_state, torch.random.get_rng_state())
    assert numpy_state == str(np.random.get_state()), "the global random state was touched"  # noqa: NPY002


@pytest.mark.parametrize("size", [16, 100, 256])
def test_pictures_have_the_size_asked_for(size: int) -> None:
    images = load(GREEN_SEVEN, size=size, test=4)
    assert images.at(size).shape == (4, 3, size, size)
    assert images.at(size).dtype == torch.uint8


def test_two_concepts_of_one_factor_are_refused() -> None:
    assert "'six' and 'seven' are both a digit" in messages("six", "seven", concept="six")[0][1]
    assert "'red' and 'green' are both a colour" in messages("red", "green")[0][1]
    with pytest.raises(ComposerError, match="both a digit"):
        load(("six", "seven"), "six")


def test_an_unknown_concept_is_answered_with_the_nearest_and_all_known() -> None:
    [(option, message)] = messages("green", "sevn")
    assert option == ""
    assert "did you mean 'seven'?" in message
    assert "purple" in message
    with pytest.raises(ComposerError, match="black"):
        load(("black", "seven"))


def test_a_concept_from_another_source_does_not_stop_the_training_of_this_one() -> None:
    assert not messages("wavy", "seven", concept="seven")
    assert load(("wavy", "seven"), "seven").labels["seven"].sum() == 90


def test_a_lone_concept_cannot_be_trained_without_showing_the_target() -> None:
    assert messages("seven", concept="seven")


def test_problems_are_seen_without_importing_torch_or_scikit_learn() -> None:
    script = (
        "from composer import Split; from composer_digits import Digits;"
        "assert list(Digits().split_problems(Split(('blak', 'seven'))));"
        "assert not {'torch', 'numpy', 'sklearn'} & set(sys.modules), 'heavy imports'"
    )
    path = [entry for entry in sys.path if entry]
    subprocess.run([sys.executable, "-c", f"import sys; sys.path[:0] = {path!r}; {script}"], check=True)
