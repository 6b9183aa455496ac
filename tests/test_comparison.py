"""Compositions against controls: paired differences, Holm's correction, and the best of many."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations, product

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.stats import bootstrap, permutation_test
from statsmodels.stats.multitest import multipletests

from composer import Score
from composer.judging.comparison import (
    FEWEST,
    beats_controls,
    best_of_as_many,
    by_luck,
    compare,
    compared_scores,
    expected_best,
    holm,
    two_sided_p,
)
from composer.judging.declared import declared_scores
from composer_clustering import Clusters
from composer_recognition import Recognition
from composer_similarity import Similarity

AUC = "recognition.auc"
CELLS = ("black+cat", "none") * 50


def right_of(chance: float, seed: int, pictures: int = 200) -> NDArray[np.float64]:
    """Which pictures a member gets right, 1 or 0."""
    return (np.random.default_rng(seed).random(pictures) < chance).astype(np.float64)


def drawn_again(right: NDArray[np.float64], count: int = 1000) -> NDArray[np.float64]:
    """Accuracy on resamples, the same for all members."""
    index = np.random.default_rng(0).integers(0, len(right), (count, len(right)))
    return np.asarray(right[index].mean(axis=1), dtype=np.float64)


def score(right: NDArray[np.float64], labels: str = "scoring", higher: bool = True) -> Score:
    """Accuracy of the one member, with its resamples."""
    values = np.asarray([right.mean()])
    return Score(values, drawn_again(right), labels, higher)  # type: ignore[arg-type]


GOOD, POOR = right_of(0.95, 1), right_of(0.6, 2)


# -- differences --------------------------------------------------------------------------------------


def test_the_interval_of_a_difference_is_that_of_scipys_paired_bootstrap() -> None:
    ours, theirs = right_of(0.8, 1), right_of(0.7, 2)
    found = compare({"ours": {AUC: score(ours)}, "random": {AUC: score(theirs)}}, ["random"], CELLS)[0]
    expected = bootstrap(
        (ours, theirs),
        lambda a, b, axis: a.mean(axis) - b.mean(axis),
        paired=True,
        vectorized=True,
        method="percentile",
        n_resamples=4000,
        rng=np.random.default_rng(5),
    )
    assert found.difference == pytest.approx(ours.mean() - theirs.mean())
    np.testing.assert_allclose(found.interval, expected.confidence_interval, atol=0.012)


def test_the_p_value_of_a_difference_is_that_of_a_paired_permutation_test() -> None:
    for chance in (0.62, 0.68, 0.72):
        ours, theirs = right_of(chance, 3), right_of(0.6, 4)
        p = two_sided_p(float(ours.mean() - theirs.mean()), drawn_again(ours, 4000) - drawn_again(theirs, 4000))
        expected = permutation_test(
            (ours, theirs),
            lambda a, b, axis: a.mean(axis) - b.mean(axis),
            permutation_type="samples",
            vectorized=True,
            n_resamples=4000,
            rng=np.random.default_rng(5),
        )
        assert p == pytest.approx(expected.pvalue, abs=0.04), chance


def test_differences_are_paired_so_that_hard_pictures_do_not_hide_them() -> None:
    theirs = right_of(0.5, 1)
    ours = theirs.copy()
    ours[np.flatnonzero(theirs == 0)[:12]] = 1  # right wherever the control is, and on twelve more
    found = compare({"ours": {AUC: score(ours)}, "random": {AUC: score(theirs)}}, ["random"], CELLS)[0]
    assert found.verdict == "better"
    apart = drawn_again(ours) - np.random.default_rng(1).permutation(drawn_again(theirs))
    assert two_sided_p(found.difference, apart) > 0.2, "unpaired, the same difference shows nothing"


def test_equal_members_are_never_told_apart_and_members_that_no_resample_changes_are() -> None:
    assert two_sided_p(0.0, np.zeros(1000)) == 1.0
    assert two_sided_p(1e-17, np.full(1000, 1e-17)) == 1.0
    assert two_sided_p(0.5, np.full(1000, 0.5)) == 0.0


def test_of_scores_that_differ_by_chance_few_are_called_different() -> None:
    """Twenty controls as good as the composition, in 60 tables: a false mark in about one table of twenty."""
    wrong = 0
    for table in range(60):
        arms = {f"control {index}": {AUC: score(right_of(0.7, 100 * table + index))} for index in range(20)}
        ours = {"ours": {AUC: score(right_of(0.7, 100 * table + 99))}}
        wrong += any(one.verdict != "unclear" for one in compare({**ours, **arms}, list(arms), CELLS))
    assert wrong <= 8, f"{wrong} of 60 tables have a false mark; 3 are to be expected, 9 have a chance of 0.004"


# -- the table ----------------------------------------------------------------------------------------


def test_corrected_p_values_are_statsmodels() -> None:
    rng = np.random.default_rng(1)
    for count in (1, 2, 7, 40):
        p = (rng.random(count) ** 4).round(3)  # with ties
        np.testing.assert_allclose(holm(p.tolist()), multipletests(p, method="holm")[1], atol=1e-15)
    assert len(holm([])) == 0


def test_what_is_clear_alone_may_be_unclear_in_a_large_table() -> None:
    theirs = right_of(0.6, 4)
    ours = score(right_of(0.66, 3))
    alone = compare({"ours": {AUC: ours}, "random": {AUC: score(theirs)}}, ["random"], CELLS)
    assert alone[0].verdict == "better"
    others = {f"control {index}": {AUC: score(right_of(0.72, 10 + index))} for index in range(20)}
    table = compare({"ours": {AUC: ours}, "random": {AUC: score(theirs)}, **others}, ["random", *others], CELLS)
    assert len(table) == 21
    assert table[0].p == alone[0].p < table[0].p_holm
    assert table[0].verdict == "unclear"


def test_a_difference_is_better_in_the_direction_of_its_score() -> None:
    for higher, verdicts in ((True, ("better", "worse")), (False, ("worse", "better"))):
        for (ours, theirs), verdict in zip(((GOOD, POOR), (POOR, GOOD)), verdicts, strict=True):
            arms = {"ours": {AUC: score(ours, higher=higher)}, "random": {AUC: score(theirs, higher=higher)}}
            assert compare(arms, ["random"], CELLS)[0].verdict == verdict


def test_a_composition_beats_the_controls_only_if_it_beats_each() -> None:
    arms = {"ours": {AUC: score(GOOD)}, "weak": {AUC: score(POOR)}, "strong": {AUC: score(right_of(0.94, 7))}}
    assert beats_controls(compare(arms, ["weak"], CELLS), "ours", AUC, arms["ours"][AUC]) is True
    assert beats_controls(compare(arms, ["weak", "strong"], CELLS), "ours", AUC, arms["ours"][AUC]) is False
    assert beats_controls([], "ours", AUC, arms["ours"][AUC]) is None


def test_what_no_look_at_a_picture_reaches_beats_nothing() -> None:
    arms = {"ours": {AUC: score(GOOD)}, "weak": {AUC: score(POOR)}}
    found, ours = compare(arms, ["weak"], CELLS), arms["ours"][AUC]
    picked = float(ours.values[ours.picked])
    assert beats_controls(found, "ours", AUC, replace(ours, base=picked - 0.01)) is True
    assert beats_controls(found, "ours", AUC, replace(ours, base=picked)) is False


def test_what_labels_were_fitted_to_or_was_not_resampled_alike_is_not_compared() -> None:
    fitted, short = score(GOOD, "fitting"), Score(np.asarray([0.9]), drawn_again(GOOD, 10))
    without = Score(np.asarray([0.9]))
    for ours, theirs in product((fitted, short, without), (score(POOR), without)):
        assert compare({"ours": {AUC: ours}, "random": {AUC: theirs}}, ["random"], CELLS) == []


def test_nothing_is_compared_on_too_few_pictures_of_a_cell() -> None:
    arms = {"ours": {AUC: score(GOOD)}, "random": {AUC: score(POOR)}}
    assert compare(arms, ["random"], ("none",) * 50 + ("black+cat",) * (FEWEST - 1)) == []
    assert compare(arms, ["random"], ("none",) * 50 + ("black+cat",) * FEWEST)


def test_the_scores_declared_for_it_are_compared_or_else_the_main_ones_or_else_all() -> None:
    one = score(GOOD)
    declared = declared_scores({"mine": Recognition(), "clusters": Clusters(), "similarity": Similarity()})
    arms = {"a": {"x.purity": one, "similarity.gap": one, "clusters.kmeans.adjusted_rand": one, "mine.auc": one}}
    assert compared_scores(arms, declared) == ["mine.auc", "clusters.kmeans.adjusted_rand"]
    assert compared_scores({"a": {"x.purity": one, "similarity.gap": one}}, declared) == ["similarity.gap"]
    assert compared_scores({"a": {"x.purity": one}}, declared) == ["x.purity"]
    found = compare({"ours": arms["a"], "random": arms["a"]}, ["random"], CELLS, declared)
    assert [comparison.score for comparison in found] == ["mine.auc", "clusters.kmeans.adjusted_rand"]


# -- the best of many ---------------------------------------------------------------------------------


def test_the_expected_best_is_the_mean_over_all_choices() -> None:
    values = np.random.default_rng(1).normal(size=7).round(1)
    for count in range(1, 8):
        chosen = [max(choice) for choice in combinations(values, count)]
        assert expected_best(values, count)[0] == pytest.approx(np.mean(chosen)), count
        again = [max(choice) for choice in product(values, repeat=min(count, 4))]
        assert expected_best(values, min(count, 4), replacement=True)[0] == pytest.approx(np.mean(again))


def test_the_expected_best_is_what_a_simulation_finds() -> None:
    rng = np.random.default_rng(2)
    values = rng.beta(8, 4, 200)
    drawn = np.stack([rng.permutation(200)[:32] for _ in range(4000)])
    assert expected_best(values, 32)[0] == pytest.approx(values[drawn].max(axis=1).mean(), abs=0.002)
    with_replacement = values[rng.integers(0, 200, (4000, 32))].max(axis=1).mean()
    assert expected_best(values, 32, replacement=True)[0] == pytest.approx(with_replacement, abs=0.002)


def test_the_expected_best_estimates_the_best_of_as_many_new_ones_without_bias() -> None:
    rng = np.random.default_rng(3)
    estimates = [expected_best(rng.random(40), 20)[0] for _ in range(400)]
    assert np.mean(estimates) == pytest.approx(20 / 21, abs=0.003), "of 20 uniform numbers the largest is 20/21"


def test_of_all_members_and_more_the_best_there_is_is_to_be_expected() -> None:
    values = np.asarray([0.2, 0.9, 0.4])
    np.testing.assert_allclose(expected_best(values, [1, 3, 4, 100]), [0.5, 0.9, 0.9, 0.9])
    assert expected_best(values, 3, higher_is_better=False)[0] == pytest.approx(0.2)
    many = np.linspace(0, 1, 3498)
    assert expected_best(many, 3498)[0] == pytest.approx(1), "thousands of members do not overflow"


def test_the_best_of_as_many_members_of_every_control_is_given() -> None:
    rng = np.random.default_rng(4)
    ours = Score(rng.random(8))
    arms = {"ours": {AUC: ours}, "random": {AUC: Score(rng.random(32))}, "headless": {"other": ours}}
    found = best_of_as_many(ours, AUC, arms, ["random", "headless"])
    assert found == {"random": pytest.approx(expected_best(arms["random"][AUC].values, 8)[0])}


def test_luck_is_that_of_random_kernels_in_the_same_assembler_or_else_of_the_strongest_control() -> None:
    best = {"parents.cat": 0.9, "random.refit": 0.7, "random.transplant": 0.6}
    assert by_luck(best, "transplant", higher_is_better=True) == ("random.transplant", 0.6)
    assert by_luck(best, "product", higher_is_better=True) == ("parents.cat", 0.9)
    assert by_luck(best, "product", higher_is_better=False) == ("random.transplant", 0.6)
    assert by_luck({"random": 0.5, "parents.cat": 0.9}, "product", higher_is_better=True) == ("random", 0.5)
    assert by_luck({}, "product", higher_is_better=True) is None
