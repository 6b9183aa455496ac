"""The benchmark that chooses how members are picked: benchmarks/picking.py."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from composer import ComposedModel, consensus_pick
from composer_clustering import Clusters
from composer_recognition import Recognition
from conftest import ROOT
from tiny import tiny_images, tiny_population


@pytest.fixture(scope="module")
def benchmark() -> ModuleType:
    spec = importlib.util.spec_from_file_location("picking_benchmark", ROOT / "benchmarks" / "picking.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def test_a_loss_is_the_best_members_score_less_the_picked_ones(benchmark: ModuleType) -> None:
    population, images = tiny_population(members=5, seed=3), tiny_images(per_cell=6)
    model = ComposedModel((population,), population.members)
    losses = {loss.score: loss for loss in benchmark.judged("small", "product", model, images)}
    log_odds = model.log_odds(images).double().numpy()
    values = [roc_auc_score(images.target, own) for own in log_odds]
    loss = losses["AUC"]
    assert loss.best == pytest.approx(max(values))
    assert loss.lost["agreement"] == pytest.approx(max(values) - values[consensus_pick(log_odds)])
    assert loss.lost["any"] == pytest.approx(max(values) - np.mean(values))
    assert set(losses) == {
        "AUC",
        "AUC of the hardest cell",
        "K-means: adjusted Rand index",
        "K-means: accuracy",
        "HDBSCAN: adjusted Rand index",
    }
    for one in losses.values():
        assert min(one.lost.values()) >= 0, one.score


def test_photographs_do_not_count_for_the_choice(benchmark: ModuleType) -> None:
    def loss(recipe: str, good: float, bad: float) -> object:
        return benchmark.Loss(recipe, "product", "AUC", 0.9, {"good": good, "bad": bad, "any": 0.1})

    found = [loss("black_cat", 0.01, 0.02), loss("white_dog", 0.02, 0.03), loss("from_folders", 0.5, 0.0)]
    assert benchmark.least(found, ["AUC"]) == "good"
    rows = benchmark.table(found, "AUC")
    assert rows[0] == "| picked by | **mean** | black_cat | white_dog | *from_folders* |"
    assert rows[2] == "| good | **0.015** | 0.010 | 0.020 | 0.500 |"
    assert rows[-1].startswith("| any member |")


def test_the_page_that_is_committed_names_the_defaults(benchmark: ModuleType) -> None:
    text = (ROOT / "docs" / "picking.md").read_text(encoding="utf-8")
    assert text.startswith("# Picking a member without labels\nWritten by `python benchmarks/picking.py")
    for default, header in ((Recognition().pick, "### Lost AUC"), (Clusters().pick, f"### Lost {benchmark.DECIDE[0]}")):
        first = text.split(f"{header}\n")[1].splitlines()[2]
        assert first.startswith(f"| {default} |"), "the way that loses least comes first"
