"""Concepts of a zoo are composed by name, by formula, with networks in memory, and in recipes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import composer
from composer import ComposerError, Parent, Preprocessing, Run, Zoo
from composer.recipes.recipe_reader import read_recipe
from composer_zoo import FromZoo
from tiny import ARCHITECTURE, product_of_experts, tiny_images, tiny_zoo


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    return tiny_zoo(tmp_path / "zoo")


def test_concepts_are_composed_by_name_and_by_formula(zoo: Zoo) -> None:
    pixels = tiny_images().at(16)
    each = {name: composer.load(zoo.folder / name)(pixels) for name in zoo}
    both = product_of_experts(torch.stack(list(each.values())))
    assert torch.allclose(zoo.product("black", "cat")(pixels), both, atol=1e-5)
    without = product_of_experts(torch.stack([each["cat"], -each["black"]]))
    assert torch.allclose(zoo.compose("cat and not black")(pixels), without, atol=1e-5)
    assert torch.allclose(zoo.compose("not black")(pixels), -each["black"], atol=1e-5)
    assert torch.allclose(zoo.compose(composer.Expression.of("black"))(pixels), each["black"], atol=1e-5)
    for text, said in (
        ("black and catt", "nearest in spelling: cat"),
        ("black and", "ends where a concept should stand"),
        ("cat and not cat", "no pict"),
    ):
        with pytest.raises(ComposerError, match=said):
            zoo.compose(text)


def test_a_concept_stands_for_a_parent_in_memory(zoo: Zoo) -> None:
    pixels = tiny_images().at(16)
    network = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(3 * 16 * 16, 1))
    model = composer.product(zoo["black"], Parent(network, "bright", Preprocessing(16)))
    assert torch.allclose(model.parts[0](pixels), composer.load(zoo.folder / "black")(pixels), atol=1e-5)
    assert model.concepts == ("black", "bright")


RECIPE = """\
name: small
seed: 3
concepts:
  black: {models: {use: zoo, concept: black, folder: zoo}}
  kitty: {models: {use: zoo, concept: CAT, folder: zoo}}
compositions: {product: {assembler: product}}
"""


def test_a_recipe_takes_its_models_from_the_zoo(zoo: Zoo, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("CAT", "cat"))
    recipe = read_recipe(tmp_path / "recipe.yaml")
    source = recipe.concepts[1].models
    assert isinstance(source, FromZoo)
    assert source.network == ARCHITECTURE
    assert source.load("kitty", Run()).concept == "kitty"
    assert len(source.load("kitty", Run())) == 3
    (tmp_path / "recipe.yaml").write_text(RECIPE.replace("CAT", "catt"))
    with pytest.raises(ComposerError, match=r"recipe.yaml:5.*kitty.models.*has no concept 'catt'; did you mean 'cat'"):
        read_recipe(tmp_path / "recipe.yaml")
