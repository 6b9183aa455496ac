"""From features to the report."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from composer import ComposedModel, ComposerError, Images, Report, Run, Scatter, Score, resamples
from composer_clustering import methods, metrics
from composer_clustering.reduction import all_equal, principal_components, umap_embedding

if TYPE_CHECKING:
    from composer_clustering import Clusters

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

LOWER_IS_BETTER = ("entropy",)


@dataclass(frozen=True)
class Space:
    """Where a member's pictures are clustered: their places [N, K] and their distances [N, N]."""

    places: Floats
    distances: Floats


@dataclass(frozen=True)
class Pick:
    """The member that a method chooses without labels: its index among the judged ones, and what it found."""

    index: int
    silhouette: float
    space: Space
    labels: Labels


def evaluate(options: Clusters, model: ComposedModel, images: Images, run: Run) -> Report:
    """All scores of every method, over the judged members."""
    from threadpoolctl import threadpool_limits

    _require_both(images)
    judged = judged_members(len(model), options)
    features = model.features(images, run.device)
    # A member's clusters take milliseconds: on busy cores, threads that wait for each other make them ten times slower.
    with threadpool_limits(limits=1):
        found, picks = _cluster(options, model, features, images, judged, run)
        scores = {
            f"{way}.{name}": score
            for way in options.methods
            for name, score in _report(way, found[way], picks[way], images, run.seed, judged, len(model)).items()
        }
    if options.umap_figure:
        pick = picks["kmeans"]
        run.figure("umap", _figure(options, pick, features[judged[pick.index]], images, run.seed))
    return Report(scores)


def _cluster(
    options: Clusters, model: ComposedModel, features: Tensor, images: Images, judged: list[int], run: Run
) -> tuple[dict[str, list[dict[str, Floats]]], dict[str, Pick]]:
    """Per method: the scores of each judged member, and the picked one."""
    ways = ["kmeans", *(way for way in options.methods if way != "kmeans")]  # K-means also picks for others
    found: dict[str, list[dict[str, Floats]]] = {way: [] for way in ways}
    picks: dict[str, Pick] = {}
    every = np.ones((1, len(images)))
    for index, member in enumerate(run.progress(judged, "clustering", len(judged))):
        space = _space(options, _finite(features[member], model.members[member]), run.seed)
        for way in ways:
            labels = _labels(options, way, space, images.target, run.seed)
            found[way].append(_scores(way, space, labels, images.target, every))
            judge = float(found["kmeans" if way == "one_class_svm" else way][-1]["silhouette"][0])
            if way not in picks or judge > picks[way].silhouette:
                picks[way] = Pick(index, judge, space, labels)
    return found, picks


def judged_members(members: int, options: Clusters) -> list[int]:
    """The members to judge: all, or with UMAP at most `options.members`, evenly spaced."""
    if options.reduction != "umap" or options.members is None or options.members >= members:
        return list(range(members))
    return [index * members // options.members for index in range(options.members)]


def _space(options: Clusters, features: Floats, seed: int) -> Space:
    from scipy.spatial.distance import pdist, squareform  # half a second to import

    if options.reduction == "pca":
        features = principal_components(features, options.components, _seed(None, seed))
    elif options.reduction == "umap":
        features = umap_embedding(features, options.components, _seed(options.umap_seed, seed))
    return Space(features, squareform(pdist(features)))


def _labels(options: Clusters, way: str, space: Space, target: NDArray[np.bool_], seed: int) -> Labels:
    if all_equal(space.places):
        return np.full(len(target), 1 if way == "one_class_svm" else 0)
    if way == "kmeans":
        return methods.kmeans(space.places, _seed(options.kmeans_seed, seed), options.kmeans_restarts)
    if way == "dbscan":
        return methods.dbscan(space.distances, options.dbscan_eps, options.dbscan_min_samples)
    if way == "hdbscan":
        return methods.hdbscan(space.distances, options.hdbscan_min_cluster_size)
    return methods.one_class_svm(space.places, target, options.svm_nu)


def _scores(way: str, space: Space, labels: Labels, target: NDArray[np.bool_], counts: Floats) -> dict[str, Floats]:
    """Score name -> [B], on B resamples of the pictures given as counts [B, N]."""
    clusters = {"kmeans": [0, 1], "one_class_svm": [1, -1]}.get(way, np.unique(labels).tolist())
    table = metrics.contingency(labels, target, counts, clusters)
    if way == "kmeans":
        means_target = metrics.matched(table)
    elif way == "one_class_svm":
        means_target = np.broadcast_to([True, False], table.shape[:2])
    else:
        means_target = metrics.majority(table) & (np.asarray(clusters) != methods.NOISE)
    return {
        "accuracy": metrics.accuracy(table, means_target),
        "precision": metrics.precision(table, means_target),
        "recall": metrics.recall(table, means_target),
        "entropy": metrics.entropy(table),
        "purity": metrics.purity(table),
        "adjusted_rand": metrics.adjusted_rand(table),
        "silhouette": metrics.silhouette(space.distances, labels, counts),
    }


def _report(
    way: str, found: list[dict[str, Floats]], pick: Pick, images: Images, seed: int, judged: list[int], members: int
) -> dict[str, Score]:
    counts = _counts(resamples(images, seed), len(images))
    replicates = _scores(way, pick.space, pick.labels, images.target, counts)
    picked_by = "highest silhouette of K-means" if way == "one_class_svm" else "highest silhouette"
    if len(judged) < members:
        picked_by += f", of {len(judged)} of {members} members"
    return {
        name: Score(
            np.concatenate([scores[name] for scores in found]),
            pick.index,
            picked_by,
            replicates[name],
            labels="fitting" if way == "one_class_svm" else "scoring",
            higher_is_better=name not in LOWER_IS_BETTER,
            judged=tuple(judged) if len(judged) < members else None,
        )
        for name in replicates
    }


def _figure(options: Clusters, pick: Pick, features: Tensor, images: Images, seed: int) -> Scatter:
    places = pick.space.places
    if options.reduction != "umap" or places.shape[1] != 2:
        places = umap_embedding(features.double().numpy(), 2, _seed(options.umap_seed, seed))
    return Scatter(
        "Features of the picked member (UMAP)", places[:, 0].tolist(), places[:, 1].tolist(), images.cells, images.names
    )


def _seed(option: int | None, seed: int) -> int:
    """The option, or the stage's seed within what the libraries take."""
    return seed % 2**32 if option is None else option


def _counts(drawn: NDArray[np.int64], pictures: int) -> Floats:
    """How often each picture was drawn, [B, N], from the indices drawn [B, N]."""
    rows = np.arange(len(drawn))[:, None] * pictures
    counts = np.bincount((drawn + rows).ravel(), minlength=len(drawn) * pictures)
    return counts.reshape(len(drawn), pictures).astype(np.float64)


def _finite(features: Tensor, member: str) -> Floats:
    values: Floats = features.double().numpy()
    if not np.isfinite(values).all():
        raise ComposerError(
            f"clusters: the features of member {member!r} are not finite; its training or its kernels have "
            "diverged: lower the learning rate, or leave it out"
        )
    return values


def _require_both(images: Images) -> None:
    shown = int(images.target.sum())
    if shown == 0 or shown == len(images):
        missing = "no picture" if shown == 0 else "only pictures"
        raise ComposerError(f"clusters: {missing} of the target among {len(images)} test pictures; it needs both kinds")
