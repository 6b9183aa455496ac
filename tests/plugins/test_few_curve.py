"""The learning curve that `few_shot` draws out of its own labelled pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from composer import Expression, Lines, Run
from composer_few import FewAlone, FewShot
from composer_few.curve import ALONE, MOVED, PARENTS, learning_curve
from composer_few.moving import Shown, moved
from handfuls import PARENTS as POPULATIONS
from handfuls import written

TARGET = Expression.all_of(["black", "cat"])
YES = (torch.arange(24) % 2).double()


def shown(features: torch.Tensor, log_odds: torch.Tensor) -> Shown:
    return Shown(("black", "cat"), TARGET, [features, features], log_odds, YES)


def test_the_curve_begins_with_the_parents_and_ends_with_leaving_out_one() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(24, 3, generator=generator).double() + 2 * YES[:, None]
    known = shown(features, torch.randn(2, 24, generator=generator).double())
    curve = learning_curve(known, np.random.default_rng(0))
    assert [list(curve.places(name)) for name in (MOVED, ALONE, PARENTS)] == [[0, 2, 5, 10, 12]] * 3
    assert len(set(curve.series[PARENTS])) == 1
    assert curve.series[MOVED][0] == curve.series[PARENTS][0]
    assert curve.series[MOVED][-1] == moved(known).loss
    assert curve.series[MOVED][-1] < curve.series[PARENTS][0], "the labels are easily learned"
    assert curve.series[ALONE][0] == pytest.approx(np.log(4) / 2 + np.log(4 / 3) / 2), "a quarter is told of each"


def test_heads_are_judged_by_pictures_that_did_not_move_them() -> None:
    each_its_own = torch.eye(24).double()  # nothing is to be learned of one picture from another but how many are yes
    curve = learning_curve(shown(each_its_own, torch.zeros(2, 24).double()), np.random.default_rng(0))
    assert min(curve.series[ALONE]) > 0.65
    assert min(curve.series[MOVED]) > 0.65


def test_few_shot_draws_its_curve_where_it_has_labels(tmp_path: Path) -> None:
    folder = written(tmp_path / "labels", 3)
    drawn = {}
    for options in (FewShot(folder=folder), FewShot(folder=folder, most=0), FewAlone(folder=folder)):
        run = Run()
        options.assemble(None, POPULATIONS, run)
        drawn[options.name, options.most] = run.figures
    (figure,) = drawn["few_shot", None].values()
    assert isinstance(figure, Lines)
    assert list(figure.places(MOVED)) == [0, 2, 3]
    assert drawn["few_shot", 0] == drawn["few_alone", None] == {}
