"""The options that a search may choose, for each way of clustering; nothing here imports numpy."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
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


def combinations(method: str, vary: Sequence[str], base: Clusters) -> list[dict[str, Any]]:
    """Every combination of options that a search may try, the base's own first: what each changes of the base."""
    axes: list[list[Options]] = []
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
    if metrics:
        axes.append(list(metrics))
    found: dict[str, dict[str, Any]] = {"{}": {}}
    for parts in itertools.product(*axes):
        changed = {option: value for part in parts for option, value in part.items()}
        if changed.get("dbscan_quantile") is not None:
            changed["dbscan_eps"] = None
        changed = {option: value for option, value in changed.items() if getattr(base, option) != value}
        found.setdefault(repr(sorted(changed.items())) if changed else "{}", changed)
    return list(found.values())


def said(base: Clusters, method: str, changes: Options) -> str:
    """`kmeans_clusters 3, pca 5, cosine`: what a combination is, for people."""
    one = base.model_copy(update=dict(changes))
    parts = [f"{option} {getattr(one, option)}" for option in OF_METHOD[method] if getattr(one, option) is not None]
    if method == "dbscan" and one.dbscan_quantile is None:
        parts.insert(0, "eps at the knee" if one.dbscan_eps is None else f"eps {one.dbscan_eps:g}")
    parts.append("raw" if one.reduction == "raw" else f"{one.reduction} {one.components}")
    parts.append(one.metric)
    return ", ".join([*parts, *([] if one.weights == "none" else [f"weights {one.weights}"])])
