"""What can be seen of a partition without labels, and the model that expects its index from it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from clustered import IMAGES, Memory, model
from composer import ComposerError, Images, Run, Table
from composer_clustering import Clusters, Tuned, tuning
from composer_clustering.evaluation import Spaces
from composer_clustering.naming import Beliefs, beliefs_of
from composer_clustering.objectives import FAULTS, ONE_CLUSTER, WORST, Common
from composer_clustering.observing import believed, explained, observed, worth
from composer_clustering.surrogate import SHIPPED, Surrogate, shipped
from tiny import tiny_population

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
PARENTS = tiny_population("black"), tiny_population("cat", seed=1)


def places(each: int = 20) -> Floats:
    """Two groups of pictures, of which each falls into two that lie closer together."""
    rng = np.random.default_rng(0)
    centres = np.asarray([[0, 0], [0, 3], [9, 0], [9, 3]], dtype=np.float64)
    return np.concatenate([rng.normal(size=(each, 2)) * 0.3 + centre for centre in centres])


FOUR = np.repeat([0, 1, 2, 3], 20)
SIDES = np.where(FOUR < 2, -1.0, 1.0)
LEVELS = np.where(FOUR % 2 == 0, -1.0, 1.0)


def same(labels: Labels) -> Any:
    return lambda part: labels[part]


# -- what is seen -------------------------------------------------------------------------------


def seen(labels: Labels, beliefs: Beliefs) -> Mapping[str, float]:
    return observed(Common.of(places(), 0), labels, same(labels), beliefs, 0)


def test_the_sizes_of_clusters_their_number_and_noise_are_seen() -> None:
    beliefs = Beliefs(SIDES, np.stack([SIDES]))
    labels = np.concatenate([np.full(20, -1), np.zeros(30, dtype=np.int64), np.ones(15), np.full(15, 2)]).astype(int)
    found = seen(labels, beliefs)
    assert found["noise"] == 0.25
    assert found["largest"] == 30 / 80
    assert found["clusters"] == pytest.approx(np.log2(3))
    assert found["evenness"] == pytest.approx(1.5 * np.log(2) / np.log(3))
    assert seen(FOUR, beliefs)["evenness"] == pytest.approx(1)
    for index in ("stability", "dbcv", "silhouette", "davies_bouldin"):
        assert found[index] == worth(index, Common.of(places(), 0), labels, same(labels), 0)


def test_it_is_seen_whether_clusters_are_what_the_parents_say_of_the_target_or_one_of_them_of_its_concept() -> None:
    sides = seen((SIDES > 0).astype(np.int64), Beliefs(SIDES, np.stack([LEVELS, LEVELS])))
    assert sides["parents"] == pytest.approx(1)
    assert sides["explained"] == pytest.approx(1)
    assert abs(sides["one_parent"]) < 0.05
    levels = seen((SIDES > 0).astype(np.int64), Beliefs(LEVELS, np.stack([LEVELS, SIDES])))
    assert abs(levels["parents"]) < 0.05
    assert abs(levels["explained"]) < 0.05
    assert levels["one_parent"] == pytest.approx(1)


def test_what_is_explained_is_less_what_chance_explains() -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=200)
    assert abs(np.mean([explained(rng.integers(0, 50, 200), values) for _ in range(500)])) < 0.01
    assert explained(np.arange(200), values) == 0, "every picture a cluster"
    assert explained(rng.integers(0, 2, 200), np.ones(200)) == 0, "the parents say the same of all"
    assert believed(np.asarray([-1.0, 0, 2])).tolist() == [0, 0, 1]


# -- the model ----------------------------------------------------------------------------------

SMALL = Surrogate(("a", "b"), (-5.0, -4.0), (7.0, 4.0), (1.0, 0.0), (2.0, 1.0), (0.1, 0.2, 0.01, 0.02, 0.03), 0.05)


def test_it_weighs_what_is_seen_and_its_products_within_bounds() -> None:
    expected = 0.05 + 0.1 * 1 + 0.2 * 2 + 0.01 * 1 + 0.02 * 2 + 0.03 * 4
    assert SMALL.says({"a": 3.0, "b": 2.0, "c": 9.0}) == pytest.approx(expected)
    assert SMALL.says({"a": 1e9, "b": 1e9}) == 1
    assert SMALL.terms({"a": 1e9, "b": -1e9}) == [3, -4, 9, -12, 16], "what was never seen counts as the farthest seen"
    assert SMALL.says({"a": 1.0, "b": -3.0}) == pytest.approx(0.05 - 0.6 + 0.27)


def test_it_is_read_as_it_was_written(tmp_path: Path) -> None:
    SMALL.write(tmp_path / "own.json")
    again = Surrogate.read(tmp_path / "own.json")
    assert again.says({"a": 0.3, "b": 0.7}) == SMALL.says({"a": 0.3, "b": 0.7})


def test_the_shipped_one_is_small_and_prefers_what_is_stable_and_what_the_parents_say() -> None:
    assert SHIPPED.stat().st_size < 8000
    one = shipped()
    beliefs = Beliefs(SIDES, np.stack([SIDES, LEVELS]))
    assert set(one.names) == set(seen(FOUR, beliefs))
    good, other = (seen((values > 0).astype(np.int64), beliefs) for values in (SIDES, LEVELS))
    assert one.says(good) > one.says(other) + 0.1


# -- as objectives of the search ----------------------------------------------------------------


@pytest.mark.parametrize("objective", ["parents", "surrogate"])
def test_a_search_by_what_the_parents_say_finds_it(objective: str) -> None:
    tuned = Tuned(objective=objective, vary=("clusters",), of=Clusters(methods=("kmeans",), kmeans_restarts=5))
    each = np.stack([LEVELS, SIDES])
    four = np.where(FOUR == 3, 1.0, -1.0)
    chosen = {}
    for name, target in (("sides", SIDES), ("four", four)):
        (found,) = tuning.choose(tuned, places(), Spaces(model(), Run()), Run(), None, Beliefs(target, each))
        chosen[name] = {"kmeans_clusters": 2, **found.chosen}["kmeans_clusters"]
    assert chosen["four"] > 2
    if objective == "parents":
        assert chosen["sides"] == 2


@pytest.mark.parametrize("objective", ["parents", "surrogate"])
def test_what_is_no_partition_is_worth_less_than_any_here_too(objective: str) -> None:
    beliefs = Beliefs(SIDES, np.stack([SIDES]))
    value = worth(objective, Common.of(places(), 0), np.zeros(80, dtype=np.int64), same(FOUR), 0, beliefs)
    assert value == ONE_CLUSTER
    assert value < WORST
    assert value in FAULTS


class Sealed(Images):
    """Pictures whose labels nobody may look at."""

    @property
    def target(self) -> NDArray[np.bool_]:
        raise AssertionError("somebody looked at a label")

    @property
    def cells(self) -> tuple[str, ...]:
        raise AssertionError("somebody looked at a label")


def test_the_parents_are_asked_of_pictures_whose_labels_nobody_sees() -> None:
    sealed = Sealed(IMAGES.names, IMAGES.labels, IMAGES.at(16))
    run = Run(parents=PARENTS)
    beliefs = beliefs_of(sealed, run)
    assert beliefs.each.shape == (2, len(sealed))
    features = model().features(sealed)[0].double().numpy()
    tuned = Tuned(objective="surrogate", trials=3)
    found = tuning.choose(tuned, features, Spaces(model(), run), run, None, beliefs)
    assert [len(one.found.tried) for one in found] == [3, 3, 3]


def test_parents_that_say_something_else_are_another_search() -> None:
    memory = Memory()
    tuned = Tuned(objective="parents", trials=2, of=Clusters(methods=("kmeans",)))
    for target in (SIDES, LEVELS, SIDES):
        beliefs = Beliefs(target, np.stack([SIDES]))
        tuning.choose(tuned, places(), Spaces(model(), Run()), Run(), memory, beliefs)
    assert len(memory.tensors) == 2


@pytest.mark.parametrize(("sign", "kind"), [(-1.0, "no"), (1.0, "every")])
def test_parents_to_whom_all_pictures_are_alike_choose_nothing_and_it_is_said(sign: float, kind: str) -> None:
    tuned = Tuned(objective="parents", trials=4, of=Clusters(methods=("kmeans",)))
    run = Run()
    alike = Beliefs(sign * (2 + SIDES), np.stack([SIDES]))
    (found,) = tuning.choose(tuned, places(), Spaces(model(), run), run, None, alike)
    assert found.chosen == {}
    (warning,) = run.warnings
    assert f"to the parents {kind} picture is the target" in warning
    quiet = Run()
    tuning.choose(tuned, places(), Spaces(model(), quiet), quiet, None, Beliefs(SIDES, np.stack([SIDES])))
    assert quiet.warnings == []


def test_the_report_is_chosen_by_the_surrogate_and_asks_for_parents() -> None:
    assert Tuned(objective="surrogate").terms.populations
    assert Tuned(objective="parents").terms.populations
    assert Tuned().objective == "parents", "what chooses best on drawn pairs"
    assert not Tuned(objective="stability").terms.populations
    tuned = Tuned(objective="surrogate", trials=3, of=Clusters(methods=("kmeans",), umap_figure=False))
    run = Run(parents=PARENTS)
    tuned.evaluate(model(), IMAGES, run)
    chosen = run.figures["chosen"]
    assert isinstance(chosen, Table)
    assert "chosen by surrogate without labels" in chosen.title
    with pytest.raises(ComposerError, match="objective surrogate asks the parents, and here are none"):
        tuned.evaluate(model(), IMAGES, Run())
