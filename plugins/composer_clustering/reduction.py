"""From a member's features [N, D] to the space in which its pictures are clustered."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
NEIGHBOURS = 15
"""UMAP's default size of a neighbourhood."""


def all_equal(features: Floats) -> bool:
    """Whether every picture has the same features, as in a network whose units are dead."""
    return bool((features == features[0]).all())


def principal_components(features: Floats, components: int, seed: int) -> Floats:
    """Scores [N, K] on the first K principal components, K at most `components`, N and D; centred, not scaled."""
    from sklearn.decomposition import PCA  # a second to import

    if all_equal(features):
        return np.zeros((len(features), 1))
    smaller = min(features.shape)
    kept = min(components, smaller)
    # A few components by Lanczos: exact, and many times faster than a full decomposition, above all on busy cores.
    solver = "arpack" if 5 * kept < smaller else "full"
    reduced: Floats = PCA(kept, svd_solver=solver, random_state=seed).fit_transform(features)
    return reduced


def umap_embedding(features: Floats, components: int, seed: int) -> Floats:
    """UMAP embedding [N, components] with the library's defaults, and smaller neighbourhoods for few pictures."""
    umap = _import_umap()
    count = len(features)
    if all_equal(features) or count < 4:
        return np.zeros((count, components))
    with warnings.catch_warnings():
        # The spectral embedding is a start only: where groups of pictures share no neighbour, any start will do.
        warnings.filterwarnings("ignore", message="Graph is not fully connected", category=UserWarning)
        warnings.filterwarnings("ignore", message="Spectral initialisation failed", category=UserWarning)
        # What umap 0.5.7 asks of scikit-learn has another name since 1.6.
        warnings.filterwarnings("ignore", message="'force_all_finite' was renamed", category=FutureWarning)
        embedding = umap.UMAP(
            n_components=components,
            n_neighbors=min(NEIGHBOURS, count - 1),
            init="spectral" if count > components + 1 else "random",  # eigenvectors must be fewer than pictures
            random_state=seed,
            n_jobs=1,  # a seed and several threads exclude each other
        ).fit_transform(features.astype(np.float32))
    return np.asarray(embedding, dtype=np.float64)


def _import_umap() -> Any:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Tensorflow not installed", category=ImportWarning)
        import umap  # 2 s to import, 20 s the first time ever, when numba compiles
    for name in ("fast_knn_indices", "smooth_knn_dist", "compute_membership_strengths"):
        function: Any = getattr(umap.umap_, name, None)
        if hasattr(function, "enable_caching"):
            # Keeps what numba compiles, which umap does for other functions only: 10 s less in every later process.
            with suppress(RuntimeError):  # no folder to keep it in
                function.enable_caching()
    return umap
