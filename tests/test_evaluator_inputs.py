"""What evaluators are given beside a model and pictures: the parents, and their own pictures, where they ask."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from composer import Table
from composer.data.figures import draw, from_json, to_json
from composer.errors import RecipeError
from composer.page.writing import _arranged
from composer.recipes.recipe_reader import read_data
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.plan import make_plan

RECIPE: dict[str, Any] = {
    "name": "asked",
    "seed": 3,
    "concepts": ["black", "cat"],
    "images": {"use": "drawings", "size": 16, "train": 40, "test": 40},
    "models": {"use": "train", "architecture": {"use": "cnn", "filters": [2, 3], "size": 16}, "members": 2},
    "compositions": {"product": {"assembler": "product"}},
    "controls": [],
    "evaluators": {
        "plain": {"use": "clusters"},
        "white": {"use": "clusters", "metric": "mahalanobis"},
        "named": {"use": "clusters", "name_by_parents": True},
    },
}


def test_an_evaluator_is_given_the_parents_and_their_pictures_where_its_options_ask() -> None:
    plan = make_plan(read_data(RECIPE, "r.yaml"))
    reports = plan.arms[0].reports
    assert (reports["plain"].pictures, reports["plain"].parents) == ((), ())
    assert reports["white"].pictures == tuple(plan.training.values())
    assert reports["named"].parents == tuple(plan.populations.values())
    assert set(reports["named"].parents) <= set(reports["named"].needs)


def test_other_parents_are_another_result() -> None:
    first, other = (
        make_plan(read_data({**RECIPE, "seed": seed}, "r.yaml")).arms[0].reports["named"] for seed in (3, 4)
    )
    assert first.identity["parents"] != other.identity["parents"]
    assert first.identity["parents"] == [step.key for step in first.parents]


def test_pictures_of_the_parents_that_an_evaluator_needs_and_nobody_has_are_missed_before_any_work() -> None:
    missing = "has no training pictures of 'black'"
    models = {"use": "torchvision", "model": "resnet18", "weights": None}
    study = {**RECIPE, "images": "study_pictures", "models": models}
    for options, missed in (({}, False), ({"weights": "lda"}, True)):
        with pytest.raises(RecipeError) as met:  # the folder of the pictures is missing too
            read_data({**study, "evaluators": {"mine": {"use": "clusters", **options}}}, "r.yaml")
        assert (missing in str(met.value)) == missed


def test_a_table_is_a_figure_that_is_written_as_csv(tmp_path: Path) -> None:
    table = Table("Trials", ["options", "worth"], [["pca, 2", 0.5], ["raw", 1.0]])
    assert from_json(to_json(table)).title == "Trials"
    draw(table, tmp_path / "figures" / "trials.png", tmp_path / "figures" / "trials.svg")
    assert [file.name for file in (tmp_path / "figures").iterdir()] == ["trials.csv"]
    assert (tmp_path / "figures" / "trials.csv").read_text() == 'options,worth\n"pca, 2",0.5\nraw,1.0\n'


def test_the_page_shows_a_table_and_the_history_of_a_search_among_what_judges() -> None:
    table = to_json(Table("Trials", ["options", "worth"], [["raw", 0.5]]))
    about = {"shows": "judged", "subject": "product", "name": "trials"}
    lines = {"figure": "Lines", "title": "t", "series": {"K-means": [0.1]}, "x_label": "trial", "y_label": "stability"}
    far = {**lines, "x_label": "percentile"}
    report = {"compositions": {"product": {"control": False}}}
    page = {"figures": [{**about, **table}, {**about, **lines}, {**about, **far}]}
    found = _arranged(page, report)
    assert len(found["judged"]) == 2
    assert len(found["distances"]) == 1
    (shown,) = [one for one in found["judged"] if one.columns]
    assert [(column.header, list(column.texts)) for column in shown.columns] == [
        ("options", ["raw"]),
        ("worth", ["0.500"]),
    ]
    assert shown.figure is None


def test_a_run_hands_them_over(tmp_path: Path) -> None:
    evaluators = {
        label: {**options, "methods": ["kmeans"], "umap_figure": False}
        for label, options in RECIPE["evaluators"].items()
    }
    models = {**RECIPE["models"], "epochs": 1}
    plan = make_plan(read_data({**RECIPE, "models": models, "evaluators": evaluators}, "r.yaml"))
    with StageCache(tmp_path) as store:
        engine = Engine(store, "cpu", load_registry())
        found = {label: engine.result(step).scores for label, step in plan.arms[0].reports.items()}
    assert "kmeans.accuracy_by_parents" in found["named"]
    assert found["white"].keys() == found["plain"].keys(), "it could not have been whitened without pictures"
