"""Clusters: whether the target's pictures lie together in the space of a model's features."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from composer import Component, ComposerError, Contract, Evaluator, Run, ScoreInfo, hook

if TYPE_CHECKING:
    from composer import ComposedModel, Images, Report

Method = Literal["kmeans", "dbscan", "hdbscan", "one_class_svm"]
Metric = Literal["euclidean", "cosine", "correlation", "rank", "mahalanobis"]
Vary = Literal["clusters", "reduction", "umap", "metric", "weights"]
Weights = Literal["none", "anova", "heads", "lda"]


class Clusters(Evaluator):
    """Scores of clusters in the features: K-means, DBSCAN, HDBSCAN and a one-class SVM.

    Which cluster means the target is decided as follows, for every model and every control alike.
    K-means: the two clusters are matched with target and others, one to one, as the labels score best.
    DBSCAN and HDBSCAN, and K-means with more clusters: a cluster is what more than half of its pictures are; noise is
    not the target.
    One-class SVM: inliers are the target. It is fitted on the test pictures of the target, as in the study, so all
    of its scores are marked as fitted with labels.

    Scores of METHOD: `accuracy`, `precision`, `recall`, `adjusted_rand`, `entropy` (bits; of the classes within
    clusters, weighted by size), `purity` (share of the majority within clusters, weighted by size) and `silhouette`,
    which no label enters (0 where there are fewer than two clusters). For the last four, noise is one more cluster.
    Many small clusters raise accuracy and purity by themselves; the adjusted Rand index allows for it.
    With `name_by_parents` there are also `accuracy_by_parents`, `precision_by_parents` and `recall_by_parents`, which
    no label enters but to score: of two clusters of K-means the target is the one of which the parents are surer, else
    the clusters of which more than half are the target to them or, where there is none, the one of which they are
    surest.
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
        ScoreInfo("kmeans.accuracy_by_parents", "K-means accuracy, named by the parents", "K-means\nby parents"),
    )
    contract = Contract(
        reference="Arthur and Vassilvitskii 2007 (k-means++); Ester et al. 1996 (DBSCAN); Campello et al. 2013 "
        "(HDBSCAN); Schölkopf et al. 2001 (one-class SVM); McInnes et al. 2018, arXiv:1802.03426 (UMAP); Ledoit and "
        "Wolf 2004 (shrinkage)"
    )

    methods: tuple[Method, ...] = Field(
        ("kmeans", "dbscan", "hdbscan", "one_class_svm"), description="ways of clustering, each scored on its own"
    )
    metric: Metric = Field(
        "euclidean",
        description="how far pictures lie apart: euclidean, cosine, correlation (cosine after each picture's mean was "
        "taken), rank (correlation of ranks), or mahalanobis (whitened by what varies within the parents' classes)",
    )
    weights: Weights = Field(
        "none",
        description="what each feature counts: all the same (none), the F statistic of the parents' labels (anova), "
        "the slopes of the model's heads (heads), or of discriminants that are fitted to the parents' labels (lda)",
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
    kmeans_clusters: int = Field(2, ge=2, le=1000, description="clusters of K-means")
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
    dbscan_quantile: float | None = Field(
        None,
        gt=0,
        lt=1,
        description="radius of a neighbourhood as a quantile of the distances to the dbscan_min_samples-th picture, in "
        "place of dbscan_eps",
    )
    dbscan_min_samples: int = Field(
        3, ge=1, le=1_000_000, description="pictures in a neighbourhood that make a core point"
    )
    hdbscan_min_cluster_size: int = Field(5, ge=2, le=1_000_000, description="fewest pictures in a cluster of HDBSCAN")
    svm_nu: float = Field(0.1, gt=0, lt=1, description="largest share of the target's pictures left outside")
    umap_seed: int | None = Field(None, ge=0, lt=2**32, description="seed of UMAP (null: the run's; 47 in the study)")
    name_by_parents: bool = Field(
        False, description="also name the target's clusters by what the parents' log-odds say of their pictures"
    )
    umap_figure: bool = Field(True, description="draw the picked member's pictures by UMAP, coloured by cell")

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if not self.methods:
            yield "methods", "no way of clustering is named; name at least one"
        if len(set(self.methods)) < len(self.methods):
            yield "methods", f"each way once, not {list(self.methods)}"
        if self.metric == "mahalanobis" and self.weights != "none":
            yield "weights", "whitening undoes them: leave them out, or take another metric than mahalanobis"
        if self.dbscan_eps is not None and self.dbscan_quantile is not None:
            yield "dbscan_quantile", "says the radius that dbscan_eps says; leave one of them out"

    @property
    def terms(self) -> Contract:
        labelled = self.metric == "mahalanobis" or self.weights != "none"
        return replace(self.contract, pictures="labelled" if labelled else "none", populations=self.name_by_parents)

    def evaluate(self, model: ComposedModel, images: Images, run: Run) -> Report:
        from composer_clustering.evaluation import evaluate

        return evaluate(self, model, images, run)


def _only_clusters(value: Any) -> Any:
    if isinstance(value, Evaluator) and not isinstance(value, Clusters):
        raise ValueError("must be the evaluator 'clusters', whose options can be searched")
    return value


class Tuned(Evaluator):
    """Scores of clusters whose options were chosen without labels: by what the parents say, stability or an index.

    Options are searched by the features of the picked member, for K-means, DBSCAN and HDBSCAN each, and used for all
    members. A one-class SVM, which needs labels, keeps its own. Scores are those of `clusters`; `chosen.NAME` are
    those of the way of clustering whose best trial was worth most. The search is given features, the parents' log-odds
    where the objective asks for them, and nothing else. Partitions of different spaces are judged in one, the first
    ten principal components of the features. One that is all noise, or one cluster, is worth less than any other.
    Trials are kept in the store: a search that was broken off, or that gets more trials, goes on where it was. With a
    `timeout` the result depends on the machine's speed.
    """

    name = "tuned"
    scores = (
        ScoreInfo("chosen.adjusted_rand", "adjusted Rand index of tuned clusters", "tuned\nARI", main=True),
        ScoreInfo("chosen.accuracy", "accuracy of tuned clusters", "tuned", labels="fitting"),
        ScoreInfo("chosen.accuracy_by_parents", "accuracy of tuned clusters, named by the parents", "by\nparents"),
    )
    contract = Contract(
        reference="Ben-Hur et al. 2002 (stability); Moulavi et al. 2014 (DBCV); Rousseeuw 1987 (silhouette); Davies "
        "and Bouldin 1979; arXiv:2403.14830 (one space for all partitions); Bergstra et al. 2011 (by: optuna)"
    )

    of: Annotated[Clusters, BeforeValidator(_only_clusters)] = Field(
        Clusters(), description="the evaluator `clusters`, with the options that the search starts from"
    )
    by: Literal["random", "grid", "optuna"] = Field(
        "random",
        description="combinations drawn at random, evenly spaced ones of the grid of all, or those that a "
        "tree-structured Parzen estimator suggests by the worth of all before (optuna, an extra); its own come first",
    )
    objective: Literal["stability", "dbcv", "silhouette", "davies_bouldin", "parents", "surrogate"] = Field(
        "parents",
        description="what a partition is worth: adjusted Rand index with those of subsamples (stability), "
        "density-based validity (dbcv), silhouette, 1 / (1 + the index of Davies and Bouldin) (davies_bouldin), "
        "adjusted Rand index with what the parents say of the pictures (parents), or what a model that was fitted on "
        "drawn pairs expects of all these and of the clusters' sizes (surrogate)",
    )
    trials: int = Field(40, ge=1, le=100_000, description="most combinations that are tried of each way of clustering")
    timeout: float | None = Field(
        None, gt=0, le=1e7, description="seconds that the search of a composition may take (null: as long as it needs)"
    )
    vary: tuple[Vary, ...] = Field(
        ("clusters", "reduction", "metric"),
        description="what is searched: the options of each way (clusters), raw features and principal components "
        "(reduction), UMAP of 2 and 5 dimensions (umap), metrics without labels (metric), and the weights and the "
        "whitening that come of the parents' labels (weights)",
    )

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if self.by == "optuna" and find_spec("optuna") is None:
            yield "by", "the package optuna is not installed: pip install -e '.[optuna]' in composer's own folder"
        for option, message in self.of.problems(concepts):
            yield "of", f"{option}: {message}"
        if set(self.of.methods) <= {"one_class_svm"}:
            yield "of", "methods: name one that can be tuned: kmeans, dbscan or hdbscan"
        if not self.vary or len(set(self.vary)) < len(self.vary):
            yield "vary", f"name what is searched, each once, not {list(self.vary)}"

    @property
    def terms(self) -> Contract:
        inner = self.of.terms
        return replace(
            self.contract,
            pictures="labelled" if "weights" in self.vary else inner.pictures,
            populations=inner.populations or self.objective in ("parents", "surrogate"),
        )

    def evaluate(self, model: ComposedModel, images: Images, run: Run) -> Report:
        for option, message in self.problems(()):
            raise ComposerError(f"tuned: {option}: {message}")
        from composer_clustering.tuning import tuned_report

        return tuned_report(self, model, images, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Clusters, Tuned]
