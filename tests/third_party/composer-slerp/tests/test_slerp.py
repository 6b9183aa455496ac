from __future__ import annotations

import math

import pytest
import torch
from composer import ComposerError, KernelSet, Run
from composer.testing import check_translator

from composer_slerp import Slerp
from composer_slerp.spherical import slerp


@pytest.mark.parametrize("per", ["filter", "layer"])
def test_it_keeps_the_contract_of_translators(per: str) -> None:
    check_translator(Slerp.model_validate({"per": per, "position": 0.3}))


def test_a_third_of_a_right_angle_is_thirty_degrees() -> None:
    found = slerp(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 1 / 3)
    torch.testing.assert_close(found, torch.tensor([math.cos(math.pi / 6), 0.5]))


def test_lengths_lie_between_those_of_the_parents_where_a_mean_would_shrink() -> None:
    one, other = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 4.0])
    assert float(slerp(one, other, 0.5).norm()) == pytest.approx(3)
    assert float(((one + other) / 2).norm()) < 2.3


@pytest.mark.parametrize("other", [[1.0, 0.0], [-1.0, 0.0], [0.0, 0.0], [1.0, 1e-6]])
def test_vectors_without_an_arc_between_them_are_interpolated_straight(other: list[float]) -> None:
    one = torch.tensor([1.0, 0.0])
    torch.testing.assert_close(slerp(one, torch.tensor(other), 0.25), 0.75 * one + 0.25 * torch.tensor(other))


def test_parents_of_other_shapes_are_refused() -> None:
    black = KernelSet("black", {"conv": torch.zeros(1, 2, 3, 5, 5)}, ("black 0",))
    cat = KernelSet("cat", {"conv": torch.zeros(1, 2, 3, 3, 3)}, ("cat 0",))
    with pytest.raises(ComposerError, match="give both concepts one architecture"):
        Slerp().translate([black, cat], Run())
