"""The options that a search may choose, for each way of clustering; nothing here imports numpy."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from composer_clustering import Clusters

Options = Mapping[str, Any]

OF_METHOD: Mapping[str, Mapping[str, Sequence[Any]]] = {
    "kmeans": {"kmeans_clusters": (2, 3, 4, 5, 6, 8)},
    "dbscan": {"dbscan_quantile": (None, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95), "dbscan_min_samples": (3, 5, 10, 20)},
    "hdbscan": {"hdbscan_min_cluster_size": (3, 5, 8, 12, 20, 30)},
}
REDUCTIONS: Sequence[Options] = (
    {"reduction": "raw"},
    *({"reduction": "pca", "components": components} for components in (2, 3, 5, 10, 20)),
)
EMBEDDINGS: Sequence[Options] = tuple({"reduction": "umap", "components": components} for components in (2, 5))
METRICS = ("euclidean", "cosine", "correlation", "rank")
WEIGHTS = ("anova", "heads", "lda")


@dataclass(frozen=True)
class Grid:
    """All that a search may try.

    axes: what is varied independently of all else. options: every combination, the base's own first: what each changes
    of the base. numbers: places on the axes -> a combination; several places may be one. ordered: which axes are
    numbers, so that neighbours are alike.
    """

    axes: Sequence[Sequence[Options]]
    options: Sequence[dict[str, Any]]
    numbers: Mapping[tuple[int, ...], int]

    @property
    def ordered(self) -> Sequence[bool]:
        values = [[value for one in axis for value in one.values()] for axis in self.axes]
        return [all(isinstance(value, int | float) for value in own) for own in values]


def combinations(method: str, vary: Sequence[str], base: Clusters) -> Sequence[dict[str, Any]]:
    """Every combination of options that a search may try, the base's own first: what each changes of the base."""
    return grid_of(method, vary, base).options


def grid_of(method: str, vary: Sequence[str], base: Clusters) -> Grid:
    """What a search may try of one way of clustering."""
    axes = _axes(method, vary, base)
    found: dict[str, int] = {"{}": 0}
    options: list[dict[str, Any]] = [{}]
    numbers: dict[tuple[int, ...], int] = {}
    for places in itertools.product(*(range(len(axis)) for axis in axes)):
        parts = [axis[place] for axis, place in zip(axes, places, strict=True)]
        changed = {option: value for part in parts for option, value in part.items()}
        if changed.get("dbscan_quantile") is not None:
            changed["dbscan_eps"] = None
        changed = {option: value for option, value in changed.items() if getattr(base, option) != value}
        name = repr(sorted(changed.items())) if changed else "{}"
        if name not in found:
            found[name] = len(options)
            options.append(changed)
        numbers[places] = found[name]
    return Grid(axes, options, numbers)


def _axes(method: str, vary: Sequence[str], base: Clusters) -> list[Sequence[Options]]:
    axes: list[Sequence[Options]] = []
    if "clusters" in vary:
        axes += [[{option: value} for value in values] for option, values in OF_METHOD[method].items()]
    reductions = [*(REDUCTIONS if "reduction" in vary else ()), *(EMBEDDINGS if "umap" in vary else ())]
    if reductions:
        axes.append(reductions)
    metrics = [{"metric": metric} for metric in (METRICS if "metric" in vary else ())]
    if "weights" in vary:
        metrics = [{**one, "weights": "none"} for one in metrics or [{"metric": base.metric}]]
        metrics += [{"metric": "euclidean", "weights": weights} for weights in WEIGHTS]
        metrics.append({"metric": "mahalanobis", "weights": "none"})
    return [*axes, metrics] if metrics else axes


def said(base: Clusters, method: str, changes: Options) -> str:
    """`kmeans_clusters 3, pca 5, cosine`: what a combination is, for people."""
    one = base.model_copy(update=dict(changes))
    parts = [f"{option} {getattr(one, option)}" for option in OF_METHOD[method] if getattr(one, option) is not None]
    if method == "dbscan" and one.dbscan_quantile is None:
        parts.insert(0, "eps at the knee" if one.dbscan_eps is None else f"eps {one.dbscan_eps:g}")
    parts.append("raw" if one.reduction == "raw" else f"{one.reduction} {one.components}")
    parts.append(one.metric)
    return ", ".join([*parts, *([] if one.weights == "none" else [f"weights {one.weights}"])])
