"""Places of pictures in a plane, by UMAP."""

from __future__ import annotations

import warnings
from contextlib import suppress
from typing import Any

import numpy as np
from numpy.typing import NDArray

NEIGHBOURS = 15
"""UMAP's default size of a neighbourhood."""
TOLD = (
    "Tensorflow not installed",
    # The spectral embedding is a start only: where groups of pictures share no neighbour, any start will do.
    "Graph is not fully connected",
    "Spectral initialisation failed",
    # What umap 0.5.7 asks of scikit-learn has another name since 1.6.
    "'force_all_finite' was renamed",
)
"""Warnings of UMAP and of its import that are no concern of who asks for an embedding."""


def umap_embedding(features: NDArray[np.floating[Any]], components: int = 2, seed: int = 0) -> NDArray[np.float64]:
    """UMAP embedding [N, components] with the library's defaults, and smaller neighbourhoods for few rows.

    Works on one thread, as a seed asks for, and leaves everybody's thread counts as they are: numba, which UMAP is
    written in, sets that of every OpenMP library of the process, torch's too. Rows that are all equal, and fewer than
    four, are put at 0.

    features: float [N, D], finite.
    """
    from threadpoolctl import threadpool_limits

    count = len(features)
    if count < 4 or bool((features == features[0]).all()):
        return np.zeros((count, components))
    with threadpool_limits(limits=1), warnings.catch_warnings():
        for message in TOLD:
            warnings.filterwarnings("ignore", message=message)
        embedding = (
            _umap()
            .UMAP(
                n_components=components,
                n_neighbors=min(NEIGHBOURS, count - 1),
                init="spectral" if count > components + 1 else "random",  # eigenvectors must be fewer than rows
                random_state=seed % 2**32,
                n_jobs=1,  # a seed and several threads exclude each other
            )
            .fit_transform(features.astype(np.float32))
        )
    return np.asarray(embedding, dtype=np.float64)


def _umap() -> Any:
    import umap  # 2 s to import, 20 s the first time ever, when numba compiles

    for name in ("fast_knn_indices", "smooth_knn_dist", "compute_membership_strengths"):
        function: Any = getattr(umap.umap_, name, None)
        if hasattr(function, "enable_caching"):
            # Keeps what numba compiles, which umap does for other functions only: 10 s less in every later process.
            with suppress(RuntimeError):  # no folder to keep it in
                function.enable_caching()
    return umap
