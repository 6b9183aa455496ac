from __future__ import annotations

from inspect import signature
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import bootstrap, pearsonr, rankdata

from composer import Score, agreement, resamples
from composer.data.scores import Pick, consensus_pick, tells_apart
from tiny import tiny_images


def test_resamples_keep_the_size_of_every_cell() -> None:
    images = tiny_images(per_cell=6)
    cells = np.asarray(images.cells)
    for indices in resamples(images, seed=1, count=20):
        for cell in set(images.cells):
            assert (cells[indices] == cell).sum() == 6, "a stratified resample keeps every cell's count"


def test_the_same_seed_draws_the_same_resamples() -> None:
    images = tiny_images()
    assert np.array_equal(resamples(images, 4), resamples(images, 4))
    assert not np.array_equal(resamples(images, 4), resamples(images, 5))


def test_the_interval_is_that_of_scipys_bootstrap() -> None:
    images = tiny_images(per_cell=20)
    cell = np.flatnonzero(images.target)
    right = np.random.default_rng(1).random(len(images)) < 0.7
    score = Score(np.asarray([right[cell].mean()]), right[resamples(images, 2, 4000)][:, cell].mean(axis=1))
    drawn: dict[str, Any] = {
        "rng" if "rng" in signature(bootstrap).parameters else "random_state": 3
    }  # SciPy's, by age
    expected = bootstrap((right[cell].astype(float),), np.mean, method="percentile", n_resamples=4000, **drawn)
    assert score.interval == pytest.approx(expected.confidence_interval, abs=0.051), "one picture of twenty"


def test_the_consensus_pick_is_the_member_that_agrees_with_the_others() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    outputs = np.stack([truth + rng.normal(scale=noise, size=200) for noise in (3.0, 0.1, 2.0, 2.5)])
    assert consensus_pick(outputs) == 1


def dead_and_living() -> NDArray[np.float64]:
    """Ten members that give one answer for all of 60 pictures, one of them with rounding, and three that do not."""
    rng = np.random.default_rng(5)
    truth = rng.normal(size=60)
    rounding = rng.choice([-1, 1], (1, 60)) * 1e-7
    dead = np.concatenate([np.repeat(rng.normal(size=(9, 1)), 60, axis=1), 2.5 + rounding])
    return np.concatenate([dead, truth + rng.normal(size=(3, 60))])


def test_members_that_answer_the_same_for_every_picture_are_never_picked() -> None:
    outputs = dead_and_living()
    assert tells_apart(outputs).tolist() == [False] * 10 + [True] * 3
    assert consensus_pick(outputs) == 10 + consensus_pick(outputs[10:])
    assert np.isneginf(agreement(outputs)[:10]).all()


def test_members_that_are_not_finite_are_never_picked_and_have_no_say() -> None:
    outputs = dead_and_living()[10:]
    broken = np.concatenate([np.full((1, 60), np.nan), outputs, np.full((1, 60), np.inf)])
    np.testing.assert_array_equal(agreement(broken)[1:-1], agreement(outputs))
    assert consensus_pick(broken) == 1 + consensus_pick(outputs)


def test_a_pick_does_not_depend_on_the_order_of_pictures_that_tie() -> None:
    rng = np.random.default_rng(6)
    outputs = rng.integers(0, 3, (6, 50)).astype(float)
    order = rng.permutation(50)
    np.testing.assert_allclose(agreement(outputs[:, order]), agreement(outputs), atol=1e-12)


def test_where_all_members_are_dead_the_first_is_picked() -> None:
    assert consensus_pick(np.ones((3, 8))) == 0


def test_agreement_is_scipys_rank_correlation_with_the_mean_ranks() -> None:
    outputs = np.random.default_rng(7).integers(0, 9, (5, 40)).astype(float)
    mean = rankdata(outputs, axis=1).mean(axis=0)
    expected = [pearsonr(rankdata(own), mean).statistic for own in outputs]
    np.testing.assert_allclose(agreement(outputs), expected)


def test_the_best_of_a_score_that_should_be_low_is_the_lowest() -> None:
    score = Score(np.array([0.3, 0.2, 0.9]), higher_is_better=False)
    assert (score.best, score.best_member) == (0.2, 1)
    assert score.interval is None, "no resamples, no interval"


# -- one pick for all scores ---------------------------------------------------------------------


def test_every_score_shows_the_compositions_pick() -> None:
    pick = Pick(np.array([0.1, -np.inf, 0.7, 0.3]), "a toss")
    assert (pick.member, pick.dead) == (2, 1)
    whole = pick.completed(Score(np.array([1.0, 2.0, 3.0, 4.0])))
    assert (whole.picked, whole.picked_by) == (2, "a toss")
    some = pick.completed(Score(np.array([1.0, 3.0]), judged=(0, 2)))
    assert (some.picked, some.member(some.picked), some.picked_by) == (1, 2, "a toss")


def test_where_the_pick_was_not_judged_the_best_of_those_that_were_is_shown_and_said_to_be() -> None:
    pick = Pick(np.array([0.1, -np.inf, 0.7, 0.3]), "a toss")
    score = pick.completed(Score(np.array([5.0, 6.0, 7.0]), judged=(0, 1, 3)))
    assert (score.member(score.picked), score.picked_by) == (3, "a toss, of 3 of 4 members")


def test_where_every_member_is_dead_the_first_is_the_pick() -> None:
    assert Pick(np.full(3, -np.inf), "a toss").member == 0
