"""Whether the pictures of a test are like those that a negated concept was learned on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from composer import Expression, Images, Parent, Preprocessing, Run
from composer.judging.coverage import coverage
from composer.judging.parents import judge_parent
from composer.models.in_memory import population
from composer.recipes.recipe_reader import read_recipe
from composer.running.plan import make_plan
from conftest import SMALL
from tiny import tiny_images

COLOURS = nn.Sequential(nn.AvgPool2d(8), nn.Flatten())
"""The mean colours of a picture's quarters: 12 numbers that tell strange pictures clearly."""
PARENT = population(Parent(COLOURS, "black", Preprocessing(16), outputs=0))
TRAINING = tiny_images(40, seed=3)


def strange(images: Images) -> Images:
    """The same pictures with stripes in one colour that no other has."""
    pixels = images.at(16).clone()
    pixels[:, 0, ::2], pixels[:, 1:] = 255, 0
    return Images(images.names, images.labels, pixels)


def test_pictures_of_the_same_kind_are_covered_and_others_are_not() -> None:
    alike = coverage(PARENT, TRAINING, tiny_images(25, seed=4), Run())
    other = coverage(PARENT, TRAINING, strange(tiny_images(25, seed=4)), Run())
    assert len(alike.values) == len(PARENT)
    assert alike.median > 0.85
    assert other.median < 0.2
    assert 0.8 < float(np.mean(alike.replicates)) <= 1


def test_half_strange_pictures_are_half_covered() -> None:
    usual = tiny_images(25, seed=4)
    half = torch.cat([usual.at(16)[:50], strange(usual).at(16)[50:]])
    mixed = Images(usual.names, usual.labels, half)
    both = [
        coverage(PARENT, TRAINING, one, Run()).values
        for one in (usual.select(range(50)), strange(usual).select(range(50, 100)))
    ]
    np.testing.assert_allclose(coverage(PARENT, TRAINING, mixed, Run()).values, (both[0] + both[1]) / 2)


def test_the_distance_to_the_tenth_training_picture_decides() -> None:
    """At most that which 95 % of the training pictures have, each of which is not its own neighbour."""
    asked = tiny_images(25, seed=4)
    beside, other = (PARENT.features(images)[0].double().numpy() for images in (TRAINING, asked))
    beside, other = beside / beside.std(0, ddof=1), other / beside.std(0, ddof=1)
    usual = [np.sort(np.linalg.norm(np.delete(beside, own, 0) - beside[own], axis=1))[9] for own in range(len(beside))]
    far = [np.sort(np.linalg.norm(beside - own, axis=1))[9] for own in other]
    wanted = np.mean(np.asarray(far) <= np.quantile(usual, 0.95))
    assert 0 < wanted < 1
    assert coverage(PARENT, TRAINING, asked, Run()).values == pytest.approx(wanted)


def test_networks_whose_features_tell_nothing_apart_are_finite() -> None:
    dead = population(
        Parent(nn.Sequential(nn.AvgPool2d(16), nn.Flatten(), nn.Threshold(9, 0)), "black", Preprocessing(16), 0)
    )
    assert coverage(dead, TRAINING, tiny_images(), Run()).values.tolist() == [1]
    few = TRAINING.select([0, 1])
    assert np.isfinite(coverage(PARENT, few, tiny_images(), Run()).values).all()


def test_a_not_of_strange_pictures_is_warned_of() -> None:
    run = Run(pictures=(TRAINING,))
    report = judge_parent(PARENT, strange(tiny_images(25, seed=4)), run)
    assert report.scores["coverage"].median < 0.2
    assert any("'not black' is asked, and" in warning for warning in run.warnings), run.warnings
    usual = Run(pictures=(TRAINING,))
    judge_parent(PARENT, tiny_images(25, seed=4), usual)
    assert not any("'not black'" in warning for warning in usual.warnings)
    assert "coverage" not in judge_parent(PARENT, tiny_images(), Run()).scores


@pytest.mark.parametrize(
    ("text", "negated"),
    [
        ("cat and not black", ["black"]),
        ("black and cat", []),
        ("not (black or cat)", ["black", "cat"]),
        ("black and not cat or cat and not black", ["black", "cat"]),
        ("not not black", []),
        ("black or black and not cat", []),
    ],
)
def test_a_formula_knows_what_it_negates(text: str, negated: list[str]) -> None:
    assert sorted(Expression.parse(text).negated) == negated


def test_a_run_looks_at_what_its_target_negates_and_at_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(SMALL, encoding="utf-8")
    usual = read_recipe(tmp_path / "recipe.yaml")
    plan = make_plan(replace(usual, formula=Expression.parse("cat and not black")))
    assert plan.parents["black"].pictures == (plan.training["black"],)
    assert plan.parents["cat"].pictures == ()
    assert make_plan(usual).parents["black"].pictures == ()
