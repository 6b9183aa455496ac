"""A composition's scores as the Hugging Face hub reads them from a card: its `model-index`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from composer.data.records import target_of
from composer.data.score_info import read_declared
from composer.models.cards import INDEX


def model_index(report: Mapping[str, Any], composition: str) -> dict[str, Any]:
    """The key `model-index` with the scores of the member that people get; nothing where there are none.

    Only declared scores stand there, and none that test labels were fitted to. The hub has no place for intervals, so
    they stand in the metrics' names.
    """
    scores = report["compositions"][composition]["scores"]
    metrics = [
        {"type": name.rpartition(".")[2], "value": scores[name]["picked"], "name": _named(info.title, scores[name])}
        for name, info in read_declared(report).items()
        if name in scores and scores[name]["labels"] != "fitting"
    ]
    if not metrics:
        return {}
    result = {
        "task": {"type": "image-classification", "name": f"telling {target_of(report)} from all others"},
        "dataset": {"type": report["name"], "name": _pictures(report)},
        "metrics": metrics,
    }
    return {INDEX: [{"name": f"{report['name']}: {composition}", "results": [result]}]}


def _named(title: str, score: Mapping[str, Any]) -> str:
    if score["interval"] is None:
        return title
    low, high = score["interval"]
    return f"{title} (95 % interval {low:.3f} to {high:.3f})"


def _pictures(report: Mapping[str, Any]) -> str:
    images = report["images"]
    cells = ", ".join(f"{count} {cell}" for cell, count in images["cells"].items())
    return f"{images['count']} test pictures of the recipe {report['name']} ({cells})"
