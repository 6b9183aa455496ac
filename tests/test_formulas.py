"""A formula of concepts as the target, from the pictures to the model that is loaded."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import composer
from composer import ComposedModel, ComposerError, Expression, Images, LoadedModel, Run
from composer.command_line.cli import main
from composer.models.exporting import export
from composer.pipeline import run_recipe
from composer.recipes.recipe_reader import read_recipe
from composer.running.storage import load, save
from composer_assembly import Product, Refit
from conftest import SMALL
from tiny import tiny_images, tiny_kernels, tiny_population, training_images

IMAGES = tiny_images()
BLACK, CAT = tiny_population("black"), tiny_population("cat", seed=1)
EITHER = Expression.parse("black or cat")
FORMULAS = [EITHER, Expression.parse("cat and not black"), Expression.parse("not (black and cat)")]


def by_hand(formula: Expression) -> torch.Tensor:
    return formula.log_odds({"black": BLACK.log_odds(IMAGES), "cat": CAT.log_odds(IMAGES)})


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_a_product_answers_any_formula_of_its_concepts(formula: Expression) -> None:
    model = Product().assemble(None, [BLACK, CAT], Run()).answering(formula)
    assert torch.equal(model.log_odds(IMAGES), by_hand(formula))
    shown = {part.concept: part.log_odds(IMAGES) > 0 for part in model.parts}
    assert torch.equal(model.decisions(IMAGES), formula.holds(shown))


@pytest.mark.parametrize("formula", FORMULAS, ids=str)
def test_a_head_of_cells_answers_any_formula_without_a_new_head(formula: Expression) -> None:
    pictures = tuple(training_images(concept) for concept in ("black", "cat"))
    model = Refit().assemble(tiny_kernels(), [BLACK, CAT], Run(pictures=pictures))
    (network,) = model.parts
    probability = network.logits(IMAGES).double().softmax(-1)
    expected = probability[..., list(np.flatnonzero(formula.cells(("black", "cat"))))].sum(-1)
    answering = model.answering(formula)
    assert torch.equal(answering.parts[0].weights["fc1.weight"], network.weights["fc1.weight"])
    torch.testing.assert_close(answering.log_odds(IMAGES).double(), torch.logit(expected), rtol=1e-3, atol=1e-4)
    assert torch.equal(
        answering.answering(Expression.all_of(["black", "cat"])).log_odds(IMAGES), model.log_odds(IMAGES)
    )


def test_a_model_of_one_concept_answers_as_much_as_it_knows() -> None:
    alone = ComposedModel((BLACK,), BLACK.members)
    assert alone.answering(EITHER) is alone
    three = Expression.parse("black and cat and not small")
    model = Product().assemble(None, [BLACK, CAT], Run())
    assert torch.equal(model.answering(three).log_odds(IMAGES), model.log_odds(IMAGES))


def test_of_several_models_of_one_concept_all_have_to_hold() -> None:
    other = tiny_population("black", seed=2)
    parts = (BLACK, other, CAT)
    asked = Expression.parse("cat and not black")
    model = ComposedModel(parts, BLACK.members, asked)
    both = ComposedModel((BLACK, other), BLACK.members).log_odds(IMAGES)
    assert torch.equal(model.log_odds(IMAGES), asked.log_odds({"black": both, "cat": CAT.log_odds(IMAGES)}))
    first, second, cat = (part.log_odds(IMAGES) > 0 for part in parts)
    assert torch.equal(model.decisions(IMAGES), cat & ~(first & second))
    assert (first != second).any(), "the two must differ somewhere"


def test_pictures_are_asked_for_a_formula_and_keep_it() -> None:
    asked = IMAGES.asked_for(EITHER)
    expected = IMAGES.labels["black"] | IMAGES.labels["cat"]
    assert np.array_equal(asked.target, expected)
    assert np.array_equal(asked.select([3, 1]).target, expected[[3, 1]])
    assert np.array_equal(IMAGES.target, IMAGES.labels["black"] & IMAGES.labels["cat"]), "the others stay as they were"


def test_a_formula_is_kept_with_pictures_and_models(tmp_path: Path) -> None:
    save(IMAGES.asked_for(EITHER), tmp_path)
    images = load(tmp_path)
    assert isinstance(images, Images)
    assert images.expression == EITHER
    save(Product().assemble(None, [BLACK, CAT], Run()).answering(EITHER), tmp_path)
    model = load(tmp_path)
    assert isinstance(model, ComposedModel)
    assert torch.equal(model.log_odds(IMAGES), by_hand(EITHER))


@pytest.fixture(scope="module")
def either(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A run of the small recipe that is asked for pictures of black things and cats alike."""
    folder = tmp_path_factory.mktemp("either")
    (folder / "recipe.yaml").write_text(SMALL, encoding="utf-8")
    recipe = replace(read_recipe(folder / "recipe.yaml"), formula=EITHER)
    return folder / "run", run_recipe(recipe, folder / "run", "cpu")


def test_a_run_is_judged_by_its_formula(either: tuple[Path, dict[str, Any]]) -> None:
    _, report = either
    assert report["target"] == "black or cat"
    assert (report["images"]["count"], report["images"]["positives"]) == (40, 30)
    scores = report["compositions"]["product"]["scores"]
    against = sorted(name for name in scores if "against" in name)
    assert against == ["recognition.auc_against.none"], "the only cell that does not satisfy it"
    assert math.isclose(scores[against[0]]["picked"], scores["recognition.auc"]["picked"])


def test_a_loaded_model_answers_the_formula_that_it_was_made_for(either: tuple[Path, dict[str, Any]]) -> None:
    folder, _ = either
    model = composer.load(folder, "product")
    assert model.target == "black or cat"
    pixels = IMAGES.at(model.sizes[0])
    members = model.home.members.index(model.member)
    black, cat = (composer.load(folder, f"parents.{name}", members) for name in ("black", "cat"))
    torch.testing.assert_close(model(pixels), EITHER.log_odds({"black": black(pixels), "cat": cat(pixels)}))
    card = (folder / "models" / "product" / "README.md").read_text(encoding="utf-8")
    assert "Tells pictures of **black or cat** from all others" in card


def said_by_parts(model: LoadedModel, pixels: torch.Tensor) -> dict[str, torch.Tensor]:
    """The probability that each network gives to its concept."""
    return {part.concept: part(pixels.float()).sigmoid() for part in model._parts()}


@pytest.mark.parametrize(
    ("asked", "by_hand"),
    [
        ("cat and not black", lambda black, cat: cat * (1 - black)),
        ("not (black and cat)", lambda black, cat: 1 - black * cat),
        ("black and not cat or cat and not black", lambda black, cat: black + cat - 2 * black * cat),
        ("black", lambda black, cat: black),
    ],
)
def test_one_composed_folder_answers_new_formulas(
    either: tuple[Path, dict[str, Any]], asked: str, by_hand: Callable[..., torch.Tensor]
) -> None:
    model = composer.load(either[0], "product", target=asked)
    assert model.target == asked
    assert model.asked_anew
    pixels = IMAGES.at(model.sizes[0])
    torch.testing.assert_close(model(pixels).sigmoid(), by_hand(**said_by_parts(model, pixels)))
    assert torch.equal(composer.load(either[0], "product", target=Expression.parse(asked))(pixels), model(pixels))


def test_the_formula_that_a_model_was_made_for_is_nothing_new(either: tuple[Path, dict[str, Any]]) -> None:
    usual = composer.load(either[0], "product")
    assert not usual.asked_anew
    again = composer.load(either[0], "product", target="cat or black")
    assert not again.asked_anew
    pixels = IMAGES.at(usual.sizes[0])
    torch.testing.assert_close(again(pixels), usual(pixels))


def test_a_parent_alone_answers_what_the_formula_says_of_its_concept(either: tuple[Path, dict[str, Any]]) -> None:
    assert torch.equal(
        ComposedModel((BLACK,), BLACK.members).answering(~EITHER).log_odds(IMAGES), -BLACK.log_odds(IMAGES)
    )
    asked = Expression.parse("cat and not black")
    model = ComposedModel((BLACK,), BLACK.members).answering(asked)
    assert torch.equal(model.log_odds(IMAGES), -BLACK.log_odds(IMAGES))
    assert torch.equal(model.decisions(IMAGES), BLACK.log_odds(IMAGES) <= 0)
    assert torch.equal(model.answering(EITHER).log_odds(IMAGES), BLACK.log_odds(IMAGES)), "asked for it as it is again"
    either_or = Expression.parse("black and not cat or cat and not black")
    alone = ComposedModel((BLACK,), BLACK.members)
    assert alone.answering(either_or) is alone, "of black alone it says nothing"
    loaded, pixels = composer.load(either[0], "parents.black"), IMAGES.at(16)
    assert torch.equal(composer.load(either[0], "parents.black", target="not black")(pixels), -loaded(pixels))


@pytest.mark.parametrize(
    ("composition", "asked", "message"),
    [
        ("product", "cat and not blak", "has 'blak' at letter 13, and composition 'product' has no such concept"),
        ("product", "cat and not blak", "did you mean 'black'?"),
        ("product", "cat and", "product: target: 'cat and' ends where a concept"),
        ("product", "cat or not cat", "every picture shows 'cat or not cat'"),
        ("parents.black", "cat", "has no such concept; there are black; others are there: parents.cat, product"),
        (
            "cyclegan",
            "cat",
            "'cyclegan' gives features and no log-odds, so no formula; others are there: parents.black",
        ),
    ],
)
def test_what_a_model_cannot_answer_is_refused_with_what_it_knows(
    either: tuple[Path, dict[str, Any]], composition: str, asked: str, message: str
) -> None:
    with pytest.raises(ComposerError) as caught:
        composer.load(either[0], composition, target=asked)
    assert message in str(caught.value)


def test_predict_takes_a_new_formula(either: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    for index, pixels in enumerate(IMAGES.at(16)[:3]):
        Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(tmp_path / f"{index}.png")
    arguments = ["predict", str(either[0]), "--composition", "product", "--target", "cat and not black"]
    result = CliRunner().invoke(main, [*arguments, "--json", "--device", "cpu", str(tmp_path)])
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert (said["target"], len(said["pictures"])) == ("cat and not black", 3)
    for picture in said["pictures"]:
        black, cat = picture["concepts"]["black"], picture["concepts"]["cat"]
        assert math.isclose(picture["probability"], cat * (1 - black), rel_tol=1e-5)
        assert picture["shown"] == (cat > 0.5 >= black)
    assert "composed for black or cat: no score that was measured says how well it tells this" in result.stderr
    usual = CliRunner().invoke(main, [*arguments[:4], "--device", "cpu", str(tmp_path)])
    assert "composed for" not in usual.stderr


@pytest.mark.parametrize("format_", ["safetensors", "torch_export"])
def test_export_writes_a_model_of_the_new_formula(
    either: tuple[Path, dict[str, Any]], tmp_path: Path, format_: Any
) -> None:
    model = composer.load(either[0], "product", target="cat and not black")
    pixels = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    path = export(model, tmp_path / "exported", format_)
    if format_ == "torch_export":
        found = torch.export.load(path).module()(pixels)
    else:
        found = composer.load(path)(pixels)
        assert json.loads((path / "config.json").read_text())["id2label"]["1"] == "cat and not black"
        card = (path / "README.md").read_text(encoding="utf-8")
        assert "It is asked for **cat and not black** here; all else below is about black or cat." in card
    torch.testing.assert_close(found, model(pixels))


@pytest.mark.parametrize(
    ("written", "message"),
    [(7, "expression: "), ("black or", "ends where a concept"), ("black or dog", "no network knows 'dog'")],
)
def test_a_formula_that_cannot_be_answered_is_refused_with_its_file(
    either: tuple[Path, dict[str, Any]], tmp_path: Path, written: object, message: str
) -> None:
    home = shutil.copytree(either[0] / "models" / "product", tmp_path / "models" / "product")
    config = json.loads((home / "config.json").read_text())
    (home / "config.json").write_text(json.dumps({**config, "expression": written}))
    with pytest.raises(ComposerError, match=message) as caught:
        composer.load(tmp_path, "product")
    assert "config.json" in str(caught.value)
