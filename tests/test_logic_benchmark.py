"""What `benchmarks/logic.py` compares, and what it writes of it."""

from __future__ import annotations

from pathlib import Path

import logic
import numpy as np
import pytest
import torch

from composer import Expression

EACH = {
    name: torch.randn(2, 20, generator=torch.Generator().manual_seed(seed)).double() for seed, name in enumerate("ab")
}
ROWS, MEASURES = len(logic.CHOICES), len(logic.MEASURES)


@pytest.mark.parametrize("de_morgan", [False, True])
@pytest.mark.parametrize("text", ["a and b", "a or b", "b and not a"])
def test_node_by_node_is_the_sum_over_cells_where_each_concept_stands_once(text: str, de_morgan: bool) -> None:
    formula = Expression.parse(text)
    found = logic.node_by_node(formula, EACH, de_morgan=de_morgan)
    torch.testing.assert_close(found.sigmoid(), formula.log_odds(EACH).double().sigmoid(), rtol=1e-5, atol=1e-6)


def test_node_by_node_does_not_see_that_a_concept_stands_twice() -> None:
    a, b = (EACH[name].sigmoid() for name in "ab")
    one, other = a * (1 - b), b * (1 - a)
    found = logic.node_by_node(Expression.parse("(a and not b) or (b and not a)"), EACH, de_morgan=True)
    torch.testing.assert_close(found.sigmoid(), one + other - one * other)


def test_the_calibration_error_is_the_gap_between_what_is_said_and_what_is() -> None:
    target = np.asarray([True, False] * 10)
    assert logic.calibration_error(np.full(20, 0.5), target) == pytest.approx(0)
    assert logic.calibration_error(np.full(20, 0.9), target) == pytest.approx(0.4)
    assert logic.calibration_error(np.where(target, 0.9, 0.1), target) == pytest.approx(0.1)


def test_pictures_are_scored_by_the_cell_that_is_most_easily_taken_for_the_target() -> None:
    log_odds, target = np.asarray([2.0, 3.0, 2.5, -1.0]), np.asarray([True, True, False, False])
    auc, hardest, *_, loss = logic.scores(log_odds, target, np.asarray(["a+b", "a+b", "a", "none"]))
    assert (auc, hardest) == (0.75, 0.5)
    wanted = -np.log([1 / (1 + np.exp(-2)), 1 / (1 + np.exp(-3)), 1 / (1 + np.exp(2.5)), 1 / (1 + np.exp(-1))]).mean()
    assert loss == pytest.approx(wanted)


def found(cluster: str, better: float, group: str = "drawings, even") -> logic.Found:
    scores = np.full((ROWS, MEASURES), 0.9)
    scores[1] += better
    return logic.Found(group, "and", cluster, scores, (0.1, 0.25, 0.4), -0.2)


def test_a_choice_stands_beside_the_default_with_an_interval_over_pairs() -> None:
    cases = [found("one", 0.02), found("two", 0.04)]
    mean, difference, low, high = logic.interval(cases, 1, 0)
    assert [mean, difference, low, high] == pytest.approx([0.93, 0.03, 0.02, 0.04])


def test_tables_are_written_between_the_marks(tmp_path: Path) -> None:
    file = tmp_path / "logic.md"
    file.write_text(f"before\n{logic.BEGIN}old\n{logic.END}\nafter\n", encoding="utf-8")
    cases = [found("one", 0.02), found("two", 0.04), found("black+cat", 0.0, "photographs")]
    logic.write(logic.document(cases, "python benchmarks/logic.py"), file)
    text = file.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    assert "| temperature | 0.930 (+0.030: +0.020 to +0.040) |" in text
    assert "Correlation of the copula: -0.20" in text
    assert "| drawings, even | and | 0.100 | 0.250 | 0.400 |" in text
    assert "**photographs** (1 cases of 1 set of concepts)" in text
