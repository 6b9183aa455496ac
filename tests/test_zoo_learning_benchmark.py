"""What `benchmarks/zoo_learning.py` learns from, and what it writes of the rows that it measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import zoo_learning

from composer import ComposerError
from composer.judging.gain import Sampled
from composer.sweeps.benchmark import PAIRS, Benchmark, Judgement

PARENT, ORACLE = (Sampled(value, np.full(41, value)) for value in (0.5, 1.0))


def found(**rows: float) -> Benchmark:
    values = {name: Sampled(value, value + np.linspace(-0.01, 0.01, 41)) for name, value in rows.items()}
    judgement = Judgement(PAIRS[0], 1, values, values, PARENT, ORACLE, {"product": "it broke"})
    return Benchmark(zoo_learning.entrants(Path("scorer")), [judgement])


def test_a_scorer_learns_from_the_nine_pairs_that_share_no_concept_with_its_own() -> None:
    for pair in PAIRS:
        zoo = zoo_learning.unseen_by(pair)
        assert len(zoo) == 9
        assert not {concept for other in zoo for concept in other} & set(pair)


@pytest.mark.parametrize(
    ("learned", "said"), [(0.9, "is above"), (0.8, "is not clearly apart from"), (0.7, "is below")]
)
def test_the_sentence_says_how_the_learned_choice_stands_beside_regression(learned: float, said: str) -> None:
    text = zoo_learning.said(found(learned_choice=learned, channel_choice=0.8), [20.0, 30.0], "the command")
    gain = 2 * (learned - 0.5)
    assert f"- `learned_choice`, with gain {gain:.2f}, {said} `channel_choice` with 0.60." in text
    assert "by chance" not in text
    assert "to learn took 25 s of the processor for each" in text
    assert "1 of 16 pairs (black+cat), 1 seed" in text
    assert "- `product` failed: it broke" in text


def test_where_a_pair_failed_nothing_is_claimed() -> None:
    assert "- `learned_choice` was not judged on every pair." in zoo_learning.said(found(channel_choice=0.8), [1], "c")


def test_only_what_stands_between_the_marks_is_written(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{zoo_learning.BEGIN}old\n{zoo_learning.END}\nafter\n", encoding="utf-8")
    zoo_learning.write("new\n", page)
    assert page.read_text(encoding="utf-8") == f"before\n{zoo_learning.BEGIN}new\n{zoo_learning.END}\nafter\n"
    page.write_text("no marks", encoding="utf-8")
    with pytest.raises(ComposerError, match="marks"):
        zoo_learning.write("new\n", page)
