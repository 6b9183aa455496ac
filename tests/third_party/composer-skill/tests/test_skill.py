from __future__ import annotations

import numpy as np
import pytest
from composer.testing import check_evaluator

from composer_skill import Skill
from composer_skill.forecasts import RULES, score

DRAWN = np.array([[0, 1, 2, 3]])
SHOWN = np.array([1.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("rules", [("brier", "log"), ("log",)])
def test_it_keeps_the_contract_of_evaluators(rules: tuple[str, ...]) -> None:
    check_evaluator(Skill.model_validate({"rules": rules}))


@pytest.mark.parametrize("rule", RULES)
def test_sure_and_right_is_near_1_the_constant_0_and_the_opposite_below(rule: str) -> None:
    sure = np.abs(SHOWN - 1e-6)
    forecasts = np.stack([sure, np.full(4, 0.25), 1 - sure])
    found = score(RULES[rule], SHOWN, forecasts, 1, DRAWN)
    assert found.values[0] == pytest.approx(1, abs=1e-5)
    assert found.values[1] == pytest.approx(0)
    assert found.values[2] < -1
    assert found.replicates == pytest.approx([0])


def test_the_brier_skill_is_that_of_its_definition() -> None:
    forecasts = np.array([[0.5, 0.1, 0.2, 0.0]])
    found = score(RULES["brier"], SHOWN, forecasts, 0, DRAWN)
    assert found.values == pytest.approx([1 - (0.25 + 0.01 + 0.04) / (0.75**2 + 3 * 0.25**2)])
