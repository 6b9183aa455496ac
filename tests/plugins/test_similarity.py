"""The evaluator `similarity`, against scikit-learn."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.metrics.pairwise import cosine_similarity

from composer import ComposedModel, ComposerError, Heatmap, Run, resamples
from composer_geometry import known_of, transform_of
from composer_similarity import Similarity
from composer_similarity.cosines import directions, mean_between, mean_within
from tiny import tiny_images, tiny_population, training_images

IMAGES = tiny_images(per_cell=8)


def model(members: int = 4, seed: int = 1) -> ComposedModel:
    population = tiny_population(members=members, seed=seed)
    return ComposedModel((population,), population.members)


def dead_model() -> ComposedModel:
    population = tiny_population()
    zeros = {name: torch.zeros_like(value) for name, value in population.weights.items()}
    return ComposedModel((replace(population, weights=zeros),), population.members)


@pytest.mark.parametrize("centred", [True, False])
def test_every_members_scores_are_means_of_scikit_learns_cosines(centred: bool) -> None:
    scores = Similarity(centred=centred).evaluate(model(), IMAGES, Run()).scores
    target = IMAGES.target
    for member, features in enumerate(model().features(IMAGES).double().numpy()):
        cosines = cosine_similarity(features - features.mean(axis=0) * centred)
        within = cosines[np.ix_(target, target)][~np.eye(target.sum(), dtype=bool)].mean()
        between = cosines[np.ix_(target, ~target)].mean()
        assert scores["within_target"].values[member] == pytest.approx(within, abs=1e-5)
        assert scores["between"].values[member] == pytest.approx(between, abs=1e-5)
        assert scores["gap"].values[member] == pytest.approx(within - between, abs=1e-5)


@pytest.mark.parametrize(
    "options", [{"metric": "correlation"}, {"metric": "rank", "weights": "anova"}, {"metric": "mahalanobis"}]
)
def test_other_metrics_and_weights_change_the_features_before_the_cosine(options: dict[str, str]) -> None:
    run = Run(pictures=(training_images("black"), training_images("cat")))
    similarity = Similarity.model_validate({"centred": False, **options})
    scores = similarity.evaluate(model(), IMAGES, run).scores
    target = IMAGES.target
    for member, features in enumerate(model().features(IMAGES).double().numpy()):
        known = known_of(model(), member, run, "similarity")
        cosines = cosine_similarity(transform_of(similarity.metric, similarity.weights, known)(features))
        between = cosines[np.ix_(target, ~target)].mean()
        assert scores["between"].values[member] == pytest.approx(between, abs=1e-5)


def test_whitening_and_weights_ask_for_the_parents_pictures_and_exclude_each_other() -> None:
    assert Similarity(metric="rank").terms.pictures == "none"
    assert Similarity(metric="mahalanobis").terms.pictures == Similarity(weights="heads").terms.pictures == "labelled"
    ((option, message),) = Similarity(metric="mahalanobis", weights="lda").problems(("black", "cat"))
    assert option == "weights"
    assert "whitening undoes them" in message
    with pytest.raises(ComposerError, match="similarity: its metric or weights come from the parents'"):
        Similarity(metric="mahalanobis").evaluate(model(), IMAGES, Run())


def test_a_resample_counts_pairs_of_different_pictures_only() -> None:
    rng = np.random.default_rng(4)
    cosines = cosine_similarity(rng.normal(size=(6, 3)))
    drawn = rng.integers(0, 6, (10, 6))
    counts = np.stack([np.bincount(row, minlength=6) for row in drawn]).astype(np.float64)
    expected = [np.mean([cosines[i, j] for i in row for j in row if i != j]) for row in drawn]
    np.testing.assert_allclose(mean_within(cosines, counts), expected)


def test_a_picture_drawn_alone_pairs_with_itself() -> None:
    cosines = np.asarray([[1.0, 0.2], [0.2, 1.0]])
    assert mean_within(cosines, np.asarray([[2.0, 0.0]])) == [1.0]


def test_the_replicates_are_the_picked_members_scores_on_the_shared_resamples() -> None:
    score = Similarity().evaluate(model(), IMAGES, Run(seed=5, picked=1)).scores["between"]
    features = model().features(IMAGES).double().numpy()[1]
    cosines = cosine_similarity(features - features.mean(axis=0))
    expected = [
        cosines[np.ix_(row[IMAGES.target[row]], row[~IMAGES.target[row]])].mean() for row in resamples(IMAGES, 5)
    ]
    np.testing.assert_allclose(score.replicates, expected, atol=1e-5)


def test_the_mean_between_two_groups_weighs_every_pair() -> None:
    cosines = np.asarray([[0.5, 0.1], [0.3, -0.2]])
    assert mean_between(cosines, np.asarray([[2.0, 1.0]]), np.asarray([[0.0, 3.0]])) == pytest.approx((0.2 - 0.2) / 3)


def test_a_lower_cosine_with_others_is_better() -> None:
    scores = Similarity().evaluate(model(), IMAGES, Run()).scores
    assert {name: score.higher_is_better for name, score in scores.items()} == {
        "within_target": True,
        "between": False,
        "gap": True,
    }


def test_the_heat_map_shows_the_picked_members_mean_cosine_between_cells() -> None:
    run = Run(picked=1)
    scores = Similarity().evaluate(model(), IMAGES, run).scores
    figure = run.figures["cosine"]
    assert isinstance(figure, Heatmap)
    assert tuple(figure.rows) == tuple(figure.columns) == ("black+cat", "black", "cat", "none")
    values = np.asarray(figure.values)
    np.testing.assert_allclose(values, values.T, atol=1e-6)
    within = scores["within_target"]
    assert values[0, 0] == pytest.approx(within.values[1], abs=1e-6)
    assert values[0, 1:].mean() == pytest.approx(scores["between"].values[1], abs=1e-6)


def test_dead_networks_have_cosine_zero_throughout() -> None:
    for centred in (True, False):
        scores = Similarity(centred=centred).evaluate(dead_model(), IMAGES, Run()).scores
        for name, score in scores.items():
            assert not score.values.any(), name
            assert not score.replicates.any(), name


def test_features_equal_but_for_rounding_have_no_direction() -> None:
    features = torch.full((5, 3), 0.1)
    features[2] = torch.nextafter(features[2], torch.tensor(1.0))
    assert (features - features.mean(0)).any(), "the example must differ by rounding"
    assert not directions(features, centred=True).any()


def test_fewer_than_two_pictures_of_the_target_are_refused() -> None:
    keep = np.concatenate([np.flatnonzero(IMAGES.target)[:1], np.flatnonzero(~IMAGES.target)])
    with pytest.raises(ComposerError, match="1 of 25 test pictures show the target"):
        Similarity().evaluate(model(), IMAGES.select(keep), Run())


def test_features_that_are_not_finite_are_refused_by_the_members_name() -> None:
    population = tiny_population()
    weights = {name: value.clone() for name, value in population.weights.items()}
    weights["conv2.bias"][2] = torch.inf
    broken = ComposedModel((replace(population, weights=weights),), population.members)
    with pytest.raises(ComposerError, match="member 'black 2' are not finite"):
        Similarity().evaluate(broken, IMAGES, Run())


def test_the_same_seed_gives_the_same_bytes_and_leaves_the_threads_alone() -> None:
    threads = torch.get_num_threads()
    first, second = (Similarity().evaluate(model(), IMAGES, Run(seed=2)) for _ in range(2))
    assert torch.get_num_threads() == threads
    for name, score in first.scores.items():
        assert score.values.tobytes() == second.scores[name].values.tobytes(), name
        assert score.replicates.tobytes() == second.scores[name].replicates.tobytes(), name
