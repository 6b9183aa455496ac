"""From features to the report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from composer import ComposedModel, ComposerError, Images, Report, Run, Scatter, Score, resamples, umap_embedding
from composer_clustering import methods, metrics
from composer_clustering.naming import named_by, parents_said
from composer_clustering.reduction import all_equal, principal_components
from composer_geometry import Known, known_of, transform_of

if TYPE_CHECKING:
    from composer_clustering import Clusters

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

LOWER_IS_BETTER = ("entropy",)
NAMED_BY_LABELS = ("accuracy", "precision", "recall")
"""Scores for which somebody has to say which cluster is the target: here the test labels do."""


@dataclass(frozen=True)
class Space:
    """Where a member's pictures are clustered: their places [N, K] and their distances [N, N]."""

    places: Floats
    distances: Floats


@dataclass(frozen=True)
class Clustered:
    """A member's pictures, and by each method their clusters."""

    space: Space
    labels: Mapping[str, Labels]


def evaluate(options: Clusters, model: ComposedModel, images: Images, run: Run, spaces: Spaces | None = None) -> Report:
    """All scores of every method, over the judged members."""
    from threadpoolctl import threadpool_limits

    require_both(images)
    judged = judged_members(len(model), options, run.picked)
    member_spaces = spaces or Spaces(model, run)
    features = answers(model.features(images, run.device), model, judged)
    said = parents_said(images, run) if options.name_by_parents else None
    # A member's clusters take milliseconds: on busy cores, threads that wait for each other make them ten times slower.
    with threadpool_limits(limits=1):
        found, picked = _cluster(options, features, images, judged, run, member_spaces, said)
        scores = {
            f"{way}.{name}": score
            for way in options.methods
            for name, score in _report(way, found[way], picked, images, run.seed, judged, model, said).items()
        }
    if options.umap_figure:
        run.figure("umap", _figure(options, picked.space, features[run.picked], images, run.seed))
    return Report(scores)


def _cluster(
    options: Clusters,
    features: Tensor,
    images: Images,
    judged: list[int],
    run: Run,
    spaces: Spaces,
    said: Floats | None,
) -> tuple[dict[str, list[dict[str, Floats]]], Clustered]:
    """Per method the scores of each judged member; and the clusters of the picked one."""
    found: dict[str, list[dict[str, Floats]]] = {way: [] for way in options.methods}
    every = np.ones((1, len(images)))
    picked: Clustered | None = None
    for member in run.progress(judged, "clustering", len(judged)):
        space = spaces.of(options, member, features[member].double().numpy())
        labels: dict[str, Labels] = {
            way: labels_of(options, way, space, images.target, run.seed) for way in options.methods
        }
        for way, own in labels.items():
            found[way].append(_scores(way, space, own, images.target, every, said))
        if member == run.picked:
            picked = Clustered(space, labels)
    assert picked is not None, "the picked member is judged"
    return found, picked


def judged_members(members: int, options: Clusters, picked: int) -> list[int]:
    """The members to judge: all, or with UMAP at most `options.members`, evenly spaced, and the picked one."""
    if options.reduction != "umap" or options.members is None or options.members >= members:
        return list(range(members))
    return sorted({picked, *(index * members // options.members for index in range(options.members))})


class Spaces:
    """The spaces in which the members of a model are clustered, those of the picked one each made once."""

    def __init__(self, model: ComposedModel, run: Run) -> None:
        self.model = model
        self.run = run
        self._spaces: dict[tuple[object, ...], Space] = {}
        self._known: tuple[int, Known] | None = None

    def of(self, options: Clusters, member: int, features: Floats) -> Space:
        """Where the pictures of one member lie, from its features of them."""
        umap = options.umap_seed if options.reduction == "umap" else None
        components = None if options.reduction == "raw" else options.components
        key = (options.metric, options.weights, options.reduction, components, umap)
        if member != self.run.picked:
            return self._made(options, member, features)
        if key not in self._spaces:
            self._spaces[key] = self._made(options, member, features)
        return self._spaces[key]

    def _made(self, options: Clusters, member: int, features: Floats) -> Space:
        known = self.known(member) if options.terms.pictures == "labelled" else None
        transform = transform_of(options.metric, options.weights, known)
        return space_of(options, transform(features), self.run.seed)

    def known(self, member: int) -> Known:
        """What the member makes of the parents' own pictures."""
        if self._known is None or self._known[0] != member:
            self._known = member, known_of(self.model, member, self.run, "clusters")
        return self._known[1]


def space_of(options: Clusters, features: Floats, seed: int) -> Space:
    from scipy.spatial.distance import pdist, squareform  # half a second to import

    if options.reduction == "pca":
        features = principal_components(features, options.components, _seed(None, seed))
    elif options.reduction == "umap":
        features = umap_embedding(features, options.components, _seed(options.umap_seed, seed))
    return Space(features, squareform(pdist(features)))


def labels_of(options: Clusters, way: str, space: Space, target: NDArray[np.bool_], seed: int) -> Labels:
    if all_equal(space.places):
        return np.full(len(space.places), 1 if way == "one_class_svm" else 0)
    if way == "kmeans":
        return methods.kmeans(
            space.places, _seed(options.kmeans_seed, seed), options.kmeans_restarts, options.kmeans_clusters
        )
    if way == "dbscan":
        return methods.dbscan(space.distances, _radius(options, space), options.dbscan_min_samples)
    if way == "hdbscan":
        return methods.hdbscan(space.distances, options.hdbscan_min_cluster_size)
    return methods.one_class_svm(space.places, target, options.svm_nu)


def _radius(options: Clusters, space: Space) -> float | None:
    if options.dbscan_quantile is None:
        return options.dbscan_eps
    return methods.k_distance_quantile(space.distances, options.dbscan_min_samples, options.dbscan_quantile)


def _scores(
    way: str, space: Space, labels: Labels, target: NDArray[np.bool_], counts: Floats, said: Floats | None = None
) -> dict[str, Floats]:
    """Score name -> [B], on B resamples of the pictures given as counts [B, N]. said: the parents' log-odds [N]."""
    two = way == "kmeans" and labels.max() <= 1
    clusters = [1, -1] if way == "one_class_svm" else [0, 1] if two else np.unique(labels).tolist()
    table = metrics.contingency(labels, target, counts, clusters)
    if two:
        means_target = metrics.matched(table)
    elif way == "one_class_svm":
        means_target = np.broadcast_to([True, False], table.shape[:2])
    else:
        means_target = metrics.majority(table) & (np.asarray(clusters) != methods.NOISE)
    by_parents = {}
    if said is not None and way != "one_class_svm":
        named = np.broadcast_to(named_by(said, labels, clusters, two), table.shape[:2])
        for name in NAMED_BY_LABELS:
            by_parents[f"{name}_by_parents"] = getattr(metrics, name)(table, named)
    return {
        **by_parents,
        "accuracy": metrics.accuracy(table, means_target),
        "precision": metrics.precision(table, means_target),
        "recall": metrics.recall(table, means_target),
        "entropy": metrics.entropy(table),
        "purity": metrics.purity(table),
        "adjusted_rand": metrics.adjusted_rand(table),
        "silhouette": metrics.silhouette(space.distances, labels, counts),
    }


def _report(
    way: str,
    found: list[dict[str, Floats]],
    picked: Clustered,
    images: Images,
    seed: int,
    judged: list[int],
    model: ComposedModel,
    said: Floats | None,
) -> dict[str, Score]:
    counts = _counts(resamples(images, seed), len(images))
    replicates = _scores(way, picked.space, picked.labels[way], images.target, counts, said)
    return {
        name: Score(
            np.concatenate([scores[name] for scores in found]),
            replicates[name],
            labels="fitting" if way == "one_class_svm" or name in NAMED_BY_LABELS else "scoring",
            base=float(max(images.target.mean(), 1 - images.target.mean())) if name.startswith("accuracy") else None,
            higher_is_better=name not in LOWER_IS_BETTER,
            judged=tuple(judged) if len(judged) < len(model) else None,
        )
        for name in replicates
    }


def _figure(options: Clusters, space: Space, features: Tensor, images: Images, seed: int) -> Scatter:
    places = space.places
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


def answers(features: Tensor, model: ComposedModel, judged: list[int]) -> Tensor:
    """The features [M, N, D], those of members with NaN or infinite ones as 0: such a member says nothing.

    ComposerError where no judged member is left.
    """
    broken = [member for member in judged if not bool(features[member].isfinite().all())]
    if len(broken) == len(judged):
        names = ", ".join(repr(model.members[member]) for member in broken[:3])
        raise ComposerError(
            f"clusters: the features of {len(broken)} of {len(judged)} members are not finite ({names}); their "
            "training or their kernels have diverged: lower the learning rate, or leave them out"
        )
    if broken:
        features = features.clone()
        features[broken] = 0
    return features


def require_both(images: Images) -> None:
    shown = int(images.target.sum())
    if shown == 0 or shown == len(images):
        missing = "no picture" if shown == 0 else "only pictures"
        raise ComposerError(f"clusters: {missing} of the target among {len(images)} test pictures; it needs both kinds")
