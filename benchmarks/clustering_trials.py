"""What options of clusters are worth on one composition, with and without labels: numbers of `clustering.py`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from composer import ComposedModel, Images, Run
from composer_clustering import Clusters
from composer_clustering.evaluation import Space, Spaces, labels_of
from composer_clustering.naming import Beliefs, beliefs_of, named_by, parents_said
from composer_clustering.objectives import Common, fault_of
from composer_clustering.observing import observed
from composer_clustering.search import order_of
from composer_clustering.space import combinations

Floats = NDArray[np.float64]

OBJECTIVES = ("stability", "dbcv", "silhouette", "davies_bouldin", "parents")
SEEN = (
    "stability",
    "dbcv",
    "silhouette",
    "davies_bouldin",
    "clusters",
    "noise",
    "largest",
    "evenness",
    "explained",
    "parents",
    "one_parent",
)
"""What a surrogate is told of a partition."""
METHODS = ("kmeans", "dbscan", "hdbscan")
METRICS = ("euclidean", "cosine", "correlation", "rank", "mahalanobis")
SCHEMES = (
    *((metric, "none") for metric in METRICS),
    *(("euclidean", weights) for weights in ("anova", "heads", "lda")),
)
NOBODY = np.zeros(0, dtype=np.bool_)


@dataclass(frozen=True)
class Composition:
    """A composed model, the test pictures, and the run in which it is judged: its pick, and the parents."""

    name: str
    model: ComposedModel
    images: Images
    run: Run


@dataclass(frozen=True)
class Trials:
    """Of one way of clustering: by trial the adjusted Rand index [T], and what each objective says [T].

    whitened: which trials have the metric mahalanobis [T]. Trial 0 has the default options, the first that is whitened
    has them but for its metric; trial t has the same options on every composition. seen: what can be seen of each
    partition without labels, by name [T]; NaN for one that cannot be judged, which is worth less than any other.
    """

    index: Floats
    worth: Mapping[str, Floats]
    whitened: NDArray[np.bool_]
    seen: Mapping[str, Floats] = field(default_factory=dict)


def trials_of(one: Composition, count: int, vary: Sequence[str]) -> dict[str, Trials]:
    """Method -> trials of the picked member's clusters, all options in `vary` searched."""
    features = one.model.features(one.images)[one.run.picked].double().numpy()
    spaces, common = Spaces(one.model, one.run), Common.of(features, one.run.seed)
    beliefs = beliefs_of(one.images, one.run)
    return {method: _trials(one, method, features, spaces, common, beliefs, count, vary) for method in METHODS}


def _trials(
    one: Composition,
    method: str,
    features: Floats,
    spaces: Spaces,
    common: Common,
    beliefs: Beliefs,
    count: int,
    vary: Sequence[str],
) -> Trials:
    base = Clusters()
    options = combinations(method, vary, base)
    numbers = numbers_of(options, count)
    index, faults, rows = list[float](), list[float | None](), list[dict[str, float]]()
    for number in numbers:
        clusters = base.model_copy(update=options[number])
        space = spaces.of(clusters, one.run.picked, features)
        labels = labels_of(clusters, method, space, NOBODY, 0)
        index.append(adjusted_rand_score(one.images.target, labels))

        def again(part: NDArray[np.int64], clusters: Clusters = clusters, space: Space = space) -> NDArray[np.int64]:
            own = Space(space.places[part], space.distances[np.ix_(part, part)])
            return labels_of(clusters, method, own, NOBODY, 0)

        faults.append(fault_of(labels))
        rows.append({} if faults[-1] is not None else observed(common, labels, again, beliefs, 0))
    seen = {name: np.asarray([row.get(name, np.nan) for row in rows]) for name in SEEN}
    worths = {
        name: np.asarray([row.get(name, fault) for row, fault in zip(rows, faults, strict=True)], dtype=np.float64)
        for name in OBJECTIVES
    }
    return Trials(np.asarray(index), worths, np.asarray([_whitened(options[number]) for number in numbers]), seen)


def numbers_of(options: Sequence[Mapping[str, Any]], count: int) -> list[int]:
    """Which combinations are tried: a third of them whitened where any is, the plainest of each kind first."""
    white = [number for number, changed in enumerate(options) if _whitened(changed)]
    white.sort(key=lambda number: len(options[number]))
    if not white:
        return order_of(len(options), "random", count, 0)
    drawn = [white[place] for place in order_of(len(white), "random", max(1, count // 3), 0)]
    return list(dict.fromkeys([0, *drawn, *order_of(len(options), "random", count, 0)]))[:count]


def _whitened(changed: Mapping[str, Any]) -> bool:
    return changed.get("metric") == "mahalanobis"


def schemes_of(one: Composition, schemes: Sequence[tuple[str, str]]) -> dict[str, Floats]:
    """K-means and DBSCAN -> adjusted Rand index [schemes] of the picked member, with each metric and weights."""
    features = one.model.features(one.images)[one.run.picked].double().numpy()
    found: dict[str, Floats] = {method: np.zeros(len(schemes)) for method in ("kmeans", "dbscan")}
    spaces = Spaces(one.model, one.run)
    for column, (metric, weights) in enumerate(schemes):
        options = Clusters.model_validate({"metric": metric, "weights": weights})
        space = spaces.of(options, one.run.picked, features)
        for method, values in found.items():
            values[column] = adjusted_rand_score(one.images.target, labels_of(options, method, space, NOBODY, 0))
    return found


def naming_of(one: Composition) -> tuple[float, float, float]:
    """Accuracy of the picked member's K-means clusters: named by the labels, by the parents, and by chance."""
    options = Clusters()
    space = Spaces(one.model, one.run).of(
        options, one.run.picked, one.model.features(one.images)[one.run.picked].double().numpy()
    )
    labels = labels_of(options, "kmeans", space, NOBODY, 0)
    said = parents_said(one.images, one.run)
    target = one.images.target
    right = [float(((labels == cluster) == target).mean()) for cluster in (0, 1)]
    named = int(np.argmax(named_by(said, labels, (0, 1), two=True)))
    return max(right), right[named], sum(right) / 2


def regrets(
    found: Mapping[str, Mapping[str, Trials]], fixed: Mapping[str, int] | None = None
) -> dict[str, dict[str, float]]:
    """Way of choosing -> method -> what it loses to the best trial, mean over compositions.

    found: composition -> method -> trials. fixed: of each method the trial that does best on other pairs.
    """
    ways: dict[str, dict[str, list[float]]] = {}
    for of_methods in found.values():
        for method, trials in of_methods.items():
            picks = _picks(trials)
            if fixed is not None:
                picks["best on the other pairs"] = float(trials.index[fixed[method]])
            for way, value in picks.items():
                ways.setdefault(way, {}).setdefault(method, []).append(float(trials.index.max() - value))
    return {way: {method: float(np.mean(own)) for method, own in each.items()} for way, each in ways.items()}


def _picks(trials: Trials) -> dict[str, float]:
    """Way of choosing -> the adjusted Rand index of what it chooses."""
    found = {"default options": float(trials.index[0]), "any options": float(trials.index.mean())}
    for objective, own in trials.worth.items():
        found[objective] = float(trials.index[np.argmax(own)])
    if trials.whitened.any():
        index = trials.index[trials.whitened]
        found["default options, mahalanobis"], found["any options, mahalanobis"] = float(index[0]), float(index.mean())
        for objective, own in trials.worth.items():
            found[f"{objective}, mahalanobis"] = float(index[np.argmax(own[trials.whitened])])
    return found


def best_fixed(others: Iterable[Mapping[str, Mapping[str, Trials]]]) -> dict[str, int]:
    """Of each method the trial with the highest mean adjusted Rand index over compositions and pairs."""
    whole = [of_methods for pair in others for of_methods in pair.values()]
    return {
        method: int(np.argmax(np.mean([of_methods[method].index for of_methods in whole], axis=0)))
        for method in METHODS
    }


def interval(values: Floats, resamples: int = 2000) -> tuple[float, float, float]:
    """Mean of [pairs], and its 95 % bootstrap interval over pairs."""
    drawn = np.random.default_rng(0).integers(len(values), size=(resamples, len(values)))
    low, high = np.percentile(values[drawn].mean(axis=1), [2.5, 97.5])
    return float(values.mean()), float(low), float(high)
