"""One wording of every verdict: terminal, page, card and benchmark say the same of one run, whatever a label is."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest

from composer import ComposedModel, Evaluator, Images, Report, Run, ScoreInfo
from composer.command_line.terminal_results import print_results
from composer.data.pooling import FeaturePool
from composer.data.score_info import main_score
from composer.judging.declared import declared_scores
from composer.pipeline import opened, run_recipe
from composer.recipes.recipe import Recipe
from composer.recipes.recipe_reader import read_data
from composer.registry import load_registry
from composer.results.results_table import all_columns
from composer.results.words import verdict
from composer.running.engine import Engine
from composer.sweeps import leaderboard_text
from composer.sweeps.benchmark import Benchmark, Entrants, judge
from composer.sweeps.leaderboard import leaderboard
from composer_recognition import Recognition

RECIPE = {
    "name": "verdict",
    "seed": 7,
    "concepts": ["green", "seven"],
    "images": {"use": "digits", "size": 16, "train": 500, "test": 200},
    "models": {
        "use": "train",
        "architecture": {"use": "cnn", "filters": [6, 8], "size": 16, "kernel_size": 3},
        "members": 2,
        "epochs": 15,
    },
    "compositions": {"product": {"assembler": "product"}},
    "controls": ["parents"],
    "evaluators": {"mine": "recognition"},
    "oracle": True,
}
SAID = "is better than each control"


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Recipe, Path, dict[str, Any]]:
    """A run whose evaluator has a label of the recipe's."""
    folder = tmp_path_factory.mktemp("verdict") / "run"
    recipe = read_data(RECIPE, "a test")
    return recipe, folder, run_recipe(recipe, folder, "cpu")


def test_terminal_page_card_and_benchmark_say_the_same(
    finished: tuple[Recipe, Path, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, folder, report = finished
    print_results(report, [], width=1000, everything=True)
    printed = capsys.readouterr().out
    assert f"works: product {SAID}" in printed
    assert f"product {SAID} (paired bootstrap" in printed
    assert f"; product {SAID}; the best control, " in html.unescape((folder / "report.html").read_text())
    assert (
        f"- AUC: {report['compositions']['product']['scores']['mine.auc']['picked']:.3f}. product {SAID} ("
        in (folder / "models" / "product" / "README.md").read_text()
    )
    found = Benchmark(Entrants({}, (), frozenset(), {}))
    with opened() as cache:
        found.judgements.append(judge(Engine(cache, "cpu", load_registry()), recipe, found, FeaturePool()))
    assert leaderboard_text.verdict(leaderboard(found)).endswith(f"`product` {SAID}.")


def test_a_labelled_evaluator_has_its_columns_its_comparisons_its_gain_and_is_the_choice_of_compare(
    finished: tuple[Recipe, Path, dict[str, Any]],
) -> None:
    from composer.models.model_folder import find_model
    from composer.results.comparing import choose_score
    from composer.results.run_folder import read_run

    _, folder, report = finished
    shown = [(column.score, column.statistic) for column in all_columns(report)]
    assert shown == [
        ("mine.auc", "picked"),
        ("mine.auc", "interval"),
        ("mine.auc_hardest_cell", "picked"),
        ("mine.accuracy", "picked"),
    ]
    assert {one["score"] for one in report["comparisons"]} == {"mine.auc", "mine.auc_hardest_cell", "mine.accuracy"}
    assert report["oracle"]["score"] == "mine.auc_hardest_cell"
    assert report["oracle"]["gains"]["product"]["value"] > 0.5
    assert choose_score([read_run(folder)], None) == "mine.auc"
    assert find_model(folder).name == "product"


def test_load_takes_the_composition_that_is_best_by_the_declared_main_score(
    finished: tuple[Recipe, Path, dict[str, Any]], tmp_path: Path
) -> None:
    import shutil

    from composer.models.model_folder import find_model

    copied = Path(shutil.copytree(finished[1], tmp_path / "run"))
    report = json.loads((copied / "report.json").read_text())
    report["compositions"]["parents.seven"]["control"] = False
    (copied / "report.json").write_text(json.dumps(report))
    found = find_model(copied)
    value = report["compositions"]["product"]["scores"]["mine.auc"]["picked"]
    assert found.why == (
        f"product: of 2 compositions the one with the highest AUC on the test pictures, {value:.3f}, chosen by their "
        "labels"
    )


def test_every_score_and_predict_have_one_pick(finished: tuple[Recipe, Path, dict[str, Any]]) -> None:
    from composer.models.model_folder import find_model

    _, folder, report = finished
    for name, arm in report["compositions"].items():
        assert {score["picked_member"] for score in arm["scores"].values()} == {arm["picked_member"]}, name
        assert find_model(folder, name).member(None) == arm["picked_member"], name


# -- what is declared ------------------------------------------------------------------------------


class Loss(Evaluator):
    """Judges by a loss."""

    name = "loss"
    scores = (
        ScoreInfo("mean", "mean loss", "loss", main=True, higher_is_better=False),
        ScoreInfo("worst", "worst loss"),
    )

    def evaluate(self, model: ComposedModel, images: Images, run: Run) -> Report:
        raise NotImplementedError


def test_two_evaluators_of_one_kind_are_told_apart_by_their_labels() -> None:
    found = declared_scores({"half": Recognition(threshold="half"), "otsu": Recognition(threshold="otsu"), "l": Loss()})
    assert [found[name].title for name in ("half.auc", "otsu.auc", "l.mean")] == [
        "AUC (half)",
        "AUC (otsu)",
        "mean loss",
    ]
    assert found["otsu.auc"].column == "otsu\nAUC"
    assert found["l.worst"].column == ""


def test_the_main_score_is_a_declared_one_else_the_first() -> None:
    declared = declared_scores({"l": Loss(), "mine": Recognition()})
    assert main_score(declared, ["mine.auc", "l.mean", "x.y"]) == "l.mean", "of two the recipe's first"
    assert main_score(declared, ["x.y", "mine.auc"]) == "mine.auc"
    assert main_score(declared, ["x.y", "l.worst"]) == "l.worst"
    assert main_score(declared, ["x.y", "x.z"]) == "x.y"
    assert main_score(declared, []) is None


def test_a_score_needs_a_name_and_a_title() -> None:
    with pytest.raises(ValueError, match="needs a name and a title"):
        ScoreInfo("auc", "")


# -- the wording -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdicts", "said"),
    [
        ({"a": "better"}, "better than each control"),
        ({"a": "better", "b": "better"}, "better than each control"),
        ({"a": "unclear"}, "not clearly above a"),
        ({"a": "unclear", "b": "unclear"}, "not clearly above any control"),
        ({"a": "worse"}, "worse than a"),
        ({"a": "worse", "b": "worse"}, "worse than each control"),
        ({"a": "better", "b": "unclear", "c": "unclear"}, "better than a, but not clearly above b and c"),
        ({"a": "worse", "b": "unclear", "c": "better"}, "better than c, but not clearly above b, and worse than a"),
        ({"a": "worse", "b": "unclear"}, "not clearly above b, and worse than a"),
    ],
)
def test_a_verdict_names_the_controls_by_what_is_shown(verdicts: dict[str, str], said: str) -> None:
    assert verdict("ours", verdicts) == f"ours is {said}"


def test_names_are_quoted_where_that_is_asked_for() -> None:
    assert verdict("ours", {"a": "unclear"}, quote="`") == "`ours` is not clearly above `a`"
