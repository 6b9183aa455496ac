"""The four ways of clustering: from reduced features [N, K] to a label per picture [N]."""

from __future__ import annotations

import warnings

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

NOISE = -1
"""The label of pictures in no cluster of DBSCAN or HDBSCAN."""


def kmeans(features: Floats, seed: int, restarts: int, clusters: int = 2) -> Labels:
    """Clusters from 0 on, at most as many as there are pictures."""
    from sklearn.cluster import KMeans  # a second to import
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        # Features that differ by less than rounding give one cluster, which is then scored as such.
        warnings.filterwarnings("ignore", message="Number of distinct clusters", category=ConvergenceWarning)
        fitted = KMeans(min(clusters, len(features)), n_init=restarts, random_state=seed).fit(features)
    return np.asarray(fitted.labels_, dtype=np.int64)


def dbscan(distances: Floats, eps: float | None, min_samples: int) -> Labels:
    """Clusters from 0 on, -1 for noise, from distances [N, N]; `eps=None`: the knee of the k-distances."""
    from sklearn.cluster import DBSCAN  # a second to import

    radius = k_distance_knee(distances, min_samples) if eps is None else eps
    fitted = DBSCAN(eps=radius, min_samples=min_samples, metric="precomputed").fit(distances)
    return np.asarray(fitted.labels_, dtype=np.int64)


def k_distance_quantile(distances: Floats, min_samples: int, share: float) -> float:
    """A radius within which `share` of the pictures have their k-th neighbour; k counts the picture itself."""
    nearest = np.sort(distances, axis=1)[:, min(min_samples, len(distances)) - 1]
    return max(float(np.quantile(nearest, share)), float(np.finfo(np.float64).tiny))


def k_distance_knee(distances: Floats, min_samples: int) -> float:
    """A radius for DBSCAN, chosen without labels.

    Ester et al. 1996, section 4.2: sort the distances of all pictures to their k-th neighbour and take the threshold
    where the curve bends. The bend is the point farthest below the chord of the curve (Satopää et al. 2011, Kneedle).
    k counts the picture itself, as DBSCAN's `min_samples` does. Distances of 0, between duplicates, say nothing of
    density and are left out.
    """
    nearest = np.sort(distances, axis=1)[:, min(min_samples, len(distances)) - 1]
    curve = np.sort(nearest[nearest > 0])
    if len(curve) == 0:
        return float(np.finfo(np.float64).tiny)  # only duplicates are neighbours
    chord = np.linspace(curve[0], curve[-1], len(curve))
    return float(curve[np.argmax(chord - curve)])


def hdbscan(distances: Floats, min_cluster_size: int) -> Labels:
    """Clusters from 0 on, -1 for noise, from distances [N, N]."""
    from hdbscan import HDBSCAN  # a second to import

    with warnings.catch_warnings():
        # What hdbscan 0.8.40 asks of scikit-learn has another name since 1.6.
        warnings.filterwarnings("ignore", message="'force_all_finite' was renamed", category=FutureWarning)
        fitted = HDBSCAN(min_cluster_size=min_cluster_size, metric="precomputed", core_dist_n_jobs=1).fit(distances)
    return np.asarray(fitted.labels_, dtype=np.int64)


def one_class_svm(features: Floats, target: NDArray[np.bool_], nu: float) -> Labels:
    """1 for inliers and -1 for outliers of a machine fitted on the pictures of the target, so: with labels."""
    from sklearn.svm import OneClassSVM  # a second to import

    machine = OneClassSVM(kernel="rbf", nu=nu)
    machine.random_state = 0  # no parameter, and without it the fit takes a number from numpy's global state
    fitted = machine.fit(features[target])
    return np.asarray(fitted.predict(features), dtype=np.int64)
