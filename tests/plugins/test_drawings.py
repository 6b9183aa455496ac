"""The drawn world: what its pictures show, how they are chosen, and what it says of a wrong recipe."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from composer import ComposerError, Images, Run, Split
from composer_drawings import Drawings
from composer_drawings.factors import FACTORS
from composer_drawings.kinds import KINDS
from composer_drawings.palette import PALETTE
from composer_drawings.scene import Subject, draw_picture, draw_scene

BLACK_CAT = ("black", "cat")


def load(concepts: tuple[str, ...], concept: str | None = None, seed: int = 1, **options: int) -> Images:
    return Drawings(**{"size": 16, "train": 240, "test": 80, **options}).load(Split(concepts, concept), Run(seed=seed))


def shown(images: Images) -> list[set[str]]:
    """The four factor values that each name says."""
    return [set(name.split()[:4]) for name in images.names]


def messages(*concepts: str, concept: str | None = None, **options: int) -> list[tuple[str, str]]:
    return list(Drawings(**options).split_problems(Split(concepts, concept)))


def python(script: str, **environment: str) -> str:
    """What a fresh interpreter prints."""
    start = [sys.executable, "-c", f"import sys; sys.path[:0] = {[entry for entry in sys.path if entry]!r}; {script}"]
    return subprocess.run(
        start, env={**os.environ, **environment}, check=True, stdout=subprocess.PIPE, text=True
    ).stdout


def scene(subject: Subject, seed: int) -> NDArray[np.int_]:
    """The scene without light and noise; the same seed leaves all but the subject alone."""
    return np.asarray(draw_scene(subject, 128, np.random.default_rng(seed)), dtype=np.int_)


def test_every_word_can_be_drawn() -> None:
    assert set(KINDS) == set(FACTORS["kind"])
    assert set(PALETTE) == set(FACTORS["colour"])
    rng = np.random.default_rng(0)
    for kind in FACTORS["kind"]:
        for pattern in FACTORS["pattern"]:
            picture = draw_picture(Subject(kind, "red", pattern, "large"), 24, rng)
            assert picture.shape == (24, 24, 3), f"{pattern} {kind} has shape {picture.shape}"
            assert picture.std() > 5, f"{pattern} {kind} is an empty picture"


def test_no_word_belongs_to_two_factors() -> None:
    for one, other in combinations(FACTORS, 2):
        assert not set(FACTORS[one]) & set(FACTORS[other])


def test_test_pictures_fill_all_cells_equally() -> None:
    images = load(("small", "black", "cat"), test=84)
    counts = Counter(images.cells)
    assert len(counts) == 8
    assert set(counts.values()) == {10, 11}, f"the cells hold {counts}"


def test_labels_agree_with_what_the_names_say() -> None:
    for images in (load(("striped", "fish")), load(("striped", "fish"), "fish"), load(("small", "black", "cat"))):
        for concept, labels in images.labels.items():
            assert [concept in words for words in shown(images)] == labels.tolist()


@pytest.mark.parametrize("concepts", [BLACK_CAT, ("small", "black", "cat"), ("striped", "large", "pink", "star")])
def test_no_training_picture_shows_the_target(concepts: tuple[str, ...]) -> None:
    for concept in concepts:
        images = load(concepts, concept)
        assert not any(words >= set(concepts) for words in shown(images)), f"the target trains {concept}"
        assert images.concepts == (concept,)
        assert images.labels[concept].sum() == 120


def test_the_attribute_never_meets_the_object_in_training() -> None:
    assert not any("cat" in words for words in shown(load(BLACK_CAT, "black")))
    assert not any("black" in words for words in shown(load(BLACK_CAT, "cat")))


def test_a_third_concept_hides_only_the_pictures_that_have_both_attributes() -> None:
    words = shown(load(("small", "black", "cat"), "cat", train=480))
    assert not any(one >= {"small", "black"} for one in words)
    assert any(one >= {"small", "cat"} for one in words), "a network that never saw a small cat cannot know one"
    assert any(one >= {"black", "cat", "large"} for one in words)


def test_no_other_factor_tells_the_label() -> None:
    images = load(BLACK_CAT, "black", train=1320)
    for factor in ("kind", "pattern", "size"):
        for label in (True, False):
            own = [w for w, is_black in zip(shown(images), images.labels["black"], strict=True) if is_black == label]
            counts = [sum(value in words for words in own) for value in FACTORS[factor] if value != "cat"]
            assert max(counts) - min(counts) <= 1, f"{factor} is uneven where black is {label}: {counts}"


def test_the_same_seed_draws_the_same_pictures_and_another_seed_draws_others() -> None:
    torch_state, numpy_state = torch.random.get_rng_state(), str(np.random.get_state())  # noqa: NPY002
    first, again, other = load(BLACK_CAT, seed=5), load(BLACK_CAT, seed=5), load(BLACK_CAT, seed=6)
    assert first.names == again.names
    assert torch.equal(first.at(16), again.at(16))
    assert not torch.equal(first.at(16), other.at(16))
    assert torch.equal(torch_state, torch.random.get_rng_state())
    assert numpy_state == str(np.random.get_state()), "the global random state was touched"  # noqa: NPY002


def test_pictures_do_not_depend_on_the_hash_seed() -> None:
    script = (
        "import hashlib, numpy; from composer import Split;"
        "from composer_drawings.scene import draw_picture; from composer_drawings.world import training_subjects;"
        "rng = numpy.random.default_rng(1);"
        "shown = training_subjects(Split(('small', 'black', 'cat')), 'cat', 60, rng);"
        "pixels = b''.join(draw_picture(subject, 16, rng).tobytes() for subject, _ in shown);"
        "print(hashlib.sha256(repr(shown).encode() + pixels).hexdigest())"
    )
    first, second = (python(script, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert len(first) == 65
    assert first == second


@pytest.mark.parametrize("size", [16, 64, 256])
def test_pictures_have_the_size_asked_for(size: int) -> None:
    images = load(BLACK_CAT, size=size, test=4)
    assert images.at(size).shape == (4, 3, size, size)
    assert images.at(size).dtype == torch.uint8


@pytest.mark.parametrize("pattern", ["striped", "spotted"])
def test_a_pattern_is_seen_and_leaves_most_of_the_object_in_its_colour(pattern: str) -> None:
    for kind in FACTORS["kind"]:
        shares = []
        for seed in range(6):
            plain = scene(Subject(kind, "blue", "plain", "large"), seed)
            other = scene(Subject(kind, "white", "plain", "large"), seed)
            patterned = scene(Subject(kind, "blue", pattern, "large"), seed)
            coloured = np.abs(plain - other).max(axis=-1) > 100  # the parts that have the object's colour
            shares.append((np.abs(patterned - plain).max(axis=-1) > 20)[coloured].mean())
        assert 0.1 < np.mean(shares) < 0.42, f"a {pattern} {kind} is patterned over {np.mean(shares):.2f} of it"


def test_a_large_object_covers_more_than_a_small_one() -> None:
    for kind in FACTORS["kind"]:
        covered = {
            size: np.mean(
                [
                    (
                        scene(Subject(kind, "black", "plain", size), s)
                        != scene(Subject(kind, "white", "plain", size), s)
                    ).mean()
                    for s in range(5)
                ]
            )
            for size in ("small", "large")
        }
        assert covered["large"] > 1.5 * covered["small"], f"{kind} covers {covered}"


def test_black_objects_are_darker_than_white_ones_on_any_background() -> None:
    images = Drawings(size=32, train=20, test=200).load(Split(("black", "house")), Run(seed=2))
    middle = images.at(32)[:, :, 12:20, 12:20].float().mean(dim=(1, 2, 3)).numpy()
    white = np.array(["white" in words for words in shown(images)])
    assert np.median(middle[images.labels["black"]]) < 0.7 * np.median(middle[white])


def test_two_concepts_of_one_factor_are_refused() -> None:
    for concept in (None, "black", "white"):
        [(option, message)] = messages("black", "white", concept=concept)
        assert option == ""
        assert "'black' and 'white' are both a colour" in message
    with pytest.raises(ComposerError, match="both a kind"):
        load(("cat", "dog"), "cat")


def test_an_unknown_concept_is_answered_with_the_nearest_and_all_known() -> None:
    [(_, message)] = messages("blak", "cat")
    assert "'blak'" in message
    assert "did you mean 'black'?" in message
    assert "umbrella" in message
    with pytest.raises(ComposerError, match="zebra"):
        load(("black", "zebra"), "zebra")


def test_a_concept_from_another_source_does_not_stop_the_training_of_this_one() -> None:
    assert not messages("black", "zebra", concept="black")
    assert load(("black", "zebra"), "black").labels["black"].sum() == 120


def test_fewer_test_pictures_than_cells_are_refused() -> None:
    assert [option for option, _ in messages("small", "black", "cat", test=7)] == ["test"]
    assert not messages("small", "black", "cat", test=8)


def test_a_lone_concept_cannot_be_trained_without_showing_the_target() -> None:
    assert messages("cat", concept="cat")


def test_problems_are_seen_without_importing_torch_or_numpy() -> None:
    python(
        "from composer import Split; from composer_drawings import Drawings;"
        "assert list(Drawings().split_problems(Split(('blak', 'cat'))));"
        "assert not {'torch', 'numpy', 'PIL'} & set(sys.modules), 'heavy imports'"
    )


@pytest.mark.slow
def test_three_thousand_pictures_are_drawn_in_a_few_seconds() -> None:
    started = time.process_time()
    load(BLACK_CAT, "black", size=32, train=3000)
    assert time.process_time() - started < 8  # about 3 s on one core


@pytest.mark.parametrize("concept", ["black", "striped", "cat"])
def test_what_is_held_out_is_in_no_training_picture(concept: str) -> None:
    source = Drawings(size=16, train=200, held_out=("black", "striped", "cat", "dog"))
    held_out = {"cat", "dog"} if concept != "cat" else {"black", "striped"}
    first, second = (
        Split(("black" if concept == "cat" else concept, "cat")),
        Split(("striped" if concept == "cat" else concept, "cat" if concept == "cat" else "dog")),
    )
    splits = [Split(split.concepts, concept) for split in (first, second)]
    drawn = [source.load(split, Run(seed=1)) for split in splits]
    for images in drawn:
        assert int(images.labels[concept].sum()) == 100
        assert not [name for name in images.names if held_out & set(name.split())]
    assert source.decided_by(splits[0]) == source.decided_by(splits[1])
    assert drawn[0].names == drawn[1].names, "the same pictures whatever the target"


def test_without_held_out_pictures_depend_on_the_target() -> None:
    source = Drawings()
    cat, dog = (source.decided_by(Split(("black", kind), "black")) for kind in ("cat", "dog"))
    assert cat != dog


@pytest.mark.parametrize(
    ("held_out", "message"),
    [(("blak",), "did you mean 'black'"), (("small", "large"), "leaves no size for the training pictures")],
)
def test_what_cannot_be_held_out_is_said_before_any_work(held_out: tuple[str, ...], message: str) -> None:
    ((option, said),) = Drawings(held_out=held_out).problems(["black", "cat"])
    assert option == "held_out"
    assert message in said
