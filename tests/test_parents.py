"""How well each parent knows its own concept: measured, warned of, and shown."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from rich.console import Console
from sklearn.metrics import roc_auc_score

from composer import Images, Run, auc
from composer.judging.parents import judge_parent
from composer.results.parents_table import parents_sheet
from tiny import tiny_images, tiny_population

PICTURES = tiny_images(per_cell=10)
ONE = tiny_population(members=1)


def labelled(black: NDArray[np.bool_], cat: NDArray[np.bool_] | None = None) -> Images:
    """The tiny pictures with other labels."""
    return Images(
        PICTURES.names, {"black": black, "cat": PICTURES.labels["cat"] if cat is None else cat}, PICTURES.at(16)
    )


def ranks() -> NDArray[np.float64]:
    """Each picture's place in the parent's own ranking, from 0 to 1."""
    order = ONE.log_odds(PICTURES)[0].numpy().argsort().argsort()
    return np.asarray(order / len(order))


def test_the_area_under_the_curve_is_scikit_learns_with_ties_too() -> None:
    rng = np.random.default_rng(0)
    scores, shown = rng.integers(0, 6, (4, 30)) / 2, rng.random((4, 30)) < 0.4
    expected = [roc_auc_score(own, values) for own, values in zip(shown, scores, strict=True)]
    np.testing.assert_allclose(auc(scores, shown), expected, rtol=1e-12)
    np.testing.assert_allclose(auc(scores, shown[0]), [roc_auc_score(shown[0], values) for values in scores])


def test_the_area_under_the_curve_is_not_a_number_for_one_class() -> None:
    assert np.isnan(auc(np.zeros((1, 3)), np.ones(3, dtype=bool))).all()


def test_a_parent_is_judged_by_its_own_concept_over_all_and_within_the_cells_of_the_others() -> None:
    parent = tiny_population("cat", members=3)
    scores = judge_parent(parent, PICTURES, Run(seed=1)).scores
    log_odds, black, cat = parent.log_odds(PICTURES).numpy(), PICTURES.labels["black"], PICTURES.labels["cat"]
    assert set(scores) == {"auc", "auc_within.black", "auc_within.none"}
    for member, values in enumerate(log_odds):
        assert scores["auc"].values[member] == pytest.approx(roc_auc_score(cat, values))
        assert scores["auc_within.black"].values[member] == pytest.approx(roc_auc_score(cat[black], values[black]))
        assert scores["auc_within.none"].values[member] == pytest.approx(roc_auc_score(cat[~black], values[~black]))
    for name, score in scores.items():
        low, high = score.interval or (1, 0)
        assert low <= score.values[score.picked] <= high, name


def test_with_three_concepts_a_parent_is_judged_within_each_cell_of_the_two_others() -> None:
    images = tiny_images(per_cell=3, concepts=("small", "black", "cat"))
    scores = judge_parent(tiny_population("black"), images, Run()).scores
    assert set(scores) == {"auc", *(f"auc_within.{cell}" for cell in ("small+cat", "small", "cat", "none"))}


def test_a_parent_that_knows_its_concept_is_not_warned_of() -> None:
    run = Run()
    report = judge_parent(ONE, labelled(ranks() >= 0.5), run)
    assert report.scores["auc"].median == 1
    assert run.warnings == []


def test_a_parent_that_does_not_know_its_concept_is_warned_of_in_words() -> None:
    shuffled = np.random.default_rng(0).permutation(len(PICTURES)) % 2 == 0
    run = Run()
    whole = judge_parent(ONE, labelled(shuffled), run).scores["auc"].median
    assert 0.4 < whole < 0.8, "the example must be a weak parent"
    assert run.warnings == [
        f"the parent tells black from others with AUC {whole:.2f} on the test pictures: "
        "a composition cannot be better than its parents"
    ]


def test_a_parent_that_fails_within_a_cell_only_is_warned_of() -> None:
    black, cat = ranks() >= 0.5, np.arange(len(PICTURES)) % 5 == 0
    black = np.where(cat, np.arange(len(PICTURES)) % 2 == 0, black)  # among cats it is a matter of chance
    run = Run()
    scores = judge_parent(ONE, labelled(black, cat), run).scores
    assert scores["auc"].median > 0.8 > scores["auc_within.cat"].median, "the example must fail among cats only"
    (warning,) = run.warnings
    assert f"but among those of cat with {scores['auc_within.cat'].median:.2f} only" in warning


def test_a_parent_that_ranks_the_wrong_way_round_is_asked_about_its_output() -> None:
    run = Run()
    judge_parent(ONE, labelled(ranks() < 0.5), run)
    assert "worse than by chance" in run.warnings[0]
    assert "`classes`" in run.warnings[0]


def test_a_parent_without_a_head_is_not_judged() -> None:
    run = Run()
    assert not judge_parent(replace(tiny_population(), outputs=()), PICTURES, run).scores
    assert run.warnings == []


def test_members_whose_log_odds_are_not_finite_are_left_out_and_counted() -> None:
    parent = tiny_population()
    weights = {name: value.clone() for name, value in parent.weights.items()}
    weights["fc1.bias"][1] = torch.nan
    run = Run()
    scores = judge_parent(replace(parent, weights=weights), PICTURES, run).scores
    assert scores["auc"].judged == (0, 2)
    assert "1 of 3 members are not finite" in run.warnings[0]


def shown(report: dict[str, Any]) -> list[list[str]]:
    sheet = parents_sheet(report)
    assert sheet is not None
    console = Console(file=StringIO(), width=100)
    console.print(sheet.drawn())
    assert isinstance(console.file, StringIO)
    return [line.split() for line in console.file.getvalue().splitlines()]


def test_the_table_shows_both_measures_and_the_lowest_cell() -> None:
    scores = {
        name: {"median": value} for name, value in [("auc", 0.9), ("auc_within.cat", 0.7), ("auc_within.none", 1)]
    }
    parents = {
        "black": {"members": 3, "measured": {"held_out_auc": {"median": 0.95}}, "scores": scores},
        "cat": {"members": 1, "measured": {}, "scores": {"auc": {"median": 0.99}}},
    }
    lines = shown({"parents": parents})
    assert ["black", "3", "0.950", "0.900", "0.700", "cat"] in lines
    assert ["cat", "1", "-", "0.990", "-", "-"] in lines


def test_there_is_no_table_where_no_parent_was_judged() -> None:
    assert parents_sheet({}) is None
    assert parents_sheet({"parents": {"black": {"members": 3, "measured": {}, "scores": {}}}}) is None
