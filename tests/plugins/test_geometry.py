"""Metrics and weights of features: against scikit-learn and SciPy, and on features that tell nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.distance import pdist
from scipy.stats import spearmanr
from sklearn.feature_selection import f_classif

from composer import ComposedModel, ComposerError, Run
from composer_geometry import Known, known_of, transform_of
from composer_geometry.transform import anova, weights_of, whitening_of
from tiny import ARCHITECTURE, tiny_population, training_images

Floats = NDArray[np.float64]


def known(seed: int = 0, width: int = 6) -> Known:
    """Two parents of 200 pictures: the first concept moves feature 0, the second feature 1; feature 2 is large."""
    rng = np.random.default_rng(seed)
    features, shown = [], []
    for moved in (0, 1):
        own = rng.normal(size=(200, width)) * np.asarray([1.0, 1, 20, 1, 1, 1])[:width]
        flags = rng.random(200) < 0.4
        own[flags, moved] += 3
        features.append(own)
        shown.append(flags)
    return Known(tuple(features), tuple(shown), np.eye(width)[:2])


def test_the_cosine_metric_makes_squared_distances_of_twice_the_cosine_distance() -> None:
    features = known().features[0]
    for metric in ("cosine", "correlation"):
        found = pdist(transform_of(metric, "none", None)(features)) ** 2 / 2
        np.testing.assert_allclose(found, pdist(features, metric), atol=1e-12, err_msg=metric)


def test_the_rank_metric_is_spearmans_correlation() -> None:
    features = known().features[0][:10]
    units = transform_of("rank", "none", None)(features)
    np.testing.assert_allclose(units @ units.T, spearmanr(features, axis=1).statistic, atol=1e-12)


def test_euclidean_without_weights_changes_nothing() -> None:
    features = known().features[0]
    assert transform_of("euclidean", "none", None)(features).tobytes() == features.tobytes()


def test_whitened_features_vary_alike_in_all_directions_within_the_parents_classes() -> None:
    own = known()
    whitening = whitening_of(own)
    classes = [one[kind] for one, shown in zip(own.features, own.shown, strict=True) for kind in (shown, ~shown)]
    within = np.concatenate([one - one.mean(axis=0) for one in classes]) @ whitening
    spread = np.linalg.eigvalsh(np.cov(within.T))
    assert spread.max() / spread.min() < 2, "one feature was 20 times as wide"
    found = transform_of("mahalanobis", "none", own)(own.features[0])
    np.testing.assert_allclose(found, own.features[0] @ whitening)


def test_the_anova_weight_is_the_f_statistic_of_scikit_learn() -> None:
    own = known()
    found = anova(own.features[0], own.shown[0])
    np.testing.assert_allclose(found, f_classif(own.features[0], own.shown[0])[0])


@pytest.mark.parametrize("kind", ["anova", "lda", "heads"])
def test_features_that_tell_the_parents_concepts_weigh_most_and_every_concept_alike(kind: str) -> None:
    weights = weights_of(kind, known())
    assert weights.mean() == pytest.approx(1)
    assert set(np.argsort(weights)[-2:].tolist()) == {0, 1}
    assert weights[0] == pytest.approx(weights[1], rel=0.3)
    assert weights[:2].sum() > 0.8 * weights.sum()


def test_weights_multiply_squared_differences() -> None:
    own = known()
    weights = weights_of("anova", own)
    found = pdist(transform_of("euclidean", "anova", own)(own.features[0])) ** 2
    np.testing.assert_allclose(found, pdist(own.features[0], "sqeuclidean", w=weights))


@pytest.mark.parametrize(
    "scheme", [("mahalanobis", "none"), ("cosine", "anova"), ("euclidean", "lda"), ("rank", "heads")]
)
def test_constant_features_and_duplicates_stay_finite_and_equal(scheme: tuple[str, str]) -> None:
    flat = np.full((20, 4), 0.3)
    shown = np.arange(20) < 10
    found = transform_of(*scheme, Known((flat,), (shown,), np.zeros((0, 4))))(flat)
    assert np.isfinite(found).all()
    assert (found == found[0]).all()


@pytest.mark.parametrize("metric", ["cosine", "correlation", "rank"])
def test_a_picture_without_features_has_no_direction(metric: str) -> None:
    features = np.concatenate([np.zeros((1, 5)), np.arange(15.0).reshape(3, 5) ** 2])
    found = transform_of(metric, "none", None)(features)
    assert not found[0].any()
    np.testing.assert_allclose(np.linalg.norm(found[1:], axis=1), 1)


def test_one_class_alone_weighs_all_features_alike() -> None:
    own = known()
    alone = replace(own, shown=tuple(np.ones_like(shown) for shown in own.shown))
    for kind in ("anova", "lda"):
        assert (weights_of(kind, alone) == 1).all(), kind


def model() -> ComposedModel:
    """Black and cat side by side."""
    parts = tiny_population("black"), tiny_population("cat", seed=1)
    return ComposedModel(parts, ("0", "1", "2"))


def test_what_is_known_are_the_members_features_of_the_parents_pictures_with_their_own_labels() -> None:
    pictures = training_images("black"), training_images("cat", count=30)
    found = known_of(model(), 1, Run(pictures=pictures), "clusters")
    for own, images in zip(found.features, pictures, strict=True):
        np.testing.assert_array_equal(own, model().features(images)[1].double().numpy())
    assert [shown.tolist() for shown in found.shown] == [images.target.tolist() for images in pictures]


def test_each_head_weighs_the_features_of_its_own_body() -> None:
    pictures = (training_images("black"),)
    found = known_of(model(), 1, Run(pictures=pictures), "clusters")
    weight = model().parts[1].weights[f"{ARCHITECTURE.head}.weight"][1].double().numpy()
    assert found.heads.shape == (2, 2 * weight.shape[1])
    np.testing.assert_allclose(found.heads[1], np.concatenate([0 * weight[0], weight[0] - weight[1]]))


def test_many_pictures_are_thinned_evenly() -> None:
    many = training_images("black", count=1200)
    found = known_of(model(), 0, Run(pictures=(many,)), "clusters")
    assert len(found.features[0]) == 500
    assert found.shown[0][[0, -1]].tolist() == many.target[[0, -1]].tolist()


def test_without_the_parents_pictures_the_error_says_what_to_do() -> None:
    with pytest.raises(ComposerError, match=r"clusters: .* parents' own labelled pictures.* take another metric"):
        known_of(model(), 0, Run(), "clusters")


def test_features_that_are_not_finite_say_nothing() -> None:
    broken = tiny_population()
    weights = {name: value * np.nan if name == "conv2.bias" else value for name, value in broken.weights.items()}
    one = ComposedModel((replace(broken, weights=weights),), broken.members)
    found = known_of(one, 0, Run(pictures=(training_images("black"),)), "clusters")
    assert not found.features[0].any()


def test_weights_count_in_cosines_too() -> None:
    own = known()
    scaled = own.features[0] * np.sqrt(weights_of("anova", own))
    found = pdist(transform_of("cosine", "anova", own)(own.features[0])) ** 2 / 2
    np.testing.assert_allclose(found, pdist(scaled, "cosine"), atol=1e-12)
