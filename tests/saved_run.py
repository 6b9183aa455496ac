"""A finished run's folder without the run: untrained networks, saved as a run saves them, and a report."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from composer import ComposedModel
from composer.data.files import write_json
from composer.judging.declared import declared_scores
from composer.running.storage import pack, write_tensors
from composer_clustering import Clusters
from composer_cnn import CNN
from composer_recognition import Recognition
from tiny import tiny_population

LARGER = CNN(filters=(2, 3), size=24)
PICKED = 2


def saved_run(folder: Path) -> dict[str, ComposedModel]:
    """Writes `folder`; returns its compositions: a product of two input sizes, features alone, and a control."""
    black, cat = tiny_population("black"), tiny_population("cat", seed=1, architecture=LARGER)
    names = tuple(f"black {member} x cat {member}" for member in range(3))
    body = {name: tensor for name, tensor in black.weights.items() if not name.startswith("fc1.")}
    headless = replace(black, concept="black+cat", weights=body, outputs=(), _memo={})
    models = {
        "product": ComposedModel((black, cat), names),
        "features": ComposedModel((headless,), headless.members),
        "parents.black": ComposedModel((black,), black.members),
    }
    for name, model in models.items():
        save_model(folder / "models" / name, model)
    write_json(folder / "report.json", report(models))
    return models


def save_model(home: Path, model: ComposedModel) -> None:
    """What a run leaves in `models/<composition>/`."""
    home.mkdir(parents=True)
    facts, tensors = pack(model)
    write_tensors(home / "model.safetensors", tensors)
    write_json(home / "config.json", {"type": "ComposedModel", **facts})


def report(models: dict[str, ComposedModel]) -> dict[str, Any]:
    """The content of report.json with made-up scores; the control's is the highest."""
    declared = declared_scores({"recognition": Recognition(), "clusters": Clusters()})
    auc = {"product": 0.9, "parents.black": 0.95}
    return {
        "name": "small",
        "concepts": ["black", "cat"],
        "seed": 3,
        "version": "0.1.0",
        "declared": {name: info.facts() for name, info in declared.items()},
        "images": {"count": 20, "positives": 5, "cells": {"black+cat": 5, "black": 5, "cat": 5, "none": 5}},
        "compositions": {
            name: {
                "control": name.startswith("parents"),
                "members": len(model),
                "parameters": model.parameters,
                "picked_member": PICKED,
                "picked_by": "agreement with the other members",
                "scores": {
                    "clusters.kmeans.accuracy": score(0.6, 0),
                    **({"recognition.auc": score(auc[name], PICKED)} if name in auc else {}),
                },
            }
            for name, model in models.items()
        },
        "warnings": ["population.black: it knows little"],
    }


def score(value: float, picked: int) -> dict[str, Any]:
    return {
        "median": value - 0.05,
        "picked": value,
        "picked_by": "agreement with the other members",
        "picked_member": picked,
        "best": value,
        "best_member": picked,
        "interval": [value - 0.03, value + 0.03],
        "labels": "scoring",
        "higher_is_better": True,
    }
