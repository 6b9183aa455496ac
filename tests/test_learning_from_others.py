"""Compositions that learn from networks of other concepts: `learned_choice` with a `zoo`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

import composer_merging
from composer import ComposerError, Population, Run
from composer.recipes.recipe import Recipe
from composer.recipes.recipe_reader import read_data
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.plan import make_plan
from composer.running.step import Step
from composer_cnn import CNN
from composer_merging import LearnedChoice, Learning
from tiny import trained_like, training_images

EVERY = ["black", "white", "red", "cat", "dog", "fish", "car"]
NETWORK = {"use": "cnn", "filters": [2, 4], "kernel_size": 3, "size": 16}


def recipe(concepts: Sequence[str] = ("black", "cat"), **changes: Any) -> Recipe:
    data = {
        "concepts": list(concepts),
        "images": {"use": "drawings", "size": 16, "train": 40, "test": 40, "held_out": EVERY},
        "models": {"use": "train", "members": 1, "epochs": 1, "architecture": NETWORK},
        "compositions": {"learned": {"assembler": {"use": "learned_choice", "zoo": ["white+dog", "red+fish"]}}},
        "controls": [],
        "evaluators": ["recognition"],
        **changes,
    }
    return read_data(data, "recipe", load_registry())


def lesson(of: Recipe) -> Step:
    (found,) = (step for step in make_plan(of).steps() if step.name == "learn.learned_choice")
    return found


def test_networks_of_the_zoo_are_trained_as_those_of_the_recipe_and_are_no_parents() -> None:
    plan = make_plan(recipe())
    assert set(plan.populations) == {"black", "cat"} == set(plan.parents)
    step = lesson(recipe())
    assert [other.name for other in step.inputs] == [f"population.{name}" for name in ("white", "dog", "red", "fish")]
    assert {str(other.component.options()) for other in step.inputs} == {
        str(plan.populations["cat"].component.options())
    }
    assert [other.name for other in step.pictures] == [
        f"images.train.{name}" for name in ("white", "dog", "red", "fish")
    ]
    (arm,) = plan.arms
    assert arm.model.learned is not None
    assert arm.model.learned.key == step.key == arm.model.identity["learned"]


def test_what_was_learned_serves_every_recipe_with_the_same_zoo_and_pictures() -> None:
    other: dict[str, Any] = {"compositions": {"l": {"assembler": {"use": "learned_choice", "zoo": ["white+dog"]}}}}
    assert lesson(recipe()).key == lesson(recipe(("black", "car"))).key
    assert lesson(recipe()).key != lesson(recipe(**other)).key
    assert lesson(recipe()).key != lesson(recipe(seed=1)).key


def test_the_scorer_learns_from_the_zoo_and_chooses_in_the_recipe(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(composer_merging, "Learning", lambda: Learning(steps=2, pictures=40, hidden=4))
    own = recipe()
    with StageCache(tmp_path / "store") as store:
        engine = Engine(store, "cpu", load_registry())
        learned = engine.result(lesson(own)).content
        model = engine.result(make_plan(own).arms[0].model)
        again = Engine(store, "cpu", load_registry()).result(lesson(own)).content
    assert learned["concepts"] == ["white", "dog", "red", "fish"]
    assert again == learned, "it is kept as it was"
    assert any(value for row in learned["weights"]["leave"] for value in row), "the last layer is no longer zero"
    (part,) = model.parts
    assert part.architecture == CNN(filters=(2, 4), kernel_size=3, size=16)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (
            {"compositions": {"learned": {"assembler": {"use": "learned_choice", "zoo": ["white+cat"]}}}},
            "compositions.learned.assembler: learns from 'cat', which is a concept of this recipe; name others",
        ),
        (
            {"compositions": {"learned": {"assembler": {"use": "learned_choice", "zoo": ["white+white"]}}}},
            r"zoo: a pair of two concepts is written as white\+dog, not as 'white\+white'",
        ),
        (
            {"compositions": {"learned": {"assembler": {"use": "learned_choice", "zoo": ["white+unicorn"]}}}},
            "unicorn",
        ),
        (
            {"compositions": {"learned": {"assembler": {"use": "learned_choice"}}}},
            r"say pairs of other concepts to learn from, such as \[white\+dog, red\+fish\]",
        ),
        (
            {"models": {"use": "checkpoints", "pattern": "*.pth", "architecture": NETWORK}},
            "learns from networks that are trained here, and 'checkpoints' trains none",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_said_with_its_place(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ComposerError, match=said):
        recipe(**changes)


def test_a_recipe_without_pictures_is_told_to_name_some() -> None:
    data = {
        "concepts": {name: {"images": "drawings"} for name in ("black", "cat")},
        "models": {"use": "train", "members": 1, "architecture": NETWORK},
        "compositions": {"learned": {"assembler": {"use": "learned_choice", "zoo": ["white+dog"]}}},
    }
    with pytest.raises(ComposerError, match="learns from pictures of white, dog: say which with `images:`"):
        read_data(data, "recipe", load_registry())


def test_outside_a_recipe_a_zoo_is_no_scorer() -> None:
    network = CNN(filters=(2, 4), kernel_size=3, size=16)
    parents: list[Population] = [trained_like(network, "black"), trained_like(network, "cat")]
    run = Run(1, pictures=(training_images("black"), training_images("cat")))
    with pytest.raises(ComposerError, match="a `zoo` is learned from in a recipe; here, say the file of a `scorer`"):
        LearnedChoice(zoo=("white+dog",)).assemble(None, parents, run)
