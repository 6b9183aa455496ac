"""The evaluator `tuned`: a search without labels, bounded, seeded and resumed."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clustered import IMAGES, OBJECTIVES, Floats, Memory, groups, model, tuned_by_stability
from composer import ComposedModel, ComposerError, Images, Lines, Run, Table
from composer_clustering import Clusters, Tuned, tuning
from composer_clustering.evaluation import Spaces, labels_of
from composer_clustering.methods import dbscan
from composer_clustering.objectives import (
    ALL_NOISE,
    ONE_CLUSTER,
)
from composer_clustering.observing import worth
from composer_clustering.search import Fixed, Found, order_of, search
from composer_clustering.space import combinations, said
from tiny import tiny_population, training_images


def chosen(features: Floats, run: Run | None = None, keeper: Any = None, **options: Any) -> dict[str, tuning.Searched]:
    surroundings = run or Run()
    found = tuning.choose(tuned_by_stability(**options), features, Spaces(model(), surroundings), surroundings, keeper)
    return {one.method: one for one in found}


class LabelsSeenError(AssertionError):
    """Somebody looked at a label."""


class Sealed(Images):
    """Pictures whose labels nobody may look at."""

    @property
    def target(self) -> NDArray[np.bool_]:
        raise LabelsSeenError

    @property
    def cells(self) -> tuple[str, ...]:
        raise LabelsSeenError


# -- the search ---------------------------------------------------------------------------------


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_finds_three_clear_groups(objective: str) -> None:
    found = chosen(groups(), objective=objective, vary=("clusters",), trials=6)["kmeans"]
    assert found.chosen == {"kmeans_clusters": 3}


def test_the_search_looks_at_no_label() -> None:
    sealed = Sealed(IMAGES.names, IMAGES.labels, IMAGES.at(16))
    with pytest.raises(LabelsSeenError):
        _ = sealed.target
    features = model().features(sealed)[0].double().numpy()
    run = Run(pictures=(training_images("black"), training_images("cat")))
    options: dict[str, Any] = {"trials": 4, "vary": ("clusters", "reduction", "metric", "weights")}
    assert len(chosen(features, run, **options)) == 3


def test_the_options_are_chosen_before_a_label_is_looked_at_and_exchanged_labels_choose_the_same() -> None:
    tuned = tuned_by_stability(of=Clusters(umap_figure=False), trials=4)
    turned = Images(IMAGES.names, {name: values[::-1] for name, values in IMAGES.labels.items()}, IMAGES.at(16))
    runs = Run(), Run()
    for images, run in zip((IMAGES, turned), runs, strict=True):
        tuned.evaluate(model(), images, run)
    assert runs[0].figures["trials"] == runs[1].figures["trials"]


def test_the_same_seed_tries_and_chooses_the_same_and_another_tries_others() -> None:
    first, again, other = (chosen(groups(), Run(seed=seed), trials=5)["dbscan"].found for seed in (1, 1, 2))
    assert first == again
    assert first.tried != other.tried


@pytest.mark.parametrize("by", ["random", "grid"])
def test_what_is_tried_is_tried_once_and_the_base_first(by: str) -> None:
    for count, trials in ((1, 5), (2, 1), (30, 7), (30, 30), (30, 99)):
        order = order_of(count, by, trials, seed=0)
        assert order[0] == 0
        assert len(set(order)) == len(order) == min(count, trials)
        assert max(order) < count
    assert order_of(10, "grid", 4, 0) == [0, 1, 4, 7]


class Kept:
    """Worths that were kept before."""

    def __init__(self, values: dict[int, float]) -> None:
        self.values = values

    def before(self) -> dict[int, float]:
        return dict(self.values)

    def keep(self, values: dict[int, float]) -> None:
        self.values = values


def test_a_search_that_was_broken_off_goes_on_where_it_was() -> None:
    kept, asked = Kept({4: 0.5}), list[int]()

    def value(number: int) -> float:
        asked.append(number)
        return number / 10

    found = search(Fixed([0, 4, 7]), value, None, kept)
    assert asked == [0, 7]
    assert found == Found([0, 4, 7], [0, 0.5, 0.7], 3)
    assert kept.values == {4: 0.5, 0: 0, 7: 0.7}


def test_a_search_ends_with_its_time_and_tries_one_at_least() -> None:
    found = search(Fixed([3, 1, 2]), float, -math.inf, Kept({2: 9.0}))
    assert found.tried == [3]
    run = Run()
    searched = chosen(groups(), run, timeout=1e-9, trials=4)
    assert [len(one.found.tried) for one in searched.values()] == [1, 1, 1]
    assert [message.split(":")[0] for message in run.warnings] == ["tuned"] * 3
    assert "1 of 4 trials" in run.warnings[0]


def test_trials_are_kept_in_the_store_and_more_of_them_try_only_the_new_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    memory, asked = Memory(), list[str]()

    def counted(objective: str, *rest: Any) -> float:
        asked.append(objective)
        return worth(objective, *rest)

    monkeypatch.setattr(tuning, "worth", counted)
    few = chosen(groups(), keeper=memory, trials=3)
    assert len(asked) == 9
    assert chosen(groups(), keeper=memory, trials=3) == few
    assert len(asked) == 9
    chosen(groups(), keeper=memory, trials=5)
    assert len(asked) == 15
    for other in ({"objective": "silhouette"}, {"of": Clusters(kmeans_restarts=2)}):
        before = len(asked)
        chosen(groups(), keeper=memory, trials=3, **other)
        assert len(asked) == before + 9, f"{other} is another search"
    before = len(asked)
    chosen(groups(seed=1), keeper=memory, trials=3)
    assert len(asked) == before + 9, "other features"


def test_embeddings_are_computed_once_for_each_set_of_options(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    def embedded(features: Floats, components: int, seed: int) -> Floats:
        made.append(components)
        return features[:, :components]

    monkeypatch.setattr("composer_clustering.evaluation.umap_embedding", embedded)
    chosen(groups(), vary=("clusters", "umap"), trials=60)
    assert sorted(made) == [2, 5]


# -- what is searched ---------------------------------------------------------------------------


def test_combinations_start_with_the_base_and_are_all_different() -> None:
    base = Clusters(dbscan_eps=2.0, reduction="raw")
    found = combinations("dbscan", ("clusters", "reduction", "umap", "metric", "weights"), base)
    assert found[0] == {}
    assert len({repr(sorted(one.items())) for one in found}) == len(found)
    for changed in found:
        assert list(base.model_copy(update=changed).problems(())) == [], changed


def test_only_what_may_vary_varies() -> None:
    assert combinations("kmeans", ("metric",), Clusters()) == [
        {},
        {"metric": "cosine"},
        {"metric": "correlation"},
        {"metric": "rank"},
    ]
    assert {one.get("weights") for one in combinations("kmeans", ("weights",), Clusters())} == {
        None,
        "anova",
        "heads",
        "lda",
    }


def test_options_are_told_in_words() -> None:
    assert said(Clusters(), "kmeans", {"kmeans_clusters": 3}) == "kmeans_clusters 3, pca 2, euclidean"
    changed = {"dbscan_quantile": 0.5, "reduction": "raw", "metric": "cosine", "weights": "lda"}
    told = said(Clusters(), "dbscan", changed)
    assert told == "dbscan_quantile 0.5, dbscan_min_samples 3, raw, cosine, weights lda"
    assert said(Clusters(), "dbscan", {}).startswith("eps at the knee, ")
    assert said(Clusters(dbscan_eps=2), "dbscan", {}).startswith("eps 2, ")


# -- bad input ----------------------------------------------------------------------------------


@pytest.mark.parametrize("features", [np.ones((20, 5)), np.repeat(np.eye(2), 2, axis=0), groups(each=1)])
@pytest.mark.parametrize("objective", ["stability", "dbcv"])
def test_constant_features_duplicates_and_fewer_pictures_than_neighbours_are_worked(
    features: Floats, objective: str
) -> None:
    run = Run()
    found = chosen(features, run, objective=objective, trials=60, vary=("clusters", "metric"))
    for one in found.values():
        assert np.isfinite(one.found.worth).all()
    if features.std() == 0:
        assert all(one.failed and one.chosen == {} for one in found.values())
        assert "no trial of K-means found clusters that can be judged (one cluster)" in run.warnings[0]


def test_a_member_without_finite_features_is_refused_before_the_search() -> None:
    broken = tiny_population(members=1)
    weights = {name: value * np.nan for name, value in broken.weights.items()}
    one = ComposedModel((replace(broken, weights=weights),), broken.members)
    with pytest.raises(ComposerError, match="clusters: the features of 1 of 1 members are not finite"):
        tuned_by_stability(trials=2).evaluate(one, IMAGES, Run())


@pytest.mark.parametrize(
    ("options", "option", "message"),
    [
        ({"vary": ()}, "vary", "name what is searched"),
        ({"vary": ("metric", "metric")}, "vary", "each once"),
        ({"of": Clusters(methods=("one_class_svm",))}, "of", "name one that can be tuned"),
        ({"of": Clusters(methods=())}, "of", "methods: no way of clustering"),
        ({"of": Clusters(metric="mahalanobis", weights="lda")}, "of", "weights: whitening undoes them"),
        ({"of": Clusters(dbscan_eps=1, dbscan_quantile=0.5)}, "of", "dbscan_quantile: says the radius"),
    ],
)
def test_options_that_cannot_be_are_named_before_any_work(options: dict[str, Any], option: str, message: str) -> None:
    found = list(Tuned(**options).problems(("black", "cat")))
    assert any(name == option and message in text for name, text in found), found


def test_the_parents_pictures_are_asked_for_only_where_they_are_needed() -> None:
    assert Tuned().terms.pictures == Clusters(metric="rank").terms.pictures == "none"
    assert Tuned(vary=("weights",)).terms.pictures == Tuned(of=Clusters(weights="lda")).terms.pictures == "labelled"
    assert Clusters(metric="mahalanobis").terms.pictures == "labelled"
    assert tuned_by_stability(of=Clusters(name_by_parents=True)).terms.populations
    assert not tuned_by_stability().terms.populations


# -- the report ---------------------------------------------------------------------------------


def test_the_report_scores_the_chosen_options_and_shows_trials_history_and_choice() -> None:
    run = Run(picked=1)
    of = Clusters(umap_figure=False, methods=("kmeans", "hdbscan", "one_class_svm"))
    scores = tuned_by_stability(of=of, trials=4).evaluate(model(), IMAGES, run).scores
    trials, choice, history = (run.figures[name] for name in ("trials", "chosen", "search"))
    assert isinstance(trials, Table)
    assert isinstance(choice, Table)
    assert isinstance(history, Lines)
    assert len(trials.rows) == 8
    assert "stability" in choice.title
    assert set(history.series) == {"K-means", "HDBSCAN"}
    for one in history.series.values():
        assert list(one) == sorted(one)
        assert len(one) == 4
    features = model().features(IMAGES)[1].double().numpy()
    searched = {
        one.method: one
        for one in tuning.choose(
            tuned_by_stability(of=of, trials=4), features, Spaces(model(), Run(picked=1)), Run(picked=1)
        )
    }
    options = of.model_copy(update=dict(searched["kmeans"].chosen))
    plain = options.evaluate(model(), IMAGES, Run(picked=1)).scores
    for name in ("kmeans.adjusted_rand", "kmeans.purity"):
        assert scores[name].values.tobytes() == plain[name].values.tobytes()
    svm = of.evaluate(model(), IMAGES, Run(picked=1)).scores["one_class_svm.accuracy"]
    assert scores["one_class_svm.accuracy"].values.tobytes() == svm.values.tobytes()
    best = max(searched.values(), key=lambda one: one.value).method
    assert scores["chosen.adjusted_rand"] is scores[f"{best}.adjusted_rand"]
    assert [row[-1] for row in choice.rows] == ["yes" if name == best else "" for name in ("kmeans", "hdbscan")]


def test_where_every_trial_failed_the_options_stay_whatever_failed_least() -> None:
    searched = tuning.Searched("dbscan", [{}, {"dbscan_min_samples": 5}], Found([0, 1], [ONE_CLUSTER, ALL_NOISE], 2))
    assert searched.failed
    assert searched.chosen == {}


def test_a_base_that_no_axis_has_is_tried_first_too() -> None:
    assert combinations("kmeans", ("clusters",), Clusters(kmeans_clusters=7))[0] == {}


def test_other_weights_are_another_space() -> None:
    run = Run(pictures=(training_images("black"), training_images("cat")))
    spaces = Spaces(model(), run)
    features = model().features(IMAGES)[0].double().numpy()
    plain, weighed, again = (
        spaces.of(Clusters.model_validate({"weights": weights}), 0, features) for weights in ("none", "anova", "none")
    )
    assert plain is again
    assert not np.allclose(plain.distances, weighed.distances)


def test_a_quantile_of_the_distances_to_the_neighbours_is_a_radius_of_dbscan() -> None:
    space = Spaces(model(), Run()).of(Clusters(reduction="raw"), 0, groups(apart=3))
    nearest = np.sort(space.distances, axis=1)[:, 4]
    for share in (0.2, 0.9):
        options = Clusters(dbscan_quantile=share, dbscan_min_samples=5)
        expected = dbscan(space.distances, float(np.quantile(nearest, share)), 5)
        assert labels_of(options, "dbscan", space, IMAGES.target, 0).tolist() == expected.tolist()
