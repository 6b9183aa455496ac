"""From a model's features and kernels to the reports of `study` and `novelty`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from composer import ComposedModel, ComposerError, Images, KernelSet, Report, Run, Score, resamples
from composer_study import measures, published
from composer_study.kmeans import first_centres, inner_products, lloyd, silhouettes, squared_distances
from composer_study.novelty import novelty
from composer_study.replay import METHODS, Pipeline, rounded_anew, run_all

if TYPE_CHECKING:
    from composer_study import Study

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

AT_ONCE = 128
"""Members whose features are held at a time: some tens of megabytes."""


@dataclass(frozen=True)
class Clusterings:
    """The same clustering of several members: labels [M, N], which members, silhouettes [M].

    picked: where among them the picked one is.
    """

    labels: Integers
    judged: tuple[int, ...]
    silhouettes: Floats
    picked: int


def evaluate(options: Study, model: ComposedModel, images: Images, run: Run) -> Report:
    """All scores of the evaluator `study`."""
    target = images.target
    if not 0 < int(target.sum()) < len(images):
        raise ComposerError(f"study: {int(target.sum())} of {len(images)} test pictures show the target; some must")
    scores: dict[str, Score] = {}
    raw = cluster_features(options, model, images, run)
    scores.update(_scores("kmeans", raw, images, model, run.seed))
    scores["kmeans.silhouette"] = Score(raw.silhouettes, judged=_judged(raw, model))
    if options.umap_members:
        for method, clusterings in cluster_planes(options, model, images, run).items():
            scores.update(_scores(f"umap.{method}", clusterings, images, model, run.seed))
    if options.replay:
        scores.update(replay(options, model, images, run))
    return Report(scores)


def evenly(members: int, wanted: int | None, picked: int) -> tuple[int, ...]:
    """At most `wanted` of the members, evenly spaced, and the picked one."""
    count = members if wanted is None else min(wanted, members)
    return tuple(sorted({picked, *(index * members // count for index in range(count))}))


@torch.no_grad()
def cluster_features(options: Study, model: ComposedModel, images: Images, run: Run) -> Clusterings:
    """Two clusters in the features of each judged member, found for many members at once."""
    judged = evenly(len(model), options.members, run.picked)
    uniforms = torch.rand((len(model), options.restarts, 2), generator=run.generator(), dtype=torch.float64)
    chunks = [judged[start : start + AT_ONCE] for start in range(0, len(judged), AT_ONCE)]
    labels, widths = [], []
    for chunk in run.progress(chunks, f"K-means of {len(judged)} networks", len(chunks)):
        products = inner_products(features_of(model, chunk, images, run.device).to(run.device))
        squared = squared_distances(products)
        found, _ = lloyd(products, first_centres(squared, uniforms[list(chunk)].to(run.device)))
        labels.append(found.cpu())
        widths.append(silhouettes(squared, found).cpu())
    return Clusterings(torch.cat(labels).numpy(), judged, torch.cat(widths).numpy(), judged.index(run.picked))


def cluster_planes(options: Study, model: ComposedModel, images: Images, run: Run) -> dict[str, Clusterings]:
    """Per method the clusters that the study's pipeline finds for some members, evenly spaced."""
    judged = evenly(len(model), options.umap_members, run.picked)
    features = list(features_of(model, judged, images, run.device).numpy())
    found = run_all(features, images.target, _pipeline(options), options.processes)
    kept = list(run.progress(found, "the study's pipeline", len(judged)))
    labels = np.stack([one.labels for one in kept])  # [M, methods, N]
    widths = np.asarray([one.silhouette for one in kept])
    picked = judged.index(run.picked)
    return {method: Clusterings(labels[:, index], judged, widths, picked) for index, method in enumerate(METHODS)}


def replay(options: Study, model: ComposedModel, images: Images, run: Run) -> dict[str, Score]:
    """The networks of the study's tables that the model has, each judged several times, with what was found most."""
    index = {name: place for place, name in enumerate(model.members)}
    judged = tuple(index[name] for name in published.MODELS if name in index)
    if not judged:
        return {}
    each = features_of(model, judged, images, run.device).numpy()
    times = range(options.roundings)
    tasks = [
        rounded_anew(features, run.seed, member, time)
        for member, features in zip(judged, each, strict=True)
        for time in times
    ]
    found = run_all(tasks, images.target, _pipeline(options), options.processes)
    kept = list(run.progress(found, "the study's tables", len(tasks)))
    scores: dict[str, Score] = {}
    for place, method in enumerate(METHODS):
        printed = {row.model: row for row in published.TABLES[method]}
        rows = [
            _row(
                np.stack([one.labels[place] for one in kept[start : start + len(times)]]),
                images,
                printed[model.members[member]],
            )
            for start, member in zip(range(0, len(tasks), len(times)), judged, strict=True)
        ]
        for name in rows[0]:
            scores[f"replay.{method}.{name}"] = Score(
                np.asarray([row[name] for row in rows]),
                labels="fitting",
                higher_is_better=name not in (*measures.LOWER_IS_BETTER, "false_positives"),
                judged=judged,
            )
    return scores


def _row(labels: Integers, images: Images, row: published.Row) -> dict[str, float]:
    """One row of a table, from clusterings [T, N]: what is found most often, of equals what is found first."""
    tables = measures.contingency(labels, images.target)
    figures = np.stack([measure(tables) for measure in measures.STUDY.values()], axis=1)  # [T, 5]
    outcomes = [tuple(values) for values in figures.round(12).tolist()]
    most = outcomes.index(Counter(outcomes).most_common(1)[0][0])
    return {
        **dict(zip(measures.STUDY, figures[most].tolist(), strict=True)),
        "true_positives": float(tables[most, 0, 0]),
        "false_positives": float(tables[most, 0, 1]),
        "agreeing": float(np.mean([published.agrees(values, row.printed) for values in figures.tolist()])),
        "as_computed_agrees": float(published.agrees(figures[0].tolist(), row.printed)),
        "accuracy_lowest": float(figures[:, 0].min()),
        "accuracy_highest": float(figures[:, 0].max()),
    }


def features_of(model: ComposedModel, members: Sequence[int], images: Images, device: str) -> Tensor:
    """Features [M, N, D] of some members, all of which would take gigabytes; ComposerError where one is not finite."""
    chosen = model.select(members)
    features = chosen.features(images, device)
    broken = (~features.flatten(1).isfinite().all(1)).nonzero().flatten().tolist()
    if broken:
        raise ComposerError(
            f"study: the features of member {chosen.members[broken[0]]!r} are not finite; its training or its kernels"
            " have diverged: lower the learning rate, or leave it out"
        )
    return features


def evaluate_novelty(model: ComposedModel, run: Run) -> Report:
    """The distances of `novelty`; an empty report for a model that is not one network with the parents' layers."""
    made = kernels_of(model, run.kernels)
    if made is None:
        return Report({})
    found = novelty(made, run.kernels, run)
    run.figure("copy or creation", found.figure("Copy or creation: distances of kernels"))
    own = {name for parent in run.kernels for name in parent.members}
    if found.verdict in ("copies", "noise") and not own.issuperset(made.members):  # parents under their own names
        run.warn(found.sentence)
    return Report(_distances(found.of_members))


def kernels_of(model: ComposedModel, parents: Sequence[KernelSet]) -> KernelSet | None:
    """The layers of a model that its parents' kernels have; None where it lacks one, or has several networks."""
    if not parents or len(model.parts) > 1:
        return None
    body = model.parts[0]
    layers = {}
    for layer, kernels in parents[0].layers.items():
        weights = body.weights.get(f"{layer}.weight")
        if weights is None:
            return None
        layers[layer] = weights.reshape(len(body), *kernels.shape[1:])
    return KernelSet(body.concept, layers, model.members)


def _distances(of_members: Mapping[str, Floats]) -> dict[str, Score]:
    """A score for each distance that all members have."""
    names = {
        "nearest": "to_nearest_parent",
        "source": "to_source",
        "unrelated": "to_unrelated_parent",
        "noise": "noise_to_nearest_parent",
        "mean": "to_mean",
    }
    return {names[name]: Score(distances) for name, distances in of_members.items() if not np.isnan(distances).any()}


def _scores(name: str, clusterings: Clusterings, images: Images, model: ComposedModel, seed: int) -> dict[str, Score]:
    """All measures of a clustering, over the judged members, with the interval of the picked one."""
    target = images.target
    tables = measures.contingency(clusterings.labels, target)
    picked = clusterings.picked
    drawn = _counts(resamples(images, seed), len(images))
    again = measures.contingency(clusterings.labels[picked : picked + 1], target, drawn)
    measured = {**measures.STUDY, **measures.STANDARD}
    if tables.shape[1] <= 3 and name == "kmeans":
        measured["matched_accuracy"] = measures.matched_accuracy
    return {
        f"{name}.{measure}": Score(
            function(tables),
            function(again),
            labels="fitting" if name.endswith("one_class_svm") else "scoring",
            higher_is_better=measure not in measures.LOWER_IS_BETTER,
            judged=_judged(clusterings, model),
        )
        for measure, function in measured.items()
    }


def _judged(clusterings: Clusterings, model: ComposedModel) -> tuple[int, ...] | None:
    return clusterings.judged if len(clusterings.judged) < len(model) else None


def _counts(drawn: NDArray[np.int64], pictures: int) -> Floats:
    """How often each picture was drawn, [B, N], from the indices drawn [B, N]."""
    rows = np.arange(len(drawn))[:, None] * pictures
    counts = np.bincount((drawn + rows).ravel(), minlength=len(drawn) * pictures)
    return counts.reshape(len(drawn), pictures).astype(np.float64)


def _pipeline(options: Study) -> Pipeline:
    return Pipeline(
        options.umap_seed, options.kmeans_seed, options.svm_nu, options.dbscan_eps, options.dbscan_min_samples
    )
