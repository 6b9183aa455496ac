"""Composition gain: its arithmetic, when it is undefined, and that no composition sees the oracle's pictures."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from composer import Run, Score, Split
from composer.judging.gain import Gain, Sampled, better_parent, gain, gains, measured_in
from composer.pipeline import run_recipe
from composer.recipes.recipe import Recipe, why_no_oracle
from composer.results.gain_table import gain_notes, gain_sheet
from composer.running.plan import make_plan
from composer.running.step import Step
from composer_clustering import Clusters
from composer_digits import Digits
from composer_drawings import Drawings
from composer_recognition import Recognition

Read = Callable[..., Recipe]
HARDEST = "auc_hardest_cell"
TARGET = Split(("green", "seven"))


def sampled(value: float, spread: float = 0.01, seed: int = 0) -> Sampled:
    return Sampled(value, value + spread * np.random.default_rng(seed).standard_normal(1000))


def test_gain_is_0_at_the_better_parent_and_1_at_the_oracle() -> None:
    parent, oracle = sampled(0.6, seed=1), sampled(0.9, seed=2)
    assert gain(parent, parent, oracle) == Gain(0.0, (0.0, 0.0))
    assert gain(oracle, parent, oracle) == Gain(1.0, (1.0, 1.0))
    halfway = gain(sampled(0.75, seed=3), parent, oracle)
    assert halfway.value == pytest.approx(0.5)
    assert halfway.interval is not None
    low, high = halfway.interval
    assert 0.4 < low < 0.5 < high < 0.6
    assert gain(sampled(0.5), parent, oracle).value == pytest.approx(-1 / 3), "worse than a parent is below 0"


def test_the_interval_covers_what_it_should_95_times_in_100() -> None:
    rng = np.random.default_rng(5)
    inside = 0
    for _ in range(400):
        met = [true + 0.02 * rng.standard_normal() for true in (0.8, 0.6, 0.9)]
        found = gain(*(Sampled(one, one + 0.02 * rng.standard_normal(500)) for one in met))
        assert found.interval is not None
        inside += found.interval[0] <= 2 / 3 <= found.interval[1]
    assert 0.92 <= inside / 400 <= 0.98


def test_the_better_parent_is_found_in_every_resample_anew() -> None:
    first, second = Sampled(0.6, np.array([0.5, 0.7])), Sampled(0.55, np.array([0.6, 0.6]))
    best = better_parent([first, second])
    assert best.value == 0.6
    assert best.replicates.tolist() == [0.6, 0.7]


@pytest.mark.parametrize(
    ("oracle", "why"),
    [
        (sampled(0.59), "the oracle is no better than the better parent (0.590 and 0.600)"),
        (sampled(0.61, 0.05, seed=4), "the oracle is not shown to be better than the better parent (0.010 better"),
    ],
)
def test_an_oracle_no_better_than_the_parent_gives_words_and_no_number(oracle: Sampled, why: str) -> None:
    found = gain(sampled(0.8), sampled(0.6, 0.0), oracle)
    assert (found.value, found.interval) == (None, None)
    assert found.why.startswith(why)


def score(value: float) -> Score:
    return Score(np.array([value]), value + np.linspace(-0.01, 0.01, 101))


def test_what_cannot_be_judged_says_why() -> None:
    cells = ["black+cat", "black", "cat", "none"] * 5
    parents = {"black": {"auc_hardest_cell": score(0.5)}, "cat": {"auc_hardest_cell": score(0.6)}}
    oracle = {"auc_hardest_cell": score(0.9)}
    scores: dict[str, Mapping[str, Score]] = {"product": {"auc_hardest_cell": score(0.75)}, "transplant": {}}
    found = gains(scores, parents, oracle, cells, HARDEST)
    assert found["product"].value == pytest.approx(0.5)
    assert found["transplant"] == Gain(why="it gives no log-odds")
    few = gains(scores, parents, oracle, cells[:12], HARDEST)["product"]
    assert few == Gain(why="a cell has fewer than 5 test pictures")
    headless = gains(scores, {**parents, "black": {}}, oracle, cells, HARDEST)["product"]
    assert headless.why.startswith("the parent 'black' alone gives no log-odds")


def test_gain_is_measured_in_the_score_declared_for_it_whatever_its_evaluators_label() -> None:
    assert measured_in({"clusters": Clusters(), "mine": Recognition()}) == "mine.auc_hardest_cell"
    assert measured_in({"clusters": Clusters()}) == "clusters.kmeans.adjusted_rand", "the main one"
    assert measured_in({}) is None


def test_no_composition_sees_the_oracles_pictures(small_recipe: Read) -> None:
    plan = make_plan(small_recipe("oracle=true"))
    assert plan.oracle is not None

    def seen(step: Step) -> set[str]:
        below = (*step.inputs, *step.pictures, *step.kernels)
        return {step.key}.union(*(seen(other) for other in below))

    (pictures,) = plan.oracle.population.pictures
    assert pictures.name == "images.train.black+cat"
    judged = [step for arm in plan.arms for step in arm.reports.values()] + list(plan.parents.values())
    for step in [*judged, *plan.oracle.parents.values()]:
        assert not {pictures.key, plan.oracle.population.key} & seen(step)
    assert pictures.key in seen(plan.oracle.report)
    without = make_plan(small_recipe())
    assert without.oracle is None
    assert [arm.model.key for arm in without.arms] == [arm.model.key for arm in plan.arms]


@pytest.mark.parametrize("source", [Drawings(size=16, train=60, test=40), Digits(size=16, train=60, test=40)])
def test_the_oracles_pictures_are_half_the_target_and_never_test_pictures(source: Drawings | Digits) -> None:
    split = TARGET if isinstance(source, Digits) else Split(("black", "cat"))
    oracle = source.load(Split(split.concepts, labelled=True), Run(seed=1))
    test = source.load(split, Run(seed=2))
    assert len(oracle) == 60
    assert {cell: oracle.cells.count(cell) for cell in set(oracle.cells)} == {
        "+".join(split.concepts): 30,
        split.concepts[0]: 10,
        split.concepts[1]: 10,
        "none": 10,
    }
    assert oracle.concepts == split.concepts
    assert not {picture.numpy().tobytes() for picture in oracle.at(16)} & {
        picture.numpy().tobytes() for picture in test.at(16)
    }
    if isinstance(source, Digits):
        samples = [{name.rpartition(" ")[2] for name in images.names} for images in (oracle, test)]
        assert not samples[0] & samples[1], "no handwriting serves both"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    from composer.recipes.recipe_reader import read_recipe
    from conftest import SMALL

    folder = tmp_path_factory.mktemp("gain")
    (folder / "recipe.yaml").write_text(SMALL, encoding="utf-8")
    changes = ["oracle=true", "models.epochs=20", "images.train=400", "evaluators=[recognition]"]
    return run_recipe(read_recipe(folder / "recipe.yaml", changes), folder / "run", "cpu")


def test_a_run_with_an_oracle_reports_the_gain_of_everything(report: dict[str, Any]) -> None:
    oracle = report["oracle"]
    assert (oracle["trained"], oracle["why"], oracle["members"]) == (True, "", 3)
    assert "oracle" not in report["compositions"], "it is neither a composition nor a control"
    assert set(oracle["gains"]) == set(report["compositions"])
    for concept in ("black", "cat"):
        alone = report["compositions"][f"parents.{concept}"]["scores"]["recognition.auc_hardest_cell"]
        assert oracle["parents"][concept]["recognition.auc_hardest_cell"]["picked"] == alone["picked"]
    assert oracle["gains"]["cyclegan"] == {"value": None, "interval": None, "why": "it gives no log-odds"}


def printed(report: dict[str, Any]) -> str:
    text = io.StringIO()
    sheet = gain_sheet(report)
    assert sheet is not None
    Console(file=text, width=80).print(sheet.drawn())
    return text.getvalue()


def test_the_table_marks_the_oracle_and_the_better_parent(report: dict[str, Any]) -> None:
    gained = {"value": 0.71, "interval": [0.5, 0.9], "why": ""}
    oracle = {**report["oracle"], "gains": {**report["oracle"]["gains"], "product": gained}}
    text = printed({**report, "oracle": oracle})
    lines = {line.split("  ")[0].strip(): line for line in text.splitlines()}
    assert lines["product"].split()[-4:] == ["0.71", "0.50", "to", "0.90"]
    assert lines["oracle (labelled target pictures)"].split()[-1] == "1"
    assert any(name.startswith("better parent (") for name in lines)


def test_a_recipe_without_an_oracle_shows_nothing_and_one_that_can_have_none_says_why(
    report: dict[str, Any], small_recipe: Read
) -> None:
    assert gain_sheet({**report, "oracle": None}) is None
    assert gain_notes({**report, "oracle": None}) == []
    none = {"trained": False, "why": "no oracle: images 'folder' have no labelled training pictures of the target"}
    assert gain_sheet({**report, "oracle": none}) is None
    assert gain_notes({**report, "oracle": none}) == [none["why"]]


def test_models_that_are_not_trained_here_have_no_oracle(small_recipe: Read) -> None:
    recipe = small_recipe(
        "oracle=true",
        "models={use: torchvision, model: resnet18, weights: null}",
        "compositions={p: {assembler: product}}",
        "controls=[parents]",
    )
    why = "no oracle: models 'torchvision' are not trained here, so none can be trained on the target"
    assert why_no_oracle(recipe) == why
    assert make_plan(recipe).oracle is None
