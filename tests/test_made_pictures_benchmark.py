"""The benchmark of students without pictures: benchmarks/made_pictures.py."""

from __future__ import annotations

import made_pictures
import numpy as np
import pytest
from made_pictures import Found


def test_the_sentence_says_what_the_numbers_say() -> None:
    def told(share: float) -> Found:
        answers = np.arange(1000) < 1000 * share
        return Found(answers, answers, 1.0)

    used = made_pictures.sources(4000, 1000, 200)
    shares = dict(zip((source.title for source in used), (0.8, 0.5, 0.3, 0.32, 0.6), strict=True))
    said = made_pictures.what_it_shows({title: told(share) for title, share in shares.items()}, used)
    assert said.startswith(
        "Of made pictures `inverted` are worth most: a student of theirs says the same as its teacher"
    )
    assert (
        "20.0 points less often than one of the teacher's own pictures, and 10.0 points more often than one of 1,000"
        in said
    )
    shares["`inverted`"] = 0.31
    said = made_pictures.what_it_shows({title: told(share) for title, share in shares.items()}, used)
    assert said.startswith("Of made pictures `drawings` are worth most, though `dead_leaves` and `inverted` may be as")


def test_the_interval_is_the_binomials() -> None:
    mean, low, high = made_pictures.interval(np.arange(1000) < 300)
    half = 1.96 * (0.3 * 0.7 / 1000) ** 0.5
    assert mean == 0.3
    assert [low, high] == pytest.approx([0.3 - half, 0.3 + half], abs=0.003)
