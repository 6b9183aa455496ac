"""On a GPU: every stage runs, says what it says on the CPU, and repeats itself; skipped where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from composer import ComposerError
from composer.command_line.cli import main
from composer.pipeline import run_recipe
from composer.recipes.recipe_reader import read_recipe
from composer.running.store_folder import VARIABLE
from conftest import ROOT
from test_shipped_recipes import RECIPES, ROOTS, name, reduced

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device here"),
    pytest.mark.usefixtures("own_store"),
]
MODEST = ["images.train=1200", "images.test=400", "models.members=6"]
MODEST += ["compositions.cyclegan.translator.epochs=20", "evaluators.clusters.umap_figure=false"]
CLOSE = 0.03
"""AUC. Training on another device takes another way from the first rounding on, as another seed does."""


def ran(device: str, folder: Path, monkeypatch: pytest.MonkeyPatch, *changes: str) -> tuple[dict[str, Any], Path]:
    """The report of black_cat, computed on that device from the beginning, and the run's folder."""
    monkeypatch.setenv(VARIABLE, str(folder / "store"))
    run_recipe(read_recipe(ROOT / "recipes" / "black_cat.yaml", changes), folder / "run", device)
    report: dict[str, Any] = json.loads((folder / "run" / "report.json").read_text())
    return report, folder / "run"


@pytest.mark.parametrize("path", [path for path in RECIPES if path.stem not in ROOTS], ids=name)
def test_a_recipe_runs_on_a_gpu(path: Path, tmp_path: Path) -> None:
    sets = [part for change in reduced(path, tmp_path) for part in ("--set", change)]
    shown = CliRunner().invoke(main, ["run", str(path), "--output", str(tmp_path / "run"), "--device", "cuda", *sets])
    assert shown.exit_code == 0, shown.output
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["device"] == "cuda"
    trained = [stage for stage in record["stages"] if stage["name"].startswith("population.")]
    assert trained
    assert all(10**5 < stage["device_memory"] <= record["device_memory"] for stage in trained)


def test_a_gpu_gives_the_verdicts_of_the_cpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_cpu, _ = ran("cpu", tmp_path / "cpu", monkeypatch, *MODEST)
    on_gpu, _ = ran("cuda", tmp_path / "cuda", monkeypatch, *MODEST)
    assert on_cpu["compositions"].keys() == on_gpu["compositions"].keys()
    for arm in ("distil", "product", "mean", "parents.black", "parents.cat"):
        cpu, gpu = (said["compositions"][arm]["scores"]["recognition.auc"] for said in (on_cpu, on_gpu))
        assert gpu["median"] == pytest.approx(cpu["median"], abs=CLOSE), arm
    for one, other in zip(on_cpu["comparisons"], on_gpu["comparisons"], strict=True):
        assert {one["verdict"], other["verdict"]} != {"better", "worse"}, (one, other)


def test_the_same_seed_gives_the_same_bytes_on_one_gpu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, first = ran("cuda", tmp_path / "one", monkeypatch, *MODEST)
    other, second = ran("cuda", tmp_path / "other", monkeypatch, *MODEST)
    for file in sorted((first / "models").rglob("*.safetensors")):
        assert file.read_bytes() == (second / file.relative_to(first)).read_bytes(), file.relative_to(first)
    assert one == other


def test_a_full_gpu_is_said_with_what_to_lower(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(0.001)
    try:
        with pytest.raises(ComposerError, match="lower `members` or `batch` of train, or compute on the CPU"):
            ran("cuda", tmp_path, monkeypatch, "models.members=64", "models.batch=2048", "images.train=3000")
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    report, _ = ran("cuda", tmp_path, monkeypatch, "models.members=2", "models.epochs=1", "images.train=160")
    assert report["compositions"], "the GPU can be used again"
