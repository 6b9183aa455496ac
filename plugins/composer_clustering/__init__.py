"""Clusters: whether the target's pictures lie together in the space of a model's features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from composer import Component, Contract, Evaluator, Run, ScoreInfo, hook

if TYPE_CHECKING:
    from composer import ComposedModel, Images, Report

Method = Literal["kmeans", "dbscan", "hdbscan", "one_class_svm"]


class Clusters(Evaluator):
    """Scores of clusters in the features: K-means, DBSCAN, HDBSCAN and a one-class SVM.

    Which cluster means the target is decided as follows, for every model and every control alike.
    K-means: the two clusters are matched with target and others, one to one, as the labels score best.
    DBSCAN and HDBSCAN: a cluster is what more than half of its pictures are; noise is not the target.
    One-class SVM: inliers are the target. It is fitted on the test pictures of the target, as in the study, so all
    of its scores are marked as fitted with labels.

    Scores of METHOD: `accuracy`, `precision`, `recall`, `adjusted_rand`, `entropy` (bits; of the classes within
    clusters, weighted by size), `purity` (share of the majority within clusters, weighted by size) and `silhouette`,
    which no label enters (0 where there are fewer than two clusters). For the last four, noise is one more cluster.
    Many small clusters raise accuracy and purity by themselves; the adjusted Rand index allows for it.
    Intervals keep the clusters and resample the pictures. Features are not standardised; where they are all equal, all
    pictures form one cluster of inliers.
    """

    name = "clusters"
    scores = (
        ScoreInfo(
            "kmeans.accuracy",
            "K-means accuracy",
            "K-means",
            labels="fitting",
            shows=("median", "best", "best_by_luck"),
        ),
        ScoreInfo("one_class_svm.accuracy", "accuracy of the one-class SVM", "one-class\nSVM", labels="fitting"),
        ScoreInfo(
            "kmeans.adjusted_rand", "adjusted Rand index of K-means", "K-means\nARI", main=True, shows=("picked",)
        ),
        ScoreInfo("dbscan.accuracy", "accuracy of DBSCAN", "DBSCAN", labels="fitting"),
        ScoreInfo("hdbscan.accuracy", "accuracy of HDBSCAN", "HDBSCAN", labels="fitting"),
    )
    contract = Contract(
        reference="Arthur and Vassilvitskii 2007 (k-means++); Ester et al. 1996 (DBSCAN); Campello et al. 2013 "
        "(HDBSCAN); Schölkopf et al. 2001 (one-class SVM); McInnes et al. 2018, arXiv:1802.03426 (UMAP)"
    )

    methods: tuple[Method, ...] = Field(
        ("kmeans", "dbscan", "hdbscan", "one_class_svm"), description="ways of clustering, each scored on its own"
    )
    reduction: Literal["raw", "pca", "umap"] = Field("pca", description="space in which the features are clustered")
    components: int = Field(
        2, ge=1, le=1000, description="most dimensions after pca or umap, as in the study; raw features keep all theirs"
    )
    members: int | None = Field(
        8,
        ge=1,
        le=1_000_000,
        description="most members that are judged when reduction is umap, evenly spaced over the population, and the "
        "picked one beside them (null: all); UMAP takes about a second each",
    )
    kmeans_seed: int | None = Field(
        None, ge=0, lt=2**32, description="seed of K-means (null: the run's; 1 in the study)"
    )
    kmeans_restarts: int = Field(1, ge=1, le=1000, description="starts of K-means, of which the tightest is kept")
    dbscan_eps: float | None = Field(
        None,
        gt=0,
        le=1e9,
        description="radius of a neighbourhood, in units of the reduced features (null: at the knee of the sorted "
        "distances to the dbscan_min_samples-th picture; 3 in the study)",
    )
    dbscan_min_samples: int = Field(
        3, ge=1, le=1_000_000, description="pictures in a neighbourhood that make a core point"
    )
    hdbscan_min_cluster_size: int = Field(5, ge=2, le=1_000_000, description="fewest pictures in a cluster of HDBSCAN")
    svm_nu: float = Field(0.1, gt=0, lt=1, description="largest share of the target's pictures left outside")
    umap_seed: int | None = Field(None, ge=0, lt=2**32, description="seed of UMAP (null: the run's; 47 in the study)")
    umap_figure: bool = Field(True, description="draw the picked member's pictures by UMAP, coloured by cell")

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if not self.methods:
            yield "methods", "no way of clustering is named; name at least one"
        if len(set(self.methods)) < len(self.methods):
            yield "methods", f"each way once, not {list(self.methods)}"

    def evaluate(self, model: ComposedModel, images: Images, run: Run) -> Report:
        from composer_clustering.evaluation import evaluate

        return evaluate(self, model, images, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Clusters]
