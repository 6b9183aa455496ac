"""Several workers at once: the same results, and what happens when one of them ends in the middle."""

from __future__ import annotations

import logging
import os
from contextlib import closing
from multiprocessing.context import SpawnProcess
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from composer import ComposerError
from composer.command_line.cli import main
from composer.data.facts import Facts
from composer.errors import PluginError
from composer.recipes.recipe_reader import read_recipe
from composer.registry import load_registry
from composer.running import parallel
from composer.running.cache import StageCache
from composer.running.elsewhere import Ended, Place
from composer.running.engine import Engine
from composer.running.executors import work_at_once
from composer.running.parallel import Parallel, work_ahead
from composer.running.plan import make_plan
from composer.running.processes import Processes, threads_each
from composer.running.step import Step
from composer_controls import Mean
from conftest import TINY


def step(name: str, verb: str, *needs: Step, **about: Any) -> Step:
    return Step(name, "test", Mean(), f"worker_verbs:{verb}", 0, inputs=needs, about=about, own=False)


def worked(steps: list[Step], store: Path, threads: int = 1, count: int = 1) -> dict[str, Ended]:
    with closing(Processes(count, Place(store, "cpu", threads))) as executor:
        return {done.name: ended for done, ended in work_at_once(steps, executor, lambda _: None, lambda *_: None)}


def test_workers_work_at_once_and_one_that_is_killed_costs_its_step_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    here = str(tmp_path)
    one, other = step("one", "meet", folder=here, other="other"), step("other", "meet", folder=here, other="one")
    killed = step("killed", "die", one, folder=here, times=1)
    broken = step("broken", "fail")
    never = step("never", "meet", broken, folder=here, other="one")
    with caplog.at_level(logging.WARNING, "composer"), StageCache(tmp_path / "store") as store:
        ended = worked([one, other, killed, broken, never], tmp_path / "store", threads=3, count=2)
        made = [store.load(each.name, each.key) for each in (one, other)]
        processes = {value.content["process"] for value in made if isinstance(value, Facts)}
        threads = {value.content["threads"] for value in made if isinstance(value, Facts)}
        facts = store.facts("one", one.key)
    assert {name: each.status for name, each in ended.items()} == {
        "one": "computed",
        "other": "computed",
        "killed": "computed",
        "broken": "broken",
    }
    assert len(processes - {os.getpid()}) == 2
    assert threads == {3}
    assert facts is not None
    assert facts["warnings"] == ["met"]
    assert (
        "killed for test: the process that worked on it ended by itself (exit code -9); it is begun again"
        in caplog.text
    )
    assert ended["broken"].message.startswith("this is a bug in the plugin controls")
    assert ended["broken"].trace.endswith("ZeroDivisionError: not a number of mine\n")


def test_a_step_that_kills_every_worker_is_named(tmp_path: Path) -> None:
    deadly = step("deadly", "die", folder=str(tmp_path), times=9)
    with pytest.raises(ComposerError, match=r"^deadly for test: .*\(exit code -9\), 2 times; .* take fewer --workers"):
        worked([deadly], tmp_path / "store")


def test_what_ends_the_work_ends_the_workers(tmp_path: Path) -> None:
    processes: list[SpawnProcess] = []

    def work() -> None:
        with closing(Processes(1, Place(tmp_path / "store", "cpu", 1))) as executor:

            def heard(*_: object) -> None:
                processes.extend(worker.process for worker in executor.workers)
                raise KeyboardInterrupt

            list(work_at_once([step("long", "sleep")], executor, lambda _: None, heard))

    with pytest.raises(KeyboardInterrupt):
        work()
    assert [process.exitcode for process in processes] == [-15]


def test_a_run_with_workers_has_the_bytes_of_one_worker_alone(tmp_path: Path) -> None:
    recipe = TINY.replace("[parents]", "[]").replace("members: 3", "members: 3, group: 2")
    (tmp_path / "recipe.yaml").write_text(recipe)
    many, one, at = tmp_path / "many", tmp_path / "one", tmp_path / "run"
    asked = ["--workers", "2", "--device", "cpu", "--verbose", "--store", str(many), "--output", str(at)]
    before = os.times().children_user
    said = CliRunner().invoke(main, ["run", str(tmp_path / "recipe.yaml"), *asked])
    assert said.exit_code == 0, said.output
    assert os.times().children_user > before + 0.5, "other processes have imported torch and worked"
    lines = said.stderr.splitlines()
    assert any(line.startswith("population.black ") and line.endswith("computed (new)") for line in lines)
    assert not any("kept" in line for line in lines)
    assert (at / "report.html").exists()
    steps = make_plan(read_recipe(tmp_path / "recipe.yaml")).steps()
    assert "black 2-2" in {each.subject for each in steps}
    assert {each.status for each in worked(steps, one, threads_each(2, os.cpu_count() or 1)).values()} == {"computed"}
    for each in steps:
        for name in ("data.safetensors", "data.json"):
            files = [at / f"{each.name}-{each.key[:16]}" / name for at in (one, many)]
            assert files[0].read_bytes() == files[1].read_bytes(), each.title


def test_an_error_of_a_plugin_elsewhere_is_told_as_one_from_here(tmp_path: Path) -> None:
    with StageCache(tmp_path / "store") as store:
        engine = Engine(store, "cpu", load_registry())
        told = pytest.raises(PluginError, match=r"^broken for test: this is a bug in the plugin controls")
        with told as raised:
            work_ahead(engine, [step("broken", "fail")], Parallel(2))
    assert "not a number of mine" in str(raised.value.__cause__)
    (stage,) = engine.finished.values()
    assert stage.status == "failed"


def test_who_goes_on_after_an_error_elsewhere_has_all_the_other_results(tmp_path: Path) -> None:
    fine = step("fine", "die", folder=str(tmp_path), times=0)
    with StageCache(tmp_path / "store") as store:
        engine = Engine(store, "cpu", load_registry())
        work_ahead(engine, [step("broken", "fail"), fine], Parallel(1, "processes"), onward=True)
        assert store.whole(fine.name, fine.key)
    assert list(engine.finished) == [fine.key]


def test_workers_share_the_cores() -> None:
    assert [threads_each(workers, cores=8) for workers in (1, 2, 3, 8, 20)] == [8, 4, 2, 1, 1]


@pytest.mark.parametrize(
    ("executor", "said"),
    [
        ("procesess", "--executor procesess: no such executor; did you mean 'processes'?"),
        ("processes:here", "--executor processes:here: processes of this machine have no address"),
    ],
)
def test_an_executor_that_there_is_not_is_refused(executor: str, said: str, tmp_path: Path) -> None:
    with StageCache(tmp_path / "store") as store:
        engine = Engine(store, "cpu", load_registry())
        with pytest.raises(ComposerError, match=said):
            work_ahead(engine, [step("broken", "fail")], Parallel(2, executor))


def test_one_worker_without_an_executor_is_this_process_which_takes_each_step_in_its_turn(tmp_path: Path) -> None:
    with StageCache(tmp_path / "store") as store:
        engine = Engine(store, "cpu", load_registry())
        work_ahead(engine, [step("broken", "fail")], Parallel())
        assert engine.finished == {}


def test_where_nothing_is_missing_no_executor_is_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fine = step("fine", "die", folder=str(tmp_path), times=0)
    with StageCache(tmp_path / "store") as store:
        engine = Engine(store, "cpu", load_registry())
        engine.result(fine)
        monkeypatch.setattr(parallel, "executors", lambda _: {"processes": lambda *_: pytest.fail("it was opened")})
        work_ahead(engine, [fine], Parallel(2))
        with pytest.raises(ComposerError, match="no such executor"):
            work_ahead(engine, [fine], Parallel(2, "ray"))


def test_no_worker_at_all_is_refused() -> None:
    said = CliRunner().invoke(main, ["run", "x.yaml", "--workers", "0"])
    assert said.exit_code == 2
    assert "0 is not in the range x>=1" in said.output
