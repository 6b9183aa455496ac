"""The one place from which UMAP is called."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import warnings

import numpy as np
import pytest

from composer import umap_embedding


def test_the_embedding_repeats_itself_without_a_warning_and_leaves_the_global_random_state() -> None:
    features = np.random.default_rng(1).normal(size=(20, 6))
    umap_embedding(features)  # imports, among others, what draws from Python's own generator as it is imported
    np.random.seed(4)  # noqa: NPY002 - the state that must stay
    random.seed(4)
    before = str(np.random.get_state()), random.getstate()  # noqa: NPY002
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = (umap_embedding(features, 2, 47) for _ in range(2))
    assert first.tobytes() == second.tobytes()
    assert first.tobytes() != umap_embedding(features, 2, 48).tobytes()
    assert (str(np.random.get_state()), random.getstate()) == before  # noqa: NPY002


def test_groups_of_pictures_without_a_common_neighbour_are_embedded_without_a_warning() -> None:
    rng = np.random.default_rng(1)
    features = np.concatenate([1e4 * group + rng.normal(size=(30, 4)) for group in range(5)])
    embedding = umap_embedding(features, 2, 1)
    assert np.isfinite(embedding).all()


def test_more_dimensions_than_pictures_can_be_asked_of_umap() -> None:
    assert umap_embedding(np.random.default_rng(1).normal(size=(8, 5)), 10, 1).shape == (8, 10)


@pytest.mark.parametrize("features", [np.ones((9, 3)), np.arange(6.0).reshape(3, 2)], ids=["equal", "three"])
def test_where_nothing_can_be_told_apart_all_is_put_at_0(features: np.ndarray) -> None:
    assert not umap_embedding(features).any()


FRESH = """
import numpy, torch
from composer import umap_embedding
before = torch.get_num_threads()
umap_embedding(numpy.random.default_rng(1).normal(size=(40, 6)))
assert torch.get_num_threads() == before == 1, torch.get_num_threads()
"""


def test_it_leaves_the_thread_count_of_torch_alone() -> None:
    """In a process of its own: numba sets it once, where it starts its threads."""
    subprocess.run([sys.executable, "-c", FRESH], env={**os.environ, "OMP_NUM_THREADS": "1"}, check=True)
