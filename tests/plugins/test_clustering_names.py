"""Clusters that are named by the parents, without a label."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

from clustered import IMAGES, model
from composer import ComposerError, Expression, Run
from composer_clustering import Clusters
from composer_clustering.evaluation import Spaces, labels_of
from composer_clustering.naming import named_by, parents_said
from tiny import tiny_population


def test_of_two_clusters_the_one_of_which_the_parents_are_surer_is_the_targets() -> None:
    sure = np.asarray([-9.0, -8, -1, -2])
    labels = np.asarray([0, 0, 1, 1])
    assert named_by(sure, labels, (0, 1), two=True).tolist() == [False, True]


@pytest.mark.parametrize(
    ("sure", "named"),
    [
        ([1, 1, -1, 3, 3, -1, -1], [False, True, True]),
        ([9, -1, -1, -2, -2, -1, -1], [False, True, False]),
        ([9, -1, -1, -1, 8, -1, -1], [False, False, True]),
        ([-1, -1, -1, -2, -2, 5, 5], [False, True, False]),
    ],
)
def test_of_more_clusters_those_that_most_pictures_say_are_else_the_surest_and_never_noise(
    sure: Sequence[float], named: list[bool]
) -> None:
    labels = np.asarray([0, 0, 0, 1, 1, -1, -1])
    assert named_by(np.asarray(sure, dtype=np.float64), labels, (-1, 0, 1), two=False).tolist() == named


def test_the_parents_say_the_target_by_the_mean_of_their_members() -> None:
    parents = tiny_population("black"), tiny_population("cat", seed=1)
    each = {parent.concept: parent.log_odds(IMAGES).mean(0) for parent in parents}
    found = parents_said(IMAGES, Run(parents=parents))
    expected = Expression.all_of(["black", "cat"]).log_odds(each).double().numpy()
    np.testing.assert_allclose(found, expected)
    turned = parents_said(IMAGES.asked_for(Expression.parse("cat and not black")), Run(parents=parents))
    assert not np.allclose(found, turned)


def test_names_by_the_parents_are_scores_of_their_own_and_need_no_label() -> None:
    parents = tiny_population("black"), tiny_population("cat", seed=1)
    options = Clusters(name_by_parents=True, umap_figure=False)
    scores = options.evaluate(model(), IMAGES, Run(parents=parents)).scores
    plain = Clusters(umap_figure=False).evaluate(model(), IMAGES, Run()).scores
    added = {
        f"{way}.{name}_by_parents"
        for way in ("kmeans", "dbscan", "hdbscan")
        for name in ("accuracy", "precision", "recall")
    }
    assert set(scores) == set(plain) | added
    assert {scores[name].labels for name in added} == {"scoring"}
    assert scores["kmeans.accuracy"].values.tobytes() == plain["kmeans.accuracy"].values.tobytes()
    features = model().features(IMAGES)[0].double().numpy()
    labels = labels_of(options, "kmeans", Spaces(model(), Run()).of(options, 0, features), IMAGES.target, 0)
    cluster = int(np.argmax(named_by(parents_said(IMAGES, Run(parents=parents)), labels, (0, 1), two=True)))
    right = float(((labels == cluster) == IMAGES.target).mean())
    assert scores["kmeans.accuracy_by_parents"].values[0] == pytest.approx(right)


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (Run(), "asks the parents, and here are none"),
        (Run(parents=(tiny_population("red"),)), "red say nothing of"),
        (Run(parents=(replace(tiny_population("black"), outputs=()),)), "nothing says which of them mean 'black'"),
    ],
)
def test_parents_that_cannot_name_clusters_are_refused(run: Run, message: str) -> None:
    with pytest.raises(ComposerError, match=message):
        parents_said(IMAGES, run)


def test_parents_without_a_finite_answer_are_refused() -> None:
    parent = tiny_population("black")
    weights = {name: torch.full_like(value, torch.nan) for name, value in parent.weights.items()}
    with pytest.raises(ComposerError, match="no network of 'black' gives finite answers"):
        parents_said(IMAGES, Run(parents=(replace(parent, weights=weights),)))


def test_more_clusters_of_kmeans_are_named_by_what_most_of_their_pictures_are() -> None:
    scores = Clusters(kmeans_clusters=4, methods=("kmeans",), umap_figure=False).evaluate(model(), IMAGES, Run()).scores
    assert np.isfinite(scores["kmeans.accuracy"].values).all()
    many = Clusters(kmeans_clusters=99, methods=("kmeans",), reduction="raw", umap_figure=False)
    alone = many.evaluate(model(), IMAGES, Run()).scores
    assert alone["kmeans.purity"].values == pytest.approx(1), "a cluster for each picture"
