from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import bootstrap

from composer import Score, consensus_pick, resamples
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
    score = Score(np.asarray([right[cell].mean()]), 0, "x", right[resamples(images, 2, 4000)][:, cell].mean(axis=1))
    rng = np.random.default_rng(3)
    expected = bootstrap((right[cell].astype(float),), np.mean, method="percentile", n_resamples=4000, rng=rng)
    assert score.interval == pytest.approx(expected.confidence_interval, abs=0.051), "one picture of twenty"


def test_the_consensus_pick_is_the_member_that_agrees_with_the_others() -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(size=200)
    outputs = np.stack([truth + rng.normal(scale=noise, size=200) for noise in (3.0, 0.1, 2.0, 2.5)])
    assert consensus_pick(outputs) == 1


def test_the_best_of_a_score_that_should_be_low_is_the_lowest() -> None:
    score = Score(np.array([0.3, 0.2, 0.9]), 0, "order", higher_is_better=False)
    assert (score.best, score.best_member) == (0.2, 1)
    assert score.interval is None, "no resamples, no interval"
