"""Stages on a cluster of Ray's: of two nodes, on this machine."""

from __future__ import annotations

import logging
import pickle
import queue
import re
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from composer import ComposerError, Ended, Place
from composer.data.facts import Facts
from composer.recipes.recipe_reader import read_recipe
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.executors import Executor, work_at_once
from composer.running.parallel import Parallel, work_ahead
from composer.running.plan import make_plan
from composer.running.processes import Processes
from composer.running.step import Step
from composer_ray import open_ray
from composer_ray.task import Errand, worked
from conftest import ROOT, TINY
from test_workers import step

needs_ray = pytest.mark.skipif(find_spec("ray") is None, reason="the extra [ray] is not installed")


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of two nodes with a core each."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(ROOT / "tests"))
        cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
        cluster.add_node(num_cpus=1)
        yield cluster.address
        cluster.shutdown()  # type: ignore[no-untyped-call]


def all_of(steps: list[Step], executor: Executor) -> dict[str, Ended]:
    with closing(executor):
        return {done.name: ended for done, ended in work_at_once(steps, executor, lambda _: None, lambda *_: None)}


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_two_nodes_work_at_once_and_a_worker_that_is_killed_costs_its_step_alone(
    address: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here = str(tmp_path)
    one, other = step("one", "meet", folder=here, other="other"), step("other", "meet", folder=here, other="one")
    killed = step("killed", "die", one, folder=here, times=1)
    broken = step("broken", "fail")
    never = step("never", "meet", broken, folder=here, other="one")
    with caplog.at_level(logging.WARNING, "composer"), StageCache(tmp_path / "store") as store:
        ray = open_ray(Place(tmp_path / "store", "cpu", 1), 1, address)
        ended = all_of([one, other, killed, broken, never], ray)
        made = [store.load(each.name, each.key) for each in (one, other)]
    assert {name: each.status for name, each in ended.items()} == {
        "one": "computed",
        "other": "computed",
        "killed": "computed",
        "broken": "broken",
    }
    assert len({value.content["process"] for value in made if isinstance(value, Facts)}) == 2
    assert "killed for test: the worker of Ray's that worked on it ended by itself" in caplog.text
    assert ended["broken"].trace.endswith("ZeroDivisionError: not a number of mine\n")
    assert not list((tmp_path / "store").glob(".seen*"))


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_population_has_the_bytes_of_one_that_a_process_trained(address: str, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(TINY.replace("members: 3", "members: 3, group: 2"))
    trained = make_plan(read_recipe(tmp_path / "recipe.yaml")).populations["black"]
    both = [*trained.pictures, *trained.inputs, trained]
    assert len(both) == 4, "its members are trained in two groups"
    places = [Place(tmp_path / name, "cpu", 1) for name in ("ray", "processes")]
    assert {each.status for each in all_of(both, open_ray(places[0], 1, address)).values()} == {"computed"}
    assert {each.status for each in all_of(both, Processes(1, places[1])).values()} == {"computed"}
    files = [place.store / f"{trained.name}-{trained.key[:16]}" / "data.safetensors" for place in places]
    assert files[0].read_bytes() == files[1].read_bytes()


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_stage_that_no_machine_has_the_cores_for_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(ComposerError, match="a stage takes 4 cores, and no machine of the cluster has more than 1"):
        open_ray(Place(tmp_path, "cpu", 4), 1, address)


@needs_ray
@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://nowhere.invalid:10001", "127.0.0.1:99999999"])
def test_an_address_where_no_cluster_is_is_refused(address: str, tmp_path: Path) -> None:
    with StageCache(tmp_path / "store") as store:
        engine = Engine(store, "cpu", load_registry())
        told = pytest.raises(ComposerError, match=f"^--executor ray:{address}: no cluster answers there")
        with told:
            work_ahead(engine, [step("fine", "die", folder=str(tmp_path), times=0)], Parallel(1, f"ray:{address}"))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"made_by": "0.0"}, "has composer .*, and the run composer 0.0: install one"),
        ({"sign": Path("/nowhere/sign")}, "does not see the store .*: all machines share it"),
        ({"step": b"cnot_installed\nStep\n."}, r"lacks a plugin of the run \(No module named 'not_installed'\)"),
    ],
)
def test_a_worker_that_cannot_work_says_why(change: dict[str, Any], said: str, tmp_path: Path) -> None:
    sign = tmp_path / "sign"
    sign.touch()
    place = Place(tmp_path, "cpu", torch.get_num_threads() + 1)
    given = Errand(pickle.dumps(step("fine", "die", folder=str(tmp_path), times=0)), place, sign)
    messages: Any = queue.Queue()
    assert worked(given, messages).status == "computed"
    refused = worked(replace(given, **change), messages)
    assert refused.status == "failed"
    assert re.search(said, refused.message), refused.message


def test_without_ray_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "composer_ray.cluster", raising=False)
    with pytest.raises(ComposerError, match=r"--executor ray needs the package ray: pip install .*\[ray\]"):
        open_ray(Place(tmp_path, "cpu", 1), 1, "")


@needs_ray
def test_a_machine_that_is_too_slow_to_start_is_said_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def late(**_: Any) -> None:
        raise Exception("The current node timed out during startup.\nAsk its logs.")

    monkeypatch.setattr("ray.init", late)
    with pytest.raises(ComposerError, match=r"^--executor ray: The current node timed out during startup\.$"):
        open_ray(Place(tmp_path, "cpu", 1), 1, "")
