"""What one model of all classes says, and how its networks are calibrated: models/union.py, models/calibrating.py."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from composer.models.calibrating import calibrated
from composer.models.union import Knower, united


def test_a_name_that_both_have_is_one_class_with_the_mean_of_what_they_say() -> None:
    knowers = (Knower(("cat", "dog"), slope=0.0, offset=0.0), Knower(("dog", "car"), slope=0.0, offset=0.0))
    logits = [torch.tensor([[2.0, 1.0]]), torch.tensor([[3.0, 0.0]])]
    log_share = [each.log_softmax(1)[0] for each in logits]
    wanted = torch.stack([log_share[0][0], (log_share[0][1] + log_share[1][0]) / 2, log_share[1][1]]).softmax(0)
    torch.testing.assert_close(united(knowers, logits, "softmax")[0].sigmoid(), wanted)
    each = [(share.exp() / 2).logit() for share in log_share]
    wanted = torch.stack([each[0][0], (each[0][1] + each[1][0]) / 2, each[1][1]])
    torch.testing.assert_close(united(knowers, logits, "independent")[0], wanted)


def test_the_share_of_pictures_counts_once() -> None:
    """Networks that tell nothing leave to each class what the share of its network's classes is."""
    knowers = (
        Knower(("a",), slope=0.0, offset=float(np.log(0.2 / 0.8)), share=0.2),
        Knower(("b", "c", "d", "e"), slope=0.0, offset=float(np.log(0.8 / 0.2)), share=0.8),
    )
    found = united(knowers, [torch.zeros(1, 1), torch.zeros(1, 4)], "softmax")
    torch.testing.assert_close(found.sigmoid(), torch.full((1, 5), 0.2))


def test_an_output_that_means_none_of_the_others_speaks_against_the_network() -> None:
    silent, warned = torch.tensor([[3.0, 0.0, -9.0]]), torch.tensor([[3.0, 0.0, 9.0]])
    knower = Knower(("a", "b", "none"))
    assert float(knower.score(silent)) > float(knower.score(warned)) + 15
    left_out = Knower(("a", "b", "-"))
    assert float(left_out.score(silent)) == float(left_out.score(warned))


def test_the_temperature_is_found_again() -> None:
    """Labels drawn from the softmax of logits that are then made three times too sure."""
    generator = torch.Generator().manual_seed(0)
    logits = 2 * torch.randn(4000, 3, generator=generator)
    rows = torch.multinomial(logits.softmax(1), 1, generator=generator)[:, 0]
    names = ("a", "b", "c")
    found, notes = calibrated(Knower(names), 3 * logits, [names[row] for row in rows], (*names, "d"), "it")
    assert found.calibrated
    assert found.temperature == pytest.approx(3, rel=0.1)
    (note,) = notes
    assert "0 labelled pictures of classes that it does not know" in note


def test_slope_and_offset_of_the_score_are_found_again() -> None:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(6000, 1, generator=generator) * torch.tensor([2.0])
    mine = torch.rand(6000, generator=generator) < (1.5 * logits[:, 0] - 1).sigmoid()
    labels = ["a" if own else "b" for own in mine.tolist()]
    found, _ = calibrated(Knower(("a",)), logits, labels, ("a", "b"), "it")
    assert (found.slope, found.offset) == pytest.approx((1.5, -1), abs=0.15)
    assert found.share == pytest.approx(float(mine.float().mean()))


def test_a_network_that_is_always_right_is_not_made_certain() -> None:
    """Sixty of sixty right: its error is taken to be about one in sixty; and it may have learned from them."""
    logits = torch.eye(2).repeat(30, 1) + 0.01 * torch.arange(60.0)[:, None]
    found, notes = calibrated(Knower(("a", "b")), logits, ["a", "b"] * 30, ("a", "b", "c"), "it")
    wrong = 1 / (1 + np.exp(1 / found.temperature))
    assert wrong == pytest.approx(1 / 62, rel=0.01)
    assert "it: is righter than it says on these pictures (temperature 0.24)" in notes[0]
