"""Sweeps: what is gone through, what is computed once, and what is written down."""

from __future__ import annotations

import csv
import json
import logging
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from scipy import stats

from composer.command_line.cli import main
from composer.errors import PluginError, RecipeError
from composer.recipes.recipe import Recipe
from composer.recipes.recipe_reader import read_recipe
from composer.sweeps.grid import axes, points
from composer.sweeps.sweep import interval_of_mean, point_of
from conftest import TINY


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("a=1", ("1",)),
        ("a=1,2, 3", ("1", "2", "3")),
        ("a=2..4", ("2", "3", "4")),
        ("a=0.5,1e-3", ("0.5", "1e-3")),
        ("a=[1, 2],[3, 4]", ("[1, 2]", "[3, 4]")),
        ("a={use: cnn, filters: [2, 3]},resnet", ("{use: cnn, filters: [2, 3]}", "resnet")),
        ("a='x, y',z", ("'x, y'", "z")),
    ],
)
def test_values_are_parted_at_commas_that_stand_in_nothing(text: str, values: tuple[str, ...]) -> None:
    (axis,) = axes([text])
    assert axis.values == values


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["a"], "--set a: write it as key=value,value"),
        (["=1"], "--set =1: write it as key=value,value"),
        (["a=1", "a=2"], "--set a=2: a is there twice; give all its values at once"),
        (["a=1,,2"], "--set a=1,,2: '1,,2' is no list of values as YAML writes them"),
        (["a="], "--set a=: a value is empty"),
        (["a=1,1"], "--set a=1,1: 1 is there twice"),
        (["a=5..2"], "--set a=5..2: 5..2 is no range of 1 to 10,000 whole numbers, the lower one first"),
        (["a=0..99999999999"], "no range of 1 to 10,000 whole numbers"),
        (["a=[1"], "is no list of values as YAML writes them"),
    ],
)
def test_settings_that_cannot_be_read_are_named(texts: list[str], said: str) -> None:
    with pytest.raises(RecipeError) as raised:
        axes(texts)
    assert said in str(raised.value)


def test_a_grid_has_every_setting_once_and_its_seeds_within() -> None:
    over = axes(["seed=1,2", "a=x,y", "b=1..3"])
    grid = points(over)
    assert len(grid) == 12
    assert grid[:3] == [
        {"a": "x", "b": "1", "seed": "1"},
        {"a": "x", "b": "1", "seed": "2"},
        {"a": "x", "b": "2", "seed": "1"},
    ]
    assert points([]) == [{}]


def test_settings_drawn_at_random_are_some_of_the_grid_each_with_all_seeds() -> None:
    over = axes(["a=1..20", "b=x,y", "seed=1..2"])
    drawn = points(over, at_random=5)
    whole = points(over)
    assert all(point in whole for point in drawn)
    assert len({(point["a"], point["b"]) for point in drawn}) == 5
    assert len(drawn) == 10
    assert drawn == points(over, at_random=5)
    assert len({(point["a"], point["b"]) for point in points(over, at_random=39)}) == 39
    assert points(over, at_random=100) == whole


def test_a_grid_that_nobody_could_go_through_is_refused_unless_it_is_drawn_from() -> None:
    over = axes(["a=1..9999", "b=1..9999"])
    with pytest.raises(RecipeError, match=r"99,980,001 settings are more than a sweep goes through"):
        points(over)
    assert len(points(over, at_random=3)) == 3


def test_the_interval_over_seeds_is_students() -> None:
    values = [0.7, 0.8, 0.85, 0.9]
    mean, low, high = interval_of_mean(values)
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert (mean, low, high) == pytest.approx((0.8125, expected.low, expected.high))
    assert interval_of_mean([0.9, 0.7]) == pytest.approx((0.8, 0.7, 0.9))


def test_a_sweep_puts_every_setting_into_one_table_and_computes_what_they_share_once(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(TINY)
    over = ["--set", "models.epochs=1,2", "--set", "seed=1..3", "--set", "images.test=30"]
    asked = ["sweep", str(recipe), *over, "--output", str(tmp_path / "out"), "--store", str(tmp_path / "store")]
    said = CliRunner().invoke(main, asked)
    assert said.exit_code == 0, said.output
    assert "models.epochs 2, images.test 30, seed 3: 6 of 6" in said.stderr
    assert "95% interval of that mean" in said.stdout
    with (tmp_path / "out" / "sweep.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["score"] == "recognition.auc"]
    product = [row for row in rows if row["composition"] == "product"]
    assert [(row["models.epochs"], row["seed"]) for row in product] == [(e, s) for e in "12" for s in "123"]
    own = [float(row["picked"]) for row in product if row["models.epochs"] == "2"]
    line = next(line for line in said.stdout.splitlines() if line.startswith("2 ") and "product" in line)
    assert line.split()[-2] == f"{sum(own) / 3:.3f}"
    stages = [folder.name.rpartition("-")[0] for folder in (tmp_path / "store").iterdir() if folder.is_dir()]
    assert stages.count("images.train.black") == 3, "the same for both numbers of epochs"
    assert stages.count("population.black") == 6
    page = (tmp_path / "out" / "sweep.html").read_text()
    assert page.count("<svg") == 1, "a plot for the key that differs, none for the seed"
    for folder in (tmp_path / "store").glob("population.*"):
        assert json.loads((folder / "stage.json").read_text())["subject"] in ("black", "cat")


def test_a_setting_that_fails_is_named_and_the_others_go_on(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(
        TINY.replace("{product: {assembler: product}}", "{one: {assembler: {use: distil, steps: 1, teachers: pairs}}}")
    )
    over = ["--set", "compositions.one.assembler.members=2,9"]
    asked = ["sweep", str(recipe), *over, "--random", "2", "--output", str(tmp_path / "out")]
    said = CliRunner().invoke(main, asked)
    assert said.exit_code == 2
    assert "failed: compositions.one.assembler.members=9: " in said.stderr
    assert "need as many pairs of teachers" in said.stderr
    assert "one" in said.stdout
    page = (tmp_path / "out" / "sweep.html").read_text()
    assert "Failed: 1" in page
    assert "members=2,9 --random 2" in page


def test_a_bug_of_a_plugin_at_one_setting_is_told_with_its_traceback_and_the_others_go_on(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(TINY)
    read = read_recipe(recipe)

    def computed(_: Recipe) -> Any:
        raise PluginError("population.black for black: this is a bug in the plugin mine") from KeyError("lost")

    with caplog.at_level(logging.ERROR, "composer"):
        point = point_of({"seed": "1"}, read, computed)
    assert (point.report, point.failed) == (None, "population.black for black: this is a bug in the plugin mine")
    assert "KeyError: 'lost'" in caplog.text


def test_a_setting_that_no_recipe_can_have_is_refused_before_any_work(tmp_path: Path) -> None:
    recipe = tmp_path / "recipe.yaml"
    recipe.write_text(TINY)
    said = CliRunner().invoke(
        main, ["sweep", str(recipe), "--set", "models.epochs=1,-4", "--output", str(tmp_path / "o")]
    )
    assert said.exit_code == 2
    assert "--set models.epochs=-4" in said.stderr
    assert not (tmp_path / "o").exists()
