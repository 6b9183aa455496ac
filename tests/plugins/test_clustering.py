"""The evaluator `clusters`: its metrics against scikit-learn, its clusters on pictures that part clearly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy.stats import entropy as scipy_entropy
from sklearn import metrics as sklearn_metrics
from torch.nn import functional as F

from composer import ComposedModel, ComposerError, Images, Population, Preprocessing, Run, Scatter, resamples
from composer_clustering import Clusters, metrics
from composer_clustering.methods import NOISE, dbscan, hdbscan, k_distance_knee, kmeans
from composer_clustering.reduction import principal_components
from composer_cnn import CNN
from tiny import tiny_images, tiny_population

IMAGES = tiny_images(per_cell=8)
NAMES = {"accuracy", "precision", "recall", "entropy", "purity", "adjusted_rand", "silhouette"}


def model(members: int = 4, seed: int = 1) -> ComposedModel:
    population = tiny_population(members=members, seed=seed)
    return ComposedModel((population,), population.members)


def dead_model() -> ComposedModel:
    population = tiny_population()
    zeros = {name: torch.zeros_like(value) for name, value in population.weights.items()}
    return ComposedModel((replace(population, weights=zeros),), population.members)


def clear_model() -> ComposedModel:
    """Members whose features grow evenly with a picture's brightness, so that no rounding decides anything."""
    population = tiny_population()
    even = {name: torch.full_like(value, 0.1) for name, value in population.weights.items()}
    bright = Preprocessing(population.preprocessing.size, (0, 0, 0), (1, 1, 1))
    return ComposedModel((replace(population, weights=even, preprocessing=bright),), population.members)


def clear_images(target: int = 15, others: int = 25) -> Images:
    """Bright pictures of the target and dark ones of anything else, each a shade brighter than the one before."""
    shown = np.arange(target + others) < target
    shades = np.where(shown, 200, 20) + np.arange(len(shown))
    pixels = np.broadcast_to(shades[:, None, None, None], (len(shown), 3, 16, 16))
    names = [f"picture {index}" for index in range(len(shown))]
    return Images(names, {"black": shown, "cat": shown}, torch.from_numpy(pixels.astype(np.uint8)))


def clustered() -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64], NDArray[np.float64]]:
    """Clusters -1 to 3 and classes of 50 pictures, 30 resamples as indices and as counts."""
    rng = np.random.default_rng(3)
    drawn = rng.integers(0, 50, (30, 50))
    counts = np.stack([np.bincount(row, minlength=50) for row in drawn]).astype(np.float64)
    return rng.integers(-1, 4, 50), rng.random(50) < 0.4, drawn, counts


def table_of(*rows: tuple[int, int]) -> NDArray[np.float64]:
    return np.asarray([rows], dtype=np.float64)


def test_the_adjusted_rand_index_of_every_resample_is_scikit_learns() -> None:
    labels, target, drawn, counts = clustered()
    table = metrics.contingency(labels, target, counts, range(-1, 4))
    expected = [sklearn_metrics.adjusted_rand_score(target[row], labels[row]) for row in drawn]
    np.testing.assert_allclose(metrics.adjusted_rand(table), expected, atol=1e-12)


def test_the_adjusted_rand_index_is_one_for_equal_partitions_and_zero_for_one_cluster() -> None:
    assert metrics.adjusted_rand(table_of((5, 0), (0, 7))) == [1.0]
    assert metrics.adjusted_rand(table_of((5, 7), (0, 0))) == [0.0]


def test_accuracy_precision_and_recall_of_every_resample_are_scikit_learns() -> None:
    labels, target, drawn, counts = clustered()
    table = metrics.contingency(labels, target, counts, range(-1, 4))
    means_target = np.broadcast_to([False, True, False, True, False], table.shape[:2])
    called = np.isin(labels, [0, 2])
    for name in ("accuracy", "precision", "recall"):
        reference = getattr(sklearn_metrics, f"{name}_score")
        expected = [reference(target[row], called[row]) for row in drawn]
        np.testing.assert_allclose(getattr(metrics, name)(table, means_target), expected, err_msg=name)


def test_precision_is_zero_where_nothing_is_called_the_target() -> None:
    assert metrics.precision(table_of((3, 9)), np.asarray([[False]])) == [0.0]


def test_entropy_is_scipys_of_the_classes_within_clusters_weighted_by_size() -> None:
    labels, target, drawn, counts = clustered()
    table = metrics.contingency(labels, target, counts, range(-1, 4))
    expected = [
        sum(
            (labels[row] == cluster).mean() * scipy_entropy(np.bincount(target[row][labels[row] == cluster]), base=2)
            for cluster in np.unique(labels[row])
        )
        for row in drawn
    ]
    np.testing.assert_allclose(metrics.entropy(table), expected)


def test_purity_is_the_share_of_the_majority_class_within_clusters() -> None:
    assert metrics.purity(table_of((6, 2), (1, 3), (0, 0))) == [(6 + 3) / 12]


def test_the_studys_entropy_and_purity_are_of_the_clusters_within_classes() -> None:
    table = table_of((29, 6), (5, 49))  # its model 229 A: 29 of 34 black cats and 6 of 55 others in one cluster
    expected = 34 / 89 * scipy_entropy([29, 5], base=2) + 55 / 89 * scipy_entropy([6, 49], base=2)
    assert metrics.class_entropy(table) == pytest.approx(expected)
    assert metrics.class_purity(table_of((6, 2), (1, 3))) == pytest.approx((6 + 3) / 12)
    assert metrics.class_purity(table_of((6, 5), (1, 0))) == pytest.approx((6 + 5) / 12)
    assert metrics.purity(table_of((6, 5), (1, 0))) == pytest.approx((6 + 1) / 12)


def test_the_silhouette_of_every_resample_is_scikit_learns() -> None:
    labels, _, drawn, counts = clustered()
    points = np.random.default_rng(5).normal(size=(50, 3)) + labels[:, None]
    distances = np.linalg.norm(points[:, None] - points[None], axis=2)
    expected = [sklearn_metrics.silhouette_score(points[row], labels[row]) for row in drawn]
    np.testing.assert_allclose(metrics.silhouette(distances, labels, counts), expected, atol=1e-9)


def test_the_silhouette_is_zero_below_two_clusters_and_for_clusters_of_one() -> None:
    distances = 1 - np.eye(3)
    assert metrics.silhouette(distances, np.zeros(3, dtype=np.int64), np.ones((1, 3))) == [0.0]
    assert metrics.silhouette(distances, np.arange(3), np.ones((1, 3))) == [0.0]
    gone = np.asarray([[2.0, 1.0, 0.0]])  # the second cluster is not drawn
    assert metrics.silhouette(distances, np.asarray([0, 0, 1]), gone) == [0.0]


def test_two_clusters_are_matched_as_most_pictures_come_out_right() -> None:
    assert metrics.matched(table_of((1, 9), (6, 4))).tolist() == [[False, True]]
    assert metrics.matched(table_of((6, 4), (1, 9))).tolist() == [[True, False]]
    assert metrics.matched(table_of((2, 1), (3, 2))).tolist() == [[False, True]], "equally good: more of the target"


def test_a_cluster_means_the_target_only_with_more_than_half() -> None:
    assert metrics.majority(table_of((3, 2), (2, 2), (0, 4))).tolist() == [[True, False, False]]


@pytest.mark.parametrize("reduction", ["raw", "pca"])
def test_pictures_that_part_clearly_are_clustered_rightly(reduction: str) -> None:
    clusters = Clusters.model_validate({"reduction": reduction, "umap_figure": False})
    scores = clusters.evaluate(clear_model(), clear_images(), Run()).scores
    for method in ("kmeans", "hdbscan"):
        for name in ("accuracy", "precision", "recall", "purity", "adjusted_rand"):
            assert scores[f"{method}.{name}"].values == pytest.approx(1), f"{method}.{name}"
        assert not scores[f"{method}.entropy"].values.any(), method
    assert (scores["dbscan.precision"].values == 1).all()
    assert (scores["one_class_svm.precision"].values == 1).all()


def test_every_method_reports_every_score_without_a_gap() -> None:
    scores = Clusters(umap_figure=False).evaluate(model(), IMAGES, Run()).scores
    methods = ("kmeans", "dbscan", "hdbscan", "one_class_svm")
    assert set(scores) == {f"{method}.{name}" for method in methods for name in NAMES}
    for name, score in scores.items():
        assert score.values.shape == (4,), name
        assert np.isfinite(score.values).all(), name
        assert np.isfinite(score.replicates).all(), name
        assert score.higher_is_better == (not name.endswith("entropy")), name


def test_what_needs_labels_to_name_or_to_find_clusters_is_marked_so() -> None:
    scores = Clusters(umap_figure=False).evaluate(model(), IMAGES, Run()).scores
    fitted = {name for name, score in scores.items() if score.labels == "fitting" and "one_class" not in name}
    named = {"accuracy", "precision", "recall"}
    assert fitted == {f"{way}.{name}" for way in ("kmeans", "dbscan", "hdbscan") for name in named}, "named by labels"
    assert all(score.labels == "fitting" for name, score in scores.items() if name.startswith("one_class_svm."))


def test_the_labels_of_the_pictures_choose_no_cluster() -> None:
    exchanged = Images(IMAGES.names, {name: values[::-1] for name, values in IMAGES.labels.items()}, IMAGES.at(16))
    clusters = Clusters(umap_figure=False)
    first, second = (clusters.evaluate(model(), images, Run()).scores for images in (IMAGES, exchanged))
    for method in ("kmeans", "dbscan", "hdbscan"):
        own, other = (scores[f"{method}.silhouette"].values for scores in (first, second))
        assert own.tobytes() == other.tobytes(), method


def test_the_replicates_keep_the_picked_members_clusters_and_resample_the_pictures() -> None:
    scores = Clusters(methods=("kmeans",), umap_figure=False).evaluate(model(), IMAGES, Run(seed=5, picked=2)).scores
    score = scores["kmeans.silhouette"]
    features = model().features(IMAGES).double().numpy()[2]
    places = principal_components(features, 2, 5)
    from sklearn.cluster import KMeans

    labels = KMeans(2, n_init=1, random_state=5).fit_predict(places)
    drawn = resamples(IMAGES, 5)
    expected = [sklearn_metrics.silhouette_score(places[row], labels[row]) for row in drawn[:20]]
    np.testing.assert_allclose(score.replicates[:20], expected, atol=1e-6)
    assert len(score.replicates) == len(drawn), "one replicate per resample"


def test_a_method_scores_the_same_with_and_without_the_others() -> None:
    every = Clusters(umap_figure=False).evaluate(model(), IMAGES, Run()).scores
    alone = Clusters(methods=("one_class_svm",), umap_figure=False).evaluate(model(), IMAGES, Run()).scores
    assert set(alone) == {f"one_class_svm.{name}" for name in NAMES}
    for name, score in alone.items():
        assert score.values.tobytes() == every[name].values.tobytes(), name


@pytest.mark.parametrize("reduction", ["raw", "pca", "umap"])
def test_dead_networks_put_all_pictures_into_one_cluster(reduction: str) -> None:
    scores = Clusters.model_validate({"reduction": reduction}).evaluate(dead_model(), IMAGES, Run()).scores
    share = IMAGES.target.mean()
    for method in ("kmeans", "dbscan", "hdbscan"):
        assert scores[f"{method}.accuracy"].values == pytest.approx(1 - share), method
    assert scores["one_class_svm.recall"].values == pytest.approx(1), "all are inliers"
    for name in ("silhouette", "adjusted_rand"):
        assert not any(scores[f"{method}.{name}"].values.any() for method in ("kmeans", "dbscan", "hdbscan"))


@pytest.mark.parametrize("reduction", ["raw", "pca", "umap"])
def test_four_pictures_are_enough(reduction: str) -> None:
    scores = Clusters.model_validate({"reduction": reduction}).evaluate(model(2), tiny_images(1), Run()).scores
    assert all(np.isfinite(score.values).all() for score in scores.values())


def test_pictures_that_a_network_cannot_tell_apart_are_clustered_as_duplicates() -> None:
    images = clear_images()
    twice = np.where(images.target[:, None, None, None], 200, 20).astype(np.uint8).repeat(3, 1).repeat(16, 2)
    same = Images(images.names, images.labels, torch.from_numpy(twice.repeat(16, 3)))
    scores = Clusters(reduction="raw").evaluate(clear_model(), same, Run()).scores
    for method in ("kmeans", "dbscan", "hdbscan"):
        assert scores[f"{method}.adjusted_rand"].values == pytest.approx(1), method


def test_the_radius_of_dbscan_lies_where_the_sorted_distances_bend() -> None:
    places = np.concatenate([np.linspace(0, 1, 20), np.linspace(50, 51, 20), [200.0, 400.0]])
    distances = np.abs(places[:, None] - places[None])
    assert 1 / 19 <= k_distance_knee(distances, 3) < 5
    labels = dbscan(distances, None, 3)
    assert labels.tolist() == [0] * 20 + [1] * 20 + [NOISE] * 2
    assert dbscan(distances, 60.0, 3).tolist() == [0] * 40 + [NOISE] * 2, "a radius that is given is kept"


def test_the_radius_of_dbscan_is_a_distance_to_a_neighbour_of_scikit_learns() -> None:
    from sklearn.neighbors import NearestNeighbors

    places = np.random.default_rng(6).normal(size=(40, 3))
    distances = np.linalg.norm(places[:, None] - places[None], axis=2)
    nearest, _ = NearestNeighbors(n_neighbors=4).fit(places).kneighbors(places)  # each picture is its own first
    curve = np.sort(nearest[:, 3])
    below = np.linspace(curve[0], curve[-1], 40) - curve
    assert k_distance_knee(distances, 4) == pytest.approx(curve[np.argmax(below)])


def test_noise_is_never_the_target() -> None:
    images = clear_images(target=6, others=30)
    options = Clusters(methods=("dbscan",), dbscan_eps=1e-9, umap_figure=False)
    scores = options.evaluate(clear_model(), images, Run()).scores
    assert not scores["dbscan.recall"].values.any()
    assert scores["dbscan.accuracy"].values == pytest.approx(30 / 36)


def test_hdbscan_finds_two_dense_groups_and_leaves_the_rest_as_noise() -> None:
    places = np.concatenate([np.linspace(0, 1, 20), np.linspace(50, 51, 20), [200.0, 400.0]])
    labels = hdbscan(np.abs(places[:, None] - places[None]), 5)
    assert len(set(labels[:20])) == len(set(labels[20:40])) == 1
    assert labels[0] != labels[20]
    assert (labels[40:] == NOISE).all()


def test_principal_components_are_scikit_learns_up_to_sign() -> None:
    from sklearn.decomposition import PCA

    features = np.random.default_rng(1).normal(size=(40, 30)) * np.linspace(1, 9, 30)
    expected = PCA(2, svd_solver="full").fit_transform(features)
    np.testing.assert_allclose(np.abs(principal_components(features, 2, 0)), np.abs(expected), atol=1e-8)
    assert principal_components(features[:5], 100, 0).shape == (5, 5)


def test_with_umap_a_few_evenly_spaced_members_are_judged_and_the_report_says_so() -> None:
    clusters = Clusters(reduction="umap", members=2, methods=("kmeans",), umap_figure=False)
    scores = clusters.evaluate(model(5), IMAGES, Run(seed=3)).scores
    population = tiny_population(members=5, seed=1).select([0, 2])
    alone = clusters.evaluate(ComposedModel((population,), population.members), IMAGES, Run(seed=3)).scores
    for name, score in scores.items():
        assert score.values.tobytes() == alone[name].values.tobytes(), name
        assert score.judged == (0, 2)
    with_pick = clusters.evaluate(model(5), IMAGES, Run(seed=3, picked=4)).scores
    assert {score.judged for score in with_pick.values()} == {(0, 2, 4)}, "the picked one is always judged"


def test_features_too_small_for_two_clusters_give_one_without_a_warning() -> None:
    assert set(kmeans(1e-300 * np.random.default_rng(1).normal(size=(20, 2)), 1, 1)) == {0}


def test_the_figure_shows_every_picture_in_the_colour_of_its_cell() -> None:
    run = Run()
    Clusters(methods=("kmeans",)).evaluate(model(2), IMAGES, run)
    figure = run.figures["umap"]
    assert isinstance(figure, Scatter)
    assert len(figure.x) == len(figure.y) == len(IMAGES)
    assert tuple(figure.groups) == IMAGES.cells
    assert tuple(figure.names) == IMAGES.names


def test_the_figure_can_be_left_out() -> None:
    run = Run()
    Clusters(methods=("kmeans",), umap_figure=False).evaluate(model(2), IMAGES, run)
    assert not run.figures


def test_the_same_seed_gives_the_same_bytes_and_leaves_the_threads_alone() -> None:
    threads = torch.get_num_threads()
    first, second = (Clusters(umap_figure=False).evaluate(model(), IMAGES, Run(seed=2**60)) for _ in range(2))
    assert torch.get_num_threads() == threads
    for name, score in first.scores.items():
        assert score.values.tobytes() == second.scores[name].values.tobytes(), name
        assert score.replicates.tobytes() == second.scores[name].replicates.tobytes(), name


@pytest.mark.parametrize("kept", [True, False])
def test_pictures_of_one_kind_only_are_refused(kept: bool) -> None:
    with pytest.raises(ComposerError, match="it needs both kinds"):
        Clusters().evaluate(model(), IMAGES.select(np.flatnonzero(IMAGES.target == kept)), Run())


def diverged(*members: int) -> ComposedModel:
    population = tiny_population()
    weights = {name: value.clone() for name, value in population.weights.items()}
    for member in members:
        weights["conv2.bias"][member] = torch.inf
    return ComposedModel((replace(population, weights=weights),), population.members)


def test_members_whose_features_are_not_finite_are_judged_as_saying_nothing() -> None:
    options = Clusters(methods=("kmeans",), reduction="raw", umap_figure=False)
    scores = options.evaluate(diverged(0), IMAGES, Run(picked=1)).scores
    assert scores["kmeans.adjusted_rand"].values[0] == 0


def test_a_model_all_of_whose_features_are_not_finite_is_refused() -> None:
    with pytest.raises(ComposerError, match="3 of 3 members are not finite \\('black 0'"):
        Clusters().evaluate(diverged(0, 1, 2), IMAGES, Run())


def test_no_method_and_a_method_named_twice_are_problems() -> None:
    assert [option for option, _ in Clusters(methods=()).problems(["black", "cat"])] == ["methods"]
    assert [option for option, _ in Clusters(methods=("kmeans", "kmeans")).problems(["black", "cat"])] == ["methods"]
    assert not list(Clusters().problems(["black", "cat"]))


def study_photographs(folder: Path) -> Images:
    files = [file for kind in ("0", "1") for file in sorted((folder / "GeneratedCNN_test" / kind).iterdir())]

    def decode(size: int) -> torch.Tensor:
        resized = [Image.open(file).convert("RGB").resize((size, size), Image.Resampling.BILINEAR) for file in files]
        return torch.from_numpy(np.stack([np.asarray(picture) for picture in resized])).permute(0, 3, 1, 2)

    shown = [file.parent.name == "1" for file in files]
    return Images([file.name for file in files], {"black": shown, "cat": shown}, decode)


def study_model(folder: Path, number: int) -> ComposedModel:
    """The study's model `number` A: kernels of a cat model, redrawn by its generators; biases are zero."""
    read: Callable[[Path], dict[str, torch.Tensor]] = lambda path: torch.load(  # noqa: E731
        path, weights_only=True, map_location="cpu"
    )
    state = read(folder / "cat_models" / f"cat_model_{number:04d}.pth")
    weights = {}
    for layer, prefix in (("conv1", ""), ("conv2", "2_")):
        generator = read(folder / f"{prefix}generator_B2A.pth")
        hidden = state[f"{layer}.weight"].transpose(0, 1)
        hidden = F.conv3d(hidden, generator["main.0.weight"], generator["main.0.bias"], padding=1).relu()
        hidden = F.conv3d(hidden, generator["main.2.weight"], generator["main.2.bias"], padding=1).tanh()
        weights[f"{layer}.weight"] = hidden.transpose(0, 1)[None].contiguous()
        weights[f"{layer}.bias"] = torch.zeros(1, len(state[f"{layer}.bias"]))
    population = Population("black+cat", CNN(), weights, (f"{number} A",), Preprocessing(32), outputs=())
    return ComposedModel((population,), population.members)


ROUNDINGS = 21


def rounded_anew(model: ComposedModel) -> ComposedModel:
    """Members that are the first one but for the last place of their weights."""
    (part,) = model.parts
    generator = torch.Generator().manual_seed(0)
    weights = {}
    for name, value in part.weights.items():
        noise = torch.randn((ROUNDINGS, *value.shape[1:]), generator=generator)
        weights[name] = value[:1] * (1 + torch.finfo(torch.float32).eps * noise)
    members = tuple(f"{part.members[0]} {time}" for time in range(ROUNDINGS))
    return ComposedModel((replace(part, weights=weights, members=members),), members)


@pytest.mark.slow
@pytest.mark.parametrize(("number", "found", "wrong"), [(229, 29, 6), (1234, 31, 11), (1330, 25, 5)])
def test_the_studys_published_networks_cluster_as_it_printed_to_one_picture(
    shared: Path, number: int, found: int, wrong: int
) -> None:
    if number == 1234 and version("umap-learn") in ("0.5.7", "0.5.8"):
        pytest.skip("these versions of umap-learn lay it out with 13 to 18 pictures wrong in place of 11")
    folder = shared / "mlusingml"
    clusters = Clusters(
        methods=("kmeans",), reduction="umap", kmeans_seed=1, umap_seed=47, umap_figure=False, members=ROUNDINGS
    )
    model = rounded_anew(study_model(folder, number))
    scores = clusters.evaluate(model, study_photographs(folder), Run()).scores
    true_positives = 34 * scores["kmeans.recall"].values
    false_positives = true_positives / scores["kmeans.precision"].values - true_positives
    met = (abs(true_positives - found) < 1.01) & (abs(false_positives - wrong) < 1.01)
    # UMAP's layout depends on the last bit of the features, and so on the machine: of 229 six roundings of ten give
    # what was printed, and nearly all others four pictures more, of the other two eight or nine of ten.
    assert met.sum() >= ROUNDINGS / 3, list(zip(true_positives.round(), false_positives.round(), strict=True))
