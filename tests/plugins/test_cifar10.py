"""CIFAR-10's photographs: which are chosen, how they are tinted, and what is said of a wrong file or recipe."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from composer import ComposerError, Images, Run, Split
from composer_cifar10 import Cifar10
from composer_cifar10.reading import LUMINANCE
from composer_cifar10.words import CLASSES, HUES

RED_CAT = ("red", "cat")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """20 noisy grey pictures of each class to train from and 6 to test on, with classes [N, 1] as Keras has them."""
    rng = np.random.default_rng(0)
    arrays: dict[str, Any] = {}
    for part, count in (("train", 20), ("test", 6)):
        grey = rng.integers(60, 196, (10 * count, 32, 32, 1), dtype=np.uint8)
        arrays[f"x_{part}"] = np.repeat(grey, 3, axis=3)
        arrays[f"y_{part}"] = np.arange(10 * count, dtype=np.uint8)[:, None] % 10
    np.savez(tmp_path / "cifar10.npz", **arrays)
    return tmp_path / "cifar10.npz"


def load(file: Path, concepts: tuple[str, ...] = RED_CAT, concept: str | None = None, **options: float) -> Images:
    return Cifar10.model_validate({"file": file, **options}).load(Split(concepts, concept), Run(seed=1))


def test_test_pictures_fill_all_cells_equally(file: Path) -> None:
    assert Counter(load(file).cells) == {"red+cat": 3, "red": 3, "cat": 3, "none": 3}
    assert Counter(load(file, test=8).cells) == {"red+cat": 2, "red": 2, "cat": 2, "none": 2}


def test_labels_agree_with_what_the_names_say(file: Path) -> None:
    for images in (load(file), load(file, concept="cat"), load(file, concept="red")):
        for concept, labels in images.labels.items():
            assert [concept in name.split() for name in images.names] == labels.tolist()


def test_no_training_picture_shows_another_concept_of_the_recipe(file: Path) -> None:
    for concept, other in (RED_CAT, RED_CAT[::-1]):
        images = load(file, concept=concept)
        assert images.concepts == (concept,)
        assert not any(other in name.split() for name in images.names)


def test_a_tinted_picture_has_the_hue_and_about_the_brightness_it_had(file: Path) -> None:
    with np.load(file) as data:
        originals = data["x_test"]
    images = load(file, tint=1)
    hues = set()
    for name, pixels in zip(images.names, images.at(32).permute(0, 2, 3, 1).numpy(), strict=True):
        colour, _, index = name.split()
        red, green, blue = pixels.reshape(-1, 3).mean(0)
        brightest = max((red, "red"), (green, "green"), (blue, "blue"))[1]
        hues.add((colour, brightest))
        brightness = originals[int(index)].astype(np.float32) @ LUMINANCE
        np.testing.assert_allclose(pixels.max(axis=2), brightness, atol=1)
    assert ("red", "red") in hues
    assert hues <= {
        *((colour, "red") for colour in ("red", "orange", "yellow", "pink")),
        *((colour, "green") for colour in ("green", "cyan")),
        *((colour, "blue") for colour in ("blue", "purple", "cyan")),
    }


def test_without_a_colour_no_picture_is_touched(file: Path) -> None:
    images = load(file, ("cat",))
    with np.load(file) as data:
        for name, pixels in zip(images.names, images.at(32), strict=True):
            np.testing.assert_array_equal(pixels.permute(1, 2, 0), data["x_test"][int(name.split()[-1])])


def test_every_class_gets_the_colour_as_often(file: Path) -> None:
    images = load(file, ("red", "ship"), concept="ship")  # red ones are left out: half of each class
    assert Counter(name.split()[1] for name in images.names) == dict.fromkeys(CLASSES, 10)
    assert {name.split()[0] for name in images.names} == set(HUES) - {"red"}


def test_words_that_mean_nothing_or_two_of_a_kind_are_refused_by_name(file: Path) -> None:
    source = Cifar10(file=file)
    (unknown,) = source.split_problems(Split(("red", "cart")))
    assert "did you mean 'cat'" in unknown[1] or "did you mean 'car'" in unknown[1]
    (twice,) = source.split_problems(Split(("dog", "cat")))
    assert "'dog' and 'cat' are both a class" in twice[1]
    (whole,) = source.split_problems(Split(("cat",), "cat"))
    assert "whole target" in whole[1]


def rewrite(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    def spoil(file: Path) -> None:
        with np.load(file) as data:
            arrays: dict[str, Any] = dict(data)
        change(arrays)
        np.savez(file, **arrays)

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda file: file.unlink(), "there is no file"),
        (lambda file: file.write_bytes(b"no archive"), "damaged or no .npz file"),
        (lambda file: file.write_bytes(file.read_bytes()[:2000]), "damaged or no .npz file"),
        (rewrite(lambda arrays: arrays.pop("y_test")), "holds no array"),
        (rewrite(lambda arrays: arrays.update(x_test=arrays["x_test"] / 255)), "must be uint8"),
        (rewrite(lambda arrays: arrays.update(y_test=arrays["y_test"] + 1)), "classes from 0 to 9"),
    ],
)
def test_a_wrong_file_is_refused_by_name(file: Path, spoil: Callable[[Path], None], message: str) -> None:
    spoil(file)
    with pytest.raises(ComposerError, match=r"cifar10\.npz") as raised:
        load(file)
    assert message in str(raised.value)
