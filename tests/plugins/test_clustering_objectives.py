"""What a partition is worth without labels, by each objective of `tuned`."""

from __future__ import annotations

import numpy as np
import pytest
from hdbscan.validity import validity_index
from numpy.typing import NDArray
from sklearn import metrics as sklearn_metrics

from clustered import OBJECTIVES, Labels, groups
from composer_clustering.methods import kmeans
from composer_clustering.objectives import (
    FAULTS,
    WORST,
    Common,
    rand_between,
    stability_of,
)
from composer_clustering.observing import worth


def never(part: NDArray[np.int64]) -> Labels:
    raise AssertionError("a partition that is none is not clustered again")


def test_indices_are_those_of_the_libraries_in_one_common_space() -> None:
    features = groups(apart=4)
    labels = kmeans(features, 0, 1, clusters=3)
    common = Common.of(features, 0)
    assert worth("silhouette", common, labels, never, 0) == pytest.approx(
        sklearn_metrics.silhouette_score(features, labels)
    )
    index = sklearn_metrics.davies_bouldin_score(features, labels)
    assert worth("davies_bouldin", common, labels, never, 0) == pytest.approx(1 / (1 + index))
    assert worth("dbcv", common, labels, never, 0) == pytest.approx(validity_index(common.places, labels), abs=1e-9)


def test_stability_is_the_mean_index_with_the_clusters_of_subsamples() -> None:
    features = groups()
    labels = kmeans(features, 0, 1, clusters=3)
    common = Common.of(features, 0)
    parts: list[NDArray[np.int64]] = []

    def again(part: NDArray[np.int64]) -> Labels:
        parts.append(part)
        return labels[part] if len(parts) % 2 else np.zeros(len(part), dtype=np.int64)

    assert worth("stability", common, labels, again, 0) == pytest.approx(0.5)
    assert {len(set(part.tolist())) for part in parts} == {36}, "80 % of 45, none twice"


def test_clusters_that_do_not_change_are_stable() -> None:
    labels = np.repeat([0, 1], 20)
    assert stability_of(labels, lambda part: 1 - labels[part], seed=0) == 1, "names of clusters do not matter"
    rng = np.random.default_rng(1)
    assert abs(stability_of(labels, lambda part: rng.integers(0, 2, len(part)), seed=0)) < 0.2
    assert stability_of(np.zeros(40, dtype=np.int64), lambda part: labels[part], seed=0) == -1


def test_noise_lowers_the_silhouette() -> None:
    common = Common.of(groups(), 0)
    whole = np.repeat([0, 1, 2], 15)
    noisy = np.where(np.arange(45) % 3 == 0, -1, whole)
    own, fewer = (worth("silhouette", common, labels, never, 0) for labels in (whole, noisy))
    assert fewer == pytest.approx(own * 2 / 3, rel=0.05)


@pytest.mark.parametrize("objective", OBJECTIVES)
@pytest.mark.parametrize(
    ("labels", "fault"),
    [
        (np.full(12, -1), "all noise"),
        (np.zeros(12, dtype=np.int64), "one cluster"),
        (np.asarray([-1] * 5 + [0] * 7), "one cluster"),
        (np.arange(12), "clusters of one picture"),
    ],
)
def test_what_is_no_partition_is_worth_less_than_any(objective: str, labels: Labels, fault: str) -> None:
    value = worth(objective, Common.of(groups(each=4), 0), labels, never, 0)
    assert value < WORST
    assert FAULTS[value] == fault


@pytest.mark.parametrize("objective", OBJECTIVES)
def test_two_groups_of_duplicates_have_a_worth(objective: str) -> None:
    features = np.repeat(np.asarray([[0.0, 0], [5, 5]]), 10, axis=0)
    labels = np.repeat([0, 1], 10)
    value = worth(objective, Common.of(features, 0), labels, lambda part: labels[part], 0)
    assert WORST <= value <= 1


def test_the_index_between_two_partitions_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(-1, 4, 60), rng.integers(0, 3, 60)
    assert rand_between(first, second) == pytest.approx(sklearn_metrics.adjusted_rand_score(first, second))
