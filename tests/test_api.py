from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from composer import ComposerError, Expression
from composer.api import Composed, compose, plain
from composer.errors import RecipeError
from composer.pipeline import run_recipe
from composer.recipes.recipe_reader import read_recipe
from composer.registry import load_registry
from composer_assembly import Product, Transplant
from composer_cnn import CNN
from composer_controls import Mean
from composer_drawings import Drawings
from composer_recognition import Recognition
from composer_training import Train

RECIPE = """\
name: from_python
seed: 4
concepts: [black, cat]
images: {use: drawings, size: 16, train: 40, test: 16}
models: {use: train, architecture: {use: cnn, filters: [2, 3], size: 16}, members: 2, epochs: 1}
compositions:
  product: {assembler: product}
  mean: {translator: mean, assembler: transplant}
controls: [parents]
evaluators: [recognition]
"""


def composed(folder: Path, **changes: object) -> Composed:
    arguments: dict[str, object] = {
        "concepts": ["black", "cat"],
        "images": Drawings(size=16, train=40, test=16),
        "models": {"use": "train", "architecture": CNN(filters=(2, 3), size=16), "members": 2, "epochs": 1},
        "compositions": {
            "product": {"assembler": Product()},
            "mean": {"translator": Mean(), "assembler": "transplant"},
        },
        "controls": ["parents"],
        "evaluators": [Recognition()],
        "name": "from_python",
        "seed": 4,
        "output": folder,
        "device": "cpu",
    }
    return compose(**(arguments | changes))  # type: ignore[arg-type]  # of mixed types


def test_components_and_plain_data_make_the_same_run_as_yaml(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    result = composed(tmp_path / "run")
    assert json.loads((tmp_path / "run" / "report.json").read_text()) == result.report
    assert result.folder == tmp_path / "run"
    assert capfd.readouterr() == ("", ""), "nothing is printed unless asked for"
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    report = run_recipe(read_recipe(tmp_path / "recipe.yaml"), tmp_path / "run", "cpu")
    assert report == result.report
    stages = json.loads((tmp_path / "run" / "run.json").read_text())["stages"]
    assert {stage["status"] for stage in stages} == {"kept"}, "to the cache they are one recipe"
    pixels = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    assert result.load()(pixels).shape == (1,)
    assert result.load("mean", member=1).features(pixels).shape == (1, 3)


def test_the_recipe_it_leaves_can_be_run_from_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    result = composed(
        tmp_path, name=None, output=None, compositions={"product": {"assembler": "product"}}, progress=True
    )
    assert result.folder == Path("runs/black_cat"), "named after its concepts"
    assert "cat" in capfd.readouterr().err, "progress was asked for"
    again = read_recipe(result.folder / "recipe.yaml")
    assert run_recipe(again, result.folder, "cpu") == result.report


def test_a_target_is_text_or_an_expression(tmp_path: Path) -> None:
    asked = Expression.parse("cat and not black")
    result = composed(tmp_path / "run", target=asked)
    assert result.report["target"] == "cat and not black"
    assert result.load().target == "cat and not black"
    assert result.load(target="not cat").target == "not cat"
    (tmp_path / "recipe.yaml").write_text(f"{RECIPE}target: cat and not black\n")
    assert run_recipe(read_recipe(tmp_path / "recipe.yaml"), tmp_path / "run", "cpu") == result.report
    with pytest.raises(RecipeError, match=r"compose\(\): target: 'blak' has 'blak' at letter 1"):
        composed(tmp_path / "run", target="blak")


def test_all_that_is_wrong_is_said_at_once_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        composed(
            tmp_path / "run",
            images={"use": "drawings", "sise": 16},
            compositions={"product": {"assembler": "prodct"}, "bare": {"assembler": Transplant()}},
            seed=-1,
        )
    said = str(refused.value)
    assert "compose(): images.sise: unknown option; did you mean 'size'?" in said
    assert "compose(): compositions.product.assembler: no assembler is called 'prodct'; did you mean 'product'?" in said
    assert "compose(): compositions.bare: assembler 'transplant' needs kernels" in said
    assert "compose(): seed: must be a whole number" in said
    assert not (tmp_path / "run").exists()


def test_concepts_can_have_pictures_and_models_of_their_own(tmp_path: Path) -> None:
    own = {"black": {"models": Train(architecture=CNN(filters=(2, 3), size=16), members=2, epochs=1)}, "cat": None}
    result = composed(tmp_path / "run", concepts=own, compositions={"product": {"assembler": "product"}})
    assert result.report["concepts"] == ["black", "cat"]


def test_a_component_becomes_its_options_all_the_way_down() -> None:
    data = plain({"models": Train(architecture=CNN(size=16), members=2), "root": Path("here")}, load_registry())
    assert data["models"]["use"] == "train"
    assert data["models"]["architecture"] == {"use": "cnn", "filters": [6, 16], "kernel_size": 5, "size": 16}
    assert data["root"] == "here"


def test_a_component_of_no_installed_plugin_is_refused(tmp_path: Path) -> None:
    class Mine(Mean.__base__):  # type: ignore[misc,name-defined]  # the interface, by way of a component
        """Does nothing."""

        name = "mean"

        def translate(self, parents: object, run: object) -> None:
            raise AssertionError

    with pytest.raises(
        ComposerError, match=r"compositions\.mean\.translator: .*Mine is offered by no installed plugin"
    ):
        composed(tmp_path / "run", compositions={"mean": {"translator": Mine(), "assembler": "transplant"}})


def test_a_class_in_place_of_a_component_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ComposerError, match=r"product\.assembler: Product is a class; write Product\(\.\.\.\)"):
        composed(tmp_path / "run", compositions={"product": {"assembler": Product}})
