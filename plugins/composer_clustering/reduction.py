"""From a member's features [N, D] to the space in which its pictures are clustered."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
