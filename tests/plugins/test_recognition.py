"""The evaluator `recognition`, against scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import (
    accuracy_score,
    adjusted_rand_score,
    average_precision_score,
    roc_auc_score,
)

from composer import ComposedModel, ComposerError, Run, resamples
from composer_recognition import Recognition
from composer_recognition.ranking import at_each_score, auc, average_precision, best_accuracy
from composer_recognition.thresholds import concepts, half, mixture, otsu
from tiny import tiny_images, tiny_population

IMAGES = tiny_images(per_cell=8)


def product() -> ComposedModel:
    """Three members that use black's and cat's networks side by side."""
    black, cat = tiny_population("black", seed=1), tiny_population("cat", seed=2)
    return ComposedModel((black, cat), ("first", "second", "third"))


def drawn_with_ties() -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Scores of 60 pictures on 9 values, their classes, and 40 resamples as indices."""
    rng = np.random.default_rng(3)
    return rng.integers(0, 9, 60) / 4 - 1, rng.random(60) < 0.3, rng.integers(0, 60, (40, 60))


def weights(target: NDArray[np.bool_], drawn: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    counts = np.stack([np.bincount(row, minlength=len(target)) for row in drawn])
    return counts * target, counts * ~target


def test_the_area_under_the_curve_of_every_resample_is_scikit_learns() -> None:
    scores, target, drawn = drawn_with_ties()
    positives, negatives = (at_each_score(scores, counts) for counts in weights(target, drawn))
    expected = [roc_auc_score(target[row], scores[row]) for row in drawn]
    np.testing.assert_allclose(auc(positives, negatives), expected, rtol=1e-12)


def test_the_average_precision_of_every_resample_is_scikit_learns() -> None:
    scores, target, drawn = drawn_with_ties()
    positives, negatives = (at_each_score(scores, counts) for counts in weights(target, drawn))
    expected = [average_precision_score(target[row], scores[row]) for row in drawn]
    np.testing.assert_allclose(average_precision(positives, negatives), expected, rtol=1e-12)


def test_the_best_accuracy_of_every_resample_is_found_by_trying_all_thresholds() -> None:
    scores, rare, drawn = drawn_with_ties()
    for target in (rare, ~rare):  # once it is best to call nothing the target, once everything
        positives, negatives = (at_each_score(scores, counts) for counts in weights(target, drawn))
        cuts = (*np.unique(scores), np.inf)
        expected = [max(accuracy_score(target[row], scores[row] >= cut) for cut in cuts) for row in drawn]
        np.testing.assert_allclose(best_accuracy(positives, negatives), expected, rtol=1e-12)


def test_every_members_scores_are_scikit_learns() -> None:
    model, target, cells = product(), IMAGES.target, np.asarray(IMAGES.cells)
    scores = Recognition().evaluate(model, IMAGES, Run(seed=5)).scores
    for member, log_odds in enumerate(model.log_odds(IMAGES).numpy()):
        against = {
            cell: roc_auc_score(target[target | (cells == cell)], log_odds[target | (cells == cell)])
            for cell in ("black", "cat", "none")
        }
        expected = {
            "auc": roc_auc_score(target, log_odds),
            "average_precision": average_precision_score(target, log_odds),
            "auc_hardest_cell": min(against.values()),
            **{f"auc_against.{cell}": value for cell, value in against.items()},
        }
        for name, value in expected.items():
            assert scores[name].values[member] == pytest.approx(value, abs=1e-12), f"{name} of member {member}"


@pytest.mark.parametrize("picked", [0, 2])
def test_the_replicates_are_the_picked_members_scores_on_the_shared_resamples(picked: int) -> None:
    model = product()
    score = Recognition().evaluate(model, IMAGES, Run(seed=5, picked=picked)).scores["auc"]
    log_odds = model.log_odds(IMAGES).numpy()[picked]
    drawn = resamples(IMAGES, 5)
    expected = [roc_auc_score(IMAGES.target[row], log_odds[row]) for row in drawn[:20]]
    assert len(score.replicates) == len(drawn), "one replicate per resample"
    np.testing.assert_allclose(score.replicates[:20], expected, rtol=1e-12)


def parted(gap: float, seed: int = 0) -> NDArray[np.float64]:
    """Log-odds of 80 pictures in two groups."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(0, 1, 50), rng.normal(gap, 1, 30)])


def dying(constant: float) -> ComposedModel:
    """Three members, of which the first gives one answer for every picture."""
    black = tiny_population()
    weights = {name: value.clone() for name, value in black.weights.items()}
    weights["fc1.weight"][0] = 0
    weights["fc1.bias"][0] = torch.tensor([constant, 0.0])
    return ComposedModel((replace(black, weights=weights),), black.members)


def test_a_dead_member_ranks_no_picture_above_another() -> None:
    assert Recognition().evaluate(dying(0.4), IMAGES, Run(picked=1)).scores["auc"].values[0] == 0.5


def test_accuracy_knows_what_the_same_answer_for_every_picture_reaches() -> None:
    scores = Recognition().evaluate(dying(-9), IMAGES, Run()).scores
    assert scores["accuracy"].base == 0.75 == scores["accuracy"].values[0]
    assert scores["auc"].base is None


def test_only_the_best_threshold_is_marked_as_fitted() -> None:
    scores = Recognition().evaluate(product(), IMAGES, Run()).scores
    assert [name for name, score in scores.items() if score.labels == "fitting"] == ["accuracy_best_threshold"]
    assert (scores["accuracy_best_threshold"].values >= scores["accuracy"].values).all()


def test_the_accuracy_is_that_of_the_chosen_rule() -> None:
    model = product()
    parts = [part.log_odds(IMAGES).numpy() for part in model.parts]
    decided = {"concepts": (parts[0] > 0) & (parts[1] > 0), "half": model.log_odds(IMAGES).numpy() > 0}
    assert (decided["concepts"] != decided["half"]).any(), "the example must tell the rules apart"
    for rule, called in decided.items():
        score = Recognition.model_validate({"threshold": rule}).evaluate(model, IMAGES, Run()).scores["accuracy"]
        np.testing.assert_allclose(score.values, (called == IMAGES.target).mean(axis=1), err_msg=rule)


def test_one_part_that_serves_all_members_is_judged_with_each_of_them() -> None:
    black, cat = tiny_population("black", seed=1), tiny_population("cat", members=1, seed=2)
    model = ComposedModel((black, cat), black.members)
    assert len(Recognition().evaluate(model, IMAGES, Run()).scores["accuracy"].values) == 3


def test_three_concepts_have_seven_negative_cells() -> None:
    images = tiny_images(per_cell=3, concepts=("small", "black", "cat"))
    model = ComposedModel(tuple(tiny_population(concept, seed=4) for concept in images.concepts), ("a", "b", "c"))
    scores = Recognition().evaluate(model, images, Run()).scores
    assert sum(name.startswith("auc_against.") for name in scores) == 7
    assert "auc_against.small+black" in scores


def test_a_model_without_log_odds_gets_an_empty_report() -> None:
    features_only = replace(tiny_population(), outputs=())
    report = Recognition().evaluate(ComposedModel((features_only,), features_only.members), IMAGES, Run())
    assert not report.scores


@pytest.mark.parametrize(("kept", "missing"), [("others", "no picture of 'black+cat'"), ("target", "only pictures")])
def test_pictures_of_one_kind_only_are_refused(kept: str, missing: str) -> None:
    shown = IMAGES.target if kept == "target" else ~IMAGES.target
    with pytest.raises(ComposerError, match=missing.replace("+", r"\+")):
        Recognition().evaluate(product(), IMAGES.select(np.flatnonzero(shown)), Run())


def diverged(*members: int) -> ComposedModel:
    black = tiny_population()
    weights = {name: value.clone() for name, value in black.weights.items()}
    for member in members:
        weights["fc1.bias"][member] = torch.nan
    return ComposedModel((replace(black, weights=weights),), black.members)


def test_members_whose_log_odds_are_not_finite_are_judged_as_saying_nothing() -> None:
    scores = Recognition().evaluate(diverged(1), IMAGES, Run()).scores
    assert scores["auc"].values[1] == 0.5, "no answer ranks no picture above another"


def test_a_model_all_of_whose_members_have_diverged_is_refused() -> None:
    with pytest.raises(ComposerError, match="3 of 3 members are not finite \\('black 0'"):
        Recognition().evaluate(diverged(0, 1, 2), IMAGES, Run())


def test_the_same_seed_gives_the_same_replicates_and_another_seed_others() -> None:
    first, same, other = (Recognition().evaluate(product(), IMAGES, Run(seed=seed)) for seed in (5, 5, 6))
    for name, score in first.scores.items():
        assert score.replicates.tobytes() == same.scores[name].replicates.tobytes(), name
    assert first.scores["auc"].replicates.tobytes() != other.scores["auc"].replicates.tobytes()


def test_half_and_concepts_are_one_rule_for_a_single_part() -> None:
    log_odds = np.asarray([[-2.0, 0.0, 1.0]])
    assert (half(log_odds) == [[False, False, True]]).all()
    assert (concepts(log_odds, [log_odds]) == half(log_odds)).all()


def test_otsu_cuts_where_the_variance_between_the_sides_is_largest() -> None:
    log_odds = np.random.default_rng(1).normal(size=(2, 50)).round(1)
    for values, above in zip(log_odds, otsu(log_odds), strict=True):

        def between(cut: float, values: NDArray[np.float64] = values) -> float:
            share = (values >= cut).mean()
            return float(share * (1 - share) * (values[values >= cut].mean() - values[values < cut].mean()) ** 2)

        assert values[above].min() == max(np.unique(values)[1:], key=between)


def test_otsus_cut_is_k_means_with_two_clusters_on_a_line() -> None:
    for seed in range(5):
        values = parted(2, seed)
        above = otsu(values[None])[0]
        within = sum(((own - own.mean()) ** 2).sum() for own in (values[above], values[~above]))
        expected = KMeans(2, n_init=20, random_state=0).fit(values[:, None])
        assert within <= expected.inertia_ * (1 + 1e-9)
        assert adjusted_rand_score(above, expected.labels_) > 0.9


def test_a_mixture_tells_two_clear_groups_apart_at_any_scale() -> None:
    rng = np.random.default_rng(2)
    values = np.concatenate([rng.normal(-3, 0.5, 70), rng.normal(3, 0.5, 30)])
    above = mixture(np.stack([values, 1e6 * values + 1e7, 1e-6 * values]))
    assert (above == (np.arange(100) >= 70)).all()


def test_no_picture_is_above_where_all_log_odds_are_equal() -> None:
    equal = np.full((2, 12), -0.3)
    assert not otsu(equal).any()
    assert not mixture(equal).any()


def test_a_mixture_of_two_values_needs_no_variance() -> None:
    assert mixture(np.asarray([[0.0] * 9 + [1.0]])).sum() == 1
