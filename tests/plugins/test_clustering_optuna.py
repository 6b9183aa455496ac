"""The search of the evaluator `tuned` that learns from its trials: `by: optuna`."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from composer import ComposedModel, ComposerError, Run, Table
from composer_clustering import Clusters, Tuned, tuning
from composer_clustering.evaluation import Spaces
from composer_clustering.search import Fixed, Found, order_of, search
from composer_clustering.space import Grid, grid_of
from tiny import tiny_images, tiny_population

optuna = pytest.importorskip("optuna", reason="the extra [optuna] is not installed")
from composer_clustering.suggesting import Suggested  # noqa: E402

VARY = ("clusters", "reduction", "metric")
GRID = grid_of("dbscan", VARY, Clusters())


class Kept:
    """Worths that are kept, and were kept before."""

    def __init__(self, values: dict[int, float] | None = None) -> None:
        self.values = values or {}

    def before(self) -> dict[int, float]:
        return dict(self.values)

    def keep(self, values: dict[int, float]) -> None:
        self.values = values


def suggested(trials: int, seed: int = 0, grid: Grid = GRID) -> Suggested:
    return Suggested(grid, trials, seed)


def worth(number: int) -> float:
    """Highest where pictures are few in a neighbourhood, the metric is cosine, and components are many."""
    one = Clusters().model_copy(update=GRID.options[number])
    return (one.metric == "cosine") + one.components / 20 - one.dbscan_min_samples / 20


def found(trials: int, seed: int = 0, kept: Kept | None = None, value: Callable[[int], float] = worth) -> Found:
    return search(suggested(trials, seed), value, None, kept or Kept())


def test_the_same_seed_suggests_the_same_and_another_suggests_others() -> None:
    assert found(25) == found(25)
    assert found(25).tried != found(25, seed=1).tried
    assert found(12).tried == found(25).tried[:12], "more trials begin as fewer do"


def test_a_search_that_was_broken_off_goes_on_as_it_would_have_gone() -> None:
    whole, kept, asked = found(25), Kept(), list[int]()

    class KilledError(Exception):
        pass

    def counted(number: int) -> float:
        if len(asked) == 17:
            raise KilledError
        asked.append(number)
        kept.keep({**kept.values, number: worth(number)})
        return worth(number)

    with pytest.raises(KilledError):
        found(25, kept=kept, value=counted)
    asked.clear()
    assert found(25, kept=kept, value=counted) == whole
    assert asked == list(whole.tried[17:]), "what was kept is not tried again"


def test_what_another_search_kept_changes_no_suggestion() -> None:
    drawn = search(Fixed(order_of(len(GRID.options), "random", 40, 0)), worth, None, Kept())
    kept = Kept(dict(zip(drawn.tried, drawn.worth, strict=True)))
    assert found(25, kept=kept) == found(25)


def test_it_learns_from_its_trials() -> None:
    for seed in range(2):
        drawn = search(Fixed(order_of(len(GRID.options), "random", 40, seed)), worth, None, Kept())
        assert np.mean(found(40, seed).worth[20:]) > np.mean(drawn.worth) + 0.3


def test_in_place_of_what_was_tried_comes_what_differs_on_one_axis() -> None:
    plan = suggested(9)
    for number in (0, 200):
        plan.told(number, 0.0)
    places = {number: places for places, number in GRID.numbers.items()}
    plan.study.enqueue_trial({f"axis {axis}": place for axis, place in enumerate(places[200])})
    numbers = iter(plan)
    assert next(numbers) == 0
    other = next(numbers)
    assert other not in (0, 200)
    assert sum(one != own for one, own in zip(places[other], places[200], strict=True)) == 1


@pytest.mark.parametrize("trials", [1, 7, 60])
def test_each_combination_is_tried_once_and_the_base_first_until_none_is_left(trials: int) -> None:
    grid = grid_of("kmeans", ("clusters", "metric"), Clusters(kmeans_clusters=7))
    tried = search(suggested(trials, grid=grid), lambda number: 0.0, None, Kept()).tried
    assert tried[0] == 0
    assert len(set(tried)) == len(tried) == min(trials, len(grid.options))
    assert len(grid.options) == 25, "six numbers of clusters by four metrics, and the base's own"


def test_a_search_ends_with_its_time() -> None:
    assert search(suggested(9), worth, -np.inf, Kept()) == Found([0], [worth(0)], 9)


def test_numbers_in_their_order_are_neighbours_and_nothing_else_is() -> None:
    by_method = {method: grid_of(method, VARY, Clusters()).ordered for method in ("kmeans", "dbscan", "hdbscan")}
    assert by_method == {
        "kmeans": [True, False, False],
        "dbscan": [False, True, False, False],  # a radius at the knee is no number
        "hdbscan": [True, False, False],
    }


def test_the_library_says_nothing_and_keeps_its_voice(caplog: pytest.LogCaptureFixture) -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.enable_propagation()
    try:
        with caplog.at_level(logging.DEBUG):
            found(15)
    finally:
        optuna.logging.disable_propagation()
    assert caplog.messages == []
    assert optuna.logging.get_verbosity() == before


def test_its_trials_stand_in_the_same_table() -> None:
    population, images, run = tiny_population(), tiny_images(per_cell=8), Run()
    model = ComposedModel((population,), population.members)
    of = Clusters(umap_figure=False, methods=("kmeans",))
    tuned = Tuned(of=of, by="optuna", objective="stability", trials=5)
    tuned.evaluate(model, images, run)
    trials, choice = run.figures["trials"], run.figures["chosen"]
    assert isinstance(trials, Table)
    assert isinstance(choice, Table)
    assert len(trials.rows) == 5
    assert "5 of 144, optuna" in choice.rows[0]
    features = model.features(images)[0].double().numpy()
    again = tuning.choose(tuned, features, Spaces(model, Run()), Run())[0].found
    assert [row[3] for row in trials.rows] == list(again.worth)


def test_where_it_is_not_installed_the_command_that_installs_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("composer_clustering.find_spec", lambda name: None)
    asked: dict[str, Any] = {"by": "optuna", "of": Clusters(umap_figure=False)}
    assert list(Tuned().problems(())) == []
    (problem,) = Tuned(**asked).problems(())
    assert problem == (
        "by",
        "the package optuna is not installed: pip install -e '.[optuna]' in composer's own folder",
    )
    population = tiny_population()
    with pytest.raises(ComposerError, match=r"tuned: by: the package optuna is not installed: pip install"):
        Tuned(**asked).evaluate(ComposedModel((population,), population.members), tiny_images(), Run())
