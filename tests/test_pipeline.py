from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from composer import ComposerError, hook
from composer.hookspecs import Stage
from composer.pipeline import run_recipe
from composer.recipes.recipe import Recipe
from composer.recipes.recipe_reader import read_recipe
from composer.registry import load_registry
from composer.running.cache import stage_seed
from composer.running.plan import make_plan
from composer.running.store_folder import VARIABLE
from conftest import SMALL

Read = Callable[..., Recipe]


class Watcher:
    """Writes down how each stage ended, and may stop the run at one."""

    def __init__(self, stop_at: str | None = None) -> None:
        self.stages: list[Stage] = []
        self.stop_at = stop_at

    @hook
    def composer_stage_started(self, stage: Stage) -> None:
        if stage.name == self.stop_at:
            raise KeyboardInterrupt

    @hook
    def composer_stage_finished(self, stage: Stage) -> None:
        self.stages.append(stage)

    def named(self, status: str) -> set[str]:
        return {stage.name for stage in self.stages if stage.status == status}


def run(
    recipe: Recipe, folder: Path, fresh: bool = False, stop_at: str | None = None
) -> tuple[dict[str, Any], Watcher]:
    watcher = Watcher(stop_at)
    registry = load_registry()
    registry.watch(watcher)
    try:
        return run_recipe(recipe, folder, "cpu", fresh, registry, store=folder / "stages"), watcher
    finally:
        registry.unwatch(watcher)


@pytest.fixture(scope="module")
def first(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A finished run of the small recipe, to look at and not to change."""
    folder = tmp_path_factory.mktemp("first")
    (folder / "recipe.yaml").write_text(SMALL, encoding="utf-8")
    report, _ = run(read_recipe(folder / "recipe.yaml"), folder / "run")
    return folder / "run", report


def test_a_run_leaves_a_report_that_can_be_read_by_others(first: tuple[Path, dict[str, Any]]) -> None:
    folder, report = first
    assert json.loads((folder / "report.json").read_text()) == report
    assert report["name"] == "small"
    assert report["concepts"] == ["black", "cat"]
    assert report["images"] == {
        "count": 40,
        "positives": 10,
        "cells": {"black+cat": 10, "black": 10, "cat": 10, "none": 10},
    }
    assert set(report["compositions"]) == {"cyclegan", "product", "random", "parents.black", "parents.cat"}
    product = report["compositions"]["product"]
    assert (product["control"], product["members"]) == (False, 3)
    score = product["scores"]["recognition.auc"]
    assert {"median", "picked", "picked_by", "best", "interval", "labels"} <= set(score)
    low, high = score["interval"]
    assert low <= score["picked"] <= high
    assert score["labels"] == "scoring"
    assert "recognition.auc" not in report["compositions"]["cyclegan"]["scores"], "a transplant has no head"
    assert report["compositions"]["random"]["members"] == report["compositions"]["cyclegan"]["members"] == 6


def test_the_report_says_how_well_each_parent_knows_its_own_concept(first: tuple[Path, dict[str, Any]]) -> None:
    _, report = first
    assert list(report["parents"]) == ["black", "cat"]
    for concept, other in (("black", "cat"), ("cat", "black")):
        parent = report["parents"][concept]
        assert (parent["members"], parent["parameters"]) == (
            3,
            report["compositions"][f"parents.{concept}"]["parameters"],
        )
        assert set(parent["scores"]) == {"auc", f"auc_within.{other}", "auc_within.none"}
        held_out = parent["measured"]["held_out_auc"]
        assert held_out["lowest"] <= held_out["median"] <= held_out["highest"]
        weak = [warning for warning in report["warnings"] if warning.startswith(f"parent.{concept} for {concept}: ")]
        assert bool(weak) == (min(score["median"] for score in parent["scores"].values()) < 0.8)


def test_a_run_compares_its_compositions_with_its_controls(first: tuple[Path, dict[str, Any]]) -> None:
    _, report = first
    compared = {(one["composition"], one["control"], one["score"]) for one in report["comparisons"]}
    assert ("product", "parents.cat", "recognition.auc") in compared
    assert ("cyclegan", "random", "clusters.kmeans.adjusted_rand") in compared
    assert not {name for name, _, _ in compared} & {"random", "parents.black", "parents.cat"}
    for one in report["comparisons"]:
        picked = [
            report["compositions"][one[arm]]["scores"][one["score"]]["picked"] for arm in ("composition", "control")
        ]
        assert one["difference"] == pytest.approx(picked[0] - picked[1])
        assert one["interval"][0] <= one["interval"][1]
        assert one["p"] <= one["p_holm"] <= 1
    score = report["compositions"]["cyclegan"]["scores"]["clusters.kmeans.adjusted_rand"]
    assert score["judged"] == 6
    assert score["quartiles"][0] <= score["median"] <= score["quartiles"][1]
    random = report["compositions"]["random"]["scores"]["clusters.kmeans.adjusted_rand"]
    assert score["best_by_luck"] == pytest.approx(random["best"]), "there are as many random ones"
    assert score["best_by_luck_of"] == "random"
    assert set(score["best_of_controls"]) == {"random", "parents.black", "parents.cat"}
    assert "best_of_controls" not in random


def test_a_run_leaves_models_figures_provenance_and_the_filled_in_recipe(first: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = first
    assert (folder / "models" / "product" / "model.safetensors").exists()
    assert json.loads((folder / "models" / "product" / "config.json").read_text())["type"] == "ComposedModel"
    figures = {file.name for file in (folder / "figures").iterdir()}
    assert {"cyclegan - losses conv1.png", "cyclegan - kernels conv1.svg"} <= figures
    provenance = json.loads((folder / "run.json").read_text())
    assert provenance["versions"]["torch"]
    assert all(stage["seconds"] >= 0 and stage["peak_memory"] > 0 for stage in provenance["stages"])
    written = yaml.safe_load((folder / "recipe.yaml").read_text())
    assert written["models" if "models" in written else "concepts"]


def test_the_written_recipe_runs_again_from_the_cache(first: tuple[Path, dict[str, Any]]) -> None:
    folder, report = first
    again, watcher = run(read_recipe(folder / "recipe.yaml"), folder)
    assert watcher.named("computed") == set(), "nothing has changed, so nothing is computed"
    assert again == report


def test_a_changed_evaluator_is_all_that_is_computed_again(small_recipe: Read, tmp_path: Path) -> None:
    run(small_recipe(), tmp_path / "run")
    report, watcher = run(small_recipe("evaluators.clusters.reduction=raw"), tmp_path / "run")
    assert watcher.named("computed") == {"evaluate.clusters", "page"}
    reasons = {stage.name: stage.reason for stage in watcher.stages if stage.status == "computed"}
    assert reasons == {"evaluate.clusters": "changed: options", "page": "changed: inputs"}
    afresh, _ = run(small_recipe("evaluators.clusters.reduction=raw"), tmp_path / "other")
    assert report["compositions"] == afresh["compositions"]


def test_another_seed_changes_every_stage_that_draws(small_recipe: Read) -> None:
    before, after = make_plan(small_recipe()), make_plan(small_recipe("seed=4"))
    assert before.test is not None
    assert after.test is not None
    assert before.test.key != after.test.key
    assert before.populations["cat"].key != after.populations["cat"].key


def test_adding_a_composition_changes_no_other(small_recipe: Read) -> None:
    before = {arm.composition.name: arm for arm in make_plan(small_recipe()).arms}
    more = small_recipe("compositions.averaged={translator: mean, assembler: transplant}")
    after = {arm.composition.name: arm for arm in make_plan(more).arms}
    assert set(after) - set(before) == {"averaged"}
    for name, arm in before.items():
        assert after[name].model.key == arm.model.key, name


def test_stage_seeds_differ_and_are_fixed() -> None:
    assert stage_seed(7, "population.black") != stage_seed(7, "population.cat")
    assert stage_seed(7, "population.black") != stage_seed(8, "population.black")
    assert stage_seed(7, "population.black") == 3924596123, "seeds must not change between versions"


def test_a_stopped_run_keeps_what_was_finished_and_goes_on_from_there(small_recipe: Read, tmp_path: Path) -> None:
    whole, _ = run(small_recipe(), tmp_path / "whole")
    folder = tmp_path / "stopped"
    for stop_at in ("population.cat", "translate.cyclegan", "evaluate.clusters"):
        with pytest.raises(KeyboardInterrupt):
            run(small_recipe(), folder, stop_at=stop_at)
        assert not (folder / "report.json").exists(), "nothing half-written"
    report, watcher = run(small_recipe(), folder)
    assert report == whole
    assert not {"images.train.cat", "population.cat", "translate.cyclegan"} & watcher.named("computed")


def test_a_damaged_result_is_made_again(small_recipe: Read, tmp_path: Path) -> None:
    whole, _ = run(small_recipe(), tmp_path)
    damaged = next((tmp_path / "stages").glob("assemble.product-*")) / "data.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:100])
    report, watcher = run(small_recipe(), tmp_path)
    assert report == whole
    assert watcher.named("computed") == {"assemble.product"}


def test_fresh_computes_everything_again(small_recipe: Read, tmp_path: Path) -> None:
    report, _ = run(small_recipe(), tmp_path)
    again, watcher = run(small_recipe(), tmp_path, fresh=True)
    assert watcher.named("kept") == set()
    assert again == report


def test_an_output_folder_that_cannot_be_written_is_named(small_recipe: Read, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ComposerError, match=r"--output .*file.*: cannot be written"):
        run(small_recipe(), tmp_path / "file" / "run")


def test_a_device_that_is_not_there_is_an_error(small_recipe: Read, tmp_path: Path) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device")
    with pytest.raises(ComposerError, match="--device cuda"):
        run_recipe(small_recipe(), tmp_path, "cuda")


def test_scores_do_not_depend_on_the_hash_seed(recipe_file: Callable[[str], Path], tmp_path: Path) -> None:
    recipe = recipe_file(SMALL)
    scores = []
    for hash_seed in ("1", "2"):
        folder = tmp_path / hash_seed
        command(recipe, folder, PYTHONHASHSEED=hash_seed).wait()
        scores.append(json.loads((folder / "report.json").read_text())["compositions"])
    assert scores[0] == scores[1]


@pytest.mark.slow
def test_a_run_killed_at_three_stages_ends_like_an_undisturbed_one(
    recipe_file: Callable[[str], Path], tmp_path: Path, first: tuple[Path, dict[str, Any]]
) -> None:
    recipe = recipe_file(SMALL)
    folder = tmp_path / "killed"
    for stage in ("images.train.cat", "translate.cyclegan", "evaluate.clusters"):
        process = command(recipe, folder)
        while process.poll() is None and not list((folder / "stages").glob(f"{stage}-*")):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert command(recipe, folder).wait() == 0
    assert json.loads((folder / "report.json").read_text()) == first[1]
    assert not list((folder / "stages").glob(".part-*")), "what a killed run had begun is cleared away"


def command(recipe: Path, folder: Path, **environment: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-m", "composer", "run", str(recipe), "--output", str(folder), "--device", "cpu"],
        env={**os.environ, VARIABLE: str(folder / "stages"), **environment},
        stdout=subprocess.DEVNULL,
    )
