"""A formula of concepts as the target, from the pictures to the model that is loaded."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import composer
from composer import ComposedModel, ComposerError, Expression, Images, Run
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
