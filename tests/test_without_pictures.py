"""Models alone are enough: a recipe without pictures is composed, saved and used, and says that nothing was judged."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from click.testing import CliRunner
from PIL import Image

import composer
from composer.command_line.cli import main
from composer.errors import RecipeError
from composer.recipes.recipe_reader import read_recipe
from composer.recipes.schema import recipe_schema
from composer.registry import load_registry
from composer.results.verification import verify
from tiny import ARCHITECTURE

NETWORK = ARCHITECTURE.options()
SAID = "Not judged: the recipe has no `images:`, and so no test pictures."


def concepts(folder: Path) -> dict[str, Any]:
    """Two networks of two outputs each, the second of which is the concept."""
    for seed, concept in enumerate(("black", "cat")):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            torch.save(ARCHITECTURE.build(2).state_dict(), folder / f"{concept}.pth")
    return {
        concept: {
            "models": {"use": "checkpoints", "pattern": f"{concept}.pth", "architecture": NETWORK, "outputs": [1]}
        }
        for concept in ("black", "cat")
    }


def recipe_in(folder: Path, **changes: Any) -> Path:
    recipe = {"name": "alone", "concepts": concepts(folder), "compositions": {"product": {"assembler": "product"}}}
    (folder / "r.yaml").write_text(yaml.safe_dump({**recipe, **changes}, sort_keys=False))
    return folder / "r.yaml"


def refusals(folder: Path, **changes: Any) -> list[str]:
    with pytest.raises(RecipeError) as error:
        read_recipe(recipe_in(folder, **changes))
    return [str(problem).rpartition(f"{folder.name}/")[2] for problem in error.value.problems]


def invoke(*arguments: str | Path) -> str:
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result.output


def joined(text: str) -> str:
    return " ".join(text.split())


def test_two_models_at_hand_are_composed_saved_and_used_without_a_picture(tmp_path: Path) -> None:
    recipe, run = recipe_in(tmp_path), tmp_path / "run"
    checked = invoke("check", recipe)
    assert "evaluators    none" in checked
    assert SAID in checked
    said = joined(invoke("run", recipe, "--output", run, "--device", "cpu"))
    assert SAID in said
    assert "failed" not in said
    report = json.loads((run / "report.json").read_text())
    assert report["images"] is None
    assert report["not_judged"].startswith(SAID)
    assert report["compositions"]["product"]["scores"] == {}
    card = (run / "models" / "product" / "README.md").read_text()
    assert card.count(SAID) == 2, "among its results, and among its limits"
    page = (run / "report.html").read_text()
    assert f"Made: product, for “black cat”. {SAID}" in page
    assert "Controls should not work" not in page
    assert verify(run).whole
    assert invoke("report", run, "--json") == "[]\n"
    again = read_recipe(run / "recipe.yaml")
    assert again.document == read_recipe(recipe).document

    photo = tmp_path / "1.png"
    Image.new("RGB", (20, 20), (200, 10, 10)).save(photo)
    (prediction,) = composer.load(run).predict([photo])
    assert prediction.probability is not None
    assert f"{100 * prediction.probability:.1f} %" in invoke("predict", run, photo)
    expected = 1.0
    for concept in ("black", "cat"):
        network = ARCHITECTURE.build(2)
        network.load_state_dict(torch.load(tmp_path / f"{concept}.pth", weights_only=True))
        pixels = (torch.tensor([200.0, 10, 10]) / 255 - 0.5) / 0.5
        outputs = network(pixels.view(1, 3, 1, 1).expand(1, 3, 16, 16))
        expected *= outputs.softmax(1)[0, 1].item()
    assert prediction.probability == pytest.approx(expected, abs=1e-5)
    exported = invoke("export", run, "--format", "torch_export", "--output", tmp_path / "product.pt2")
    assert (tmp_path / "product.pt2").is_file(), exported


def test_compose_takes_models_alone(tmp_path: Path) -> None:
    run = composer.compose(
        concepts(tmp_path), compositions={"both": {"assembler": "product"}}, root=tmp_path, output=tmp_path / "run"
    )
    assert run.report["not_judged"].startswith(SAID)
    assert run.load().composition == "both"


def test_what_cannot_be_done_without_pictures_is_refused_where_it_is_written(tmp_path: Path) -> None:
    trained = {"black": None, "cat": {"images": {"use": "drawings"}}}
    (said,) = refusals(tmp_path, concepts=trained, models="train")
    assert said == "r.yaml:10:1: models: 'train' needs pictures of 'black': say which with `images:`"
    for changes, expected in (
        ({"evaluators": ["recognition"]}, "evaluators: evaluators judge on test pictures"),
        ({"controls": ["parents"]}, "controls: controls are there to be judged beside"),
        ({"pick": "stability"}, "pick: a member is picked by what it says of test pictures"),
        ({"oracle": True}, "oracle: an oracle is trained and judged on labelled pictures"),
        (
            {"compositions": {"one": {"translator": "mean", "assembler": "refit"}}},
            "compositions.one.assembler: assembler 'refit' needs pictures of black, cat",
        ),
    ):
        (said,) = refusals(tmp_path, **changes)
        assert expected in said
        assert said.startswith("r.yaml:"), said


def test_the_schema_refuses_what_needs_test_pictures(tmp_path: Path) -> None:
    import jsonschema

    schema = jsonschema.Draft7Validator(recipe_schema(load_registry()))

    def valid(**changes: Any) -> bool:
        return bool(schema.is_valid(yaml.safe_load(recipe_in(tmp_path, **changes).read_text())))

    assert valid()
    assert valid(controls=[], oracle=False)
    assert not valid(evaluators=["recognition"])
    assert not valid(controls=["parents"])
    assert not valid(oracle=True)
    assert not valid(pick="stability")
    assert valid(
        images={"use": "drawings"}, evaluators=["recognition"], controls=["parents"], oracle=True, pick="stability"
    )
