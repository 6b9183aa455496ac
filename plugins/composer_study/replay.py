"""The study's own pipeline for single networks: UMAP to the plane, then K-means, a one-class SVM and DBSCAN.

What it finds depends on the last place of the features: two correct convolution routines differ there, and UMAP's
neighbourhoods with them. So a network can be judged several times, its features rounded anew each time.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from composer import umap_embedding

Floats = NDArray[np.float64]
Features = NDArray[np.float32]
Integers = NDArray[np.int64]
Flags = NDArray[np.bool_]

METHODS = ("kmeans", "one_class_svm", "dbscan")
FEW = 4
"""So few networks are judged in this process: starting others takes longer."""


@dataclass(frozen=True)
class Pipeline:
    """The numbers that the study chose."""

    umap_seed: int = 47
    kmeans_seed: int = 1
    svm_nu: float = 0.1
    dbscan_eps: float = 3.0
    dbscan_min_samples: int = 3


@dataclass(frozen=True)
class Found:
    """labels: of each method a label per picture, int64 [3, N]. silhouette: of K-means in the plane, without labels."""

    labels: Integers
    silhouette: float


def rounded_anew(features: Features, seed: int, member: int, time: int) -> Features:
    """The features with normal noise of one unit in the last place; as they are the first time (`time` 0)."""
    if time == 0:
        return features
    noise = np.random.default_rng([seed, member, time]).standard_normal(features.shape)
    return np.asarray(features * (1 + np.finfo(np.float32).eps * noise), dtype=np.float32)


def run_all(tasks: Sequence[Features], target: Flags, pipeline: Pipeline, processes: int | None) -> Iterator[Found]:
    """What the pipeline finds for each task's features [N, D], in their order, several at a time."""
    workers = min(processes or cores(), len(tasks))
    if workers == 1 or len(tasks) <= FEW:
        yield from (run_one(features, target, pipeline) for features in tasks)
        return
    from joblib import Parallel, delayed  # type: ignore[import-untyped]  # comes with scikit-learn; its processes do not import the caller's script

    work = Parallel(n_jobs=workers, return_as="generator", max_nbytes=None)
    yield from work(delayed(run_one)(features, target, pipeline) for features in tasks)


def cores() -> int:
    """Processor cores that this process may use."""
    allowed = getattr(os, "sched_getaffinity", None)  # not on macOS
    return len(allowed(0)) if allowed else os.cpu_count() or 1


def run_one(features: Features, target: Flags, pipeline: Pipeline) -> Found:
    """What the pipeline finds for features [N, D]; one cluster where all pictures have the same."""
    from threadpoolctl import threadpool_limits

    if bool((features == features[0]).all()):
        return Found(np.ones((len(METHODS), len(features)), dtype=np.int64), 0.0)
    with threadpool_limits(limits=1):  # milliseconds of work: threads that wait for each other make it slower
        places = umap_embedding(features, seed=pipeline.umap_seed)
        return _clusters(places.astype(np.float32), target, pipeline)


def _clusters(places: NDArray[np.float32], target: Flags, pipeline: Pipeline) -> Found:
    from sklearn.cluster import DBSCAN, KMeans  # a second to import
    from sklearn.metrics import silhouette_score
    from sklearn.svm import OneClassSVM

    kmeans = KMeans(2, random_state=pipeline.kmeans_seed).fit_predict(places)
    machine = OneClassSVM(kernel="rbf", nu=pipeline.svm_nu).fit(places[target])  # on the target: with labels
    dbscan = DBSCAN(eps=pipeline.dbscan_eps, min_samples=pipeline.dbscan_min_samples).fit_predict(places)
    labels = np.stack([kmeans, machine.predict(places), dbscan]).astype(np.int64)
    both = len(np.unique(kmeans)) == 2
    return Found(labels, float(silhouette_score(places, kmeans)) if both else 0.0)
