"""Plugins that are not of this distribution: installed from their own pyproject, checked, and used in a run."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from clean_environment import ROOT, Environment

THIRD_PARTY = ROOT / "tests" / "third_party"


def installed(name: str, environment: Environment, folder: Path) -> Path:
    """A copy of the distribution, so that building leaves nothing in this tree, installed."""
    copy = folder / name
    shutil.copytree(THIRD_PARTY / name, copy, ignore=shutil.ignore_patterns("*.egg-info", ".*_cache", "__pycache__"))
    environment.succeed("pip install .", copy)
    return copy


def report_of(recipe: Path, environment: Environment, folder: Path) -> dict[str, object]:
    environment.succeed(f"composer run {recipe} --output run", folder)
    report: dict[str, object] = json.loads((folder / "run" / "report.json").read_text(encoding="utf-8"))
    return report


@pytest.mark.slow
def test_a_translator_of_others_is_checked_and_composes(environment: Environment, tmp_path: Path) -> None:
    copy = installed("composer-slerp", environment, tmp_path)
    environment.succeed("pytest -W error tests/test_slerp.py && mypy", copy)
    listed = json.loads(environment.succeed("composer list-plugins --json", tmp_path))
    own = [found["name"] for found in listed["components"] if found["distribution"] == "composer-slerp"]
    assert own == ["slerp"]
    report = report_of(copy / "recipe.yaml", environment, tmp_path)
    compositions = report["compositions"]
    assert isinstance(compositions, dict)
    assert compositions["slerp"]["members"] == 3
    warnings = report["warnings"]
    assert isinstance(warnings, list)
    assert [message for message in warnings if not message.startswith("parent.")] == [], "weak parents are expected"


@pytest.mark.slow
def test_an_evaluator_of_others_judges_by_a_library_that_composer_does_not_need(
    environment: Environment, tmp_path: Path
) -> None:
    assert "scoringrules" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    if not environment.has("scoringrules") and not environment.fetch("scoringrules>=0.8"):
        pytest.skip("scoringrules is not installed, and the package index cannot be reached")
    copy = installed("composer-skill", environment, tmp_path)
    environment.succeed("pytest -W error tests/test_skill.py && mypy", copy)
    report = report_of(copy / "recipe.yaml", environment, tmp_path)
    compositions = report["compositions"]
    assert isinstance(compositions, dict)
    for composition in ("product", "parents.black", "parents.cat"):
        scores = compositions[composition]["scores"]
        assert scores["skill.brier"]["median"] < 1
        assert scores["skill.log"]["interval"] is not None
