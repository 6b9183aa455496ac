"""Steps are plain data that another process can work, and all runs share one store."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import composer
from composer import ComposerError, Population
from composer.command_line.cli_store import store as store_command
from composer.page.gathering import gathered
from composer.pipeline import run_recipe
from composer.publishing import publish
from composer.recipes.recipe import Recipe
from composer.recipes.recipe_reader import read_recipe
from composer.registry import load_registry
from composer.results.verification import verify
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.locking import STORE_LOCK
from composer.running.outcome import compute
from composer.running.plan import make_plan
from composer.running.store_folder import USE, VARIABLE, default_store, kept_stages, prune
from conftest import SMALL
from tiny import tiny_population

KEY, OTHER = "a" * 64, "b" * 64
FEW = """\
name: few
seed: 3
concepts: [black, cat]
images: {use: drawings, size: 16, train: 40, test: 40}
models: {use: train, architecture: {use: cnn, filters: [2, 3], size: 16}, members: 2, epochs: 1}
compositions: {product: {assembler: product}}
controls: []
evaluators: [recognition]
"""


@pytest.fixture
def few(tmp_path: Path) -> Recipe:
    (tmp_path / "few.yaml").write_text(FEW)
    return read_recipe(tmp_path / "few.yaml")


# -- steps -------------------------------------------------------------------------------------

ELSEWHERE = """
import pickle, sys
from pathlib import Path
from composer.running.cache import StageCache
from composer.running.worker import work
step = pickle.loads(Path(sys.argv[1]).read_bytes())
with StageCache(Path(sys.argv[2])) as store:
    done = work(step, {need.key: store.load(need.name, need.key) for need in step.needs})
    store.store(step.name, step.key, done.value, done.facts, done.figures)
"""


def test_a_step_is_worked_in_a_fresh_process_as_here(few: Recipe, tmp_path: Path) -> None:
    outcome_store = tmp_path / "here"
    with StageCache(outcome_store) as store:
        compute(few, store, "cpu", gather=gathered)
    for step in make_plan(few, gathered).steps():
        if step.name not in ("population.cat", "evaluate.recognition"):
            continue
        elsewhere = shutil.copytree(outcome_store, tmp_path / step.name)
        home = elsewhere / f"{step.name}-{step.key[:16]}"
        before = {name: (home / name).read_bytes() for name in ("data.safetensors", "data.json")}
        shutil.rmtree(home)
        (tmp_path / "step").write_bytes(pickle.dumps(step))
        subprocess.run([sys.executable, "-c", ELSEWHERE, str(tmp_path / "step"), str(elsewhere)], check=True)
        assert {name: (home / name).read_bytes() for name in before} == before, step.name


def test_every_step_of_a_plan_can_be_pickled_and_keeps_its_key(tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text(SMALL)
    plan = make_plan(read_recipe(tmp_path / "recipe.yaml", ["oracle=true"]), gathered)
    names = {step.name.partition(".")[0] for step in plan.steps()}
    assert names == {
        *("images", "population", "parent", "kernels", "translate", "assemble", "pick", "evaluate", "alone", "page")
    }
    unshown = make_plan(read_recipe(tmp_path / "recipe.yaml", ["oracle=true"]))
    assert {step.key for step in plan.steps()} - {step.key for step in unshown.steps()} == {
        arm.page.key for arm in plan.arms if arm.page is not None
    }, "a plan without a verb for the page differs in that alone"
    for step in plan.steps():
        again = pickle.loads(pickle.dumps(step))
        again.__dict__.pop("key")
        again.__dict__.pop("identity")
        assert again.key == step.key, step.name


# -- one store ---------------------------------------------------------------------------------


def statuses(folder: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for stage in json.loads((folder / "run.json").read_text())["stages"]:
        found.setdefault(stage["status"], set()).add(stage["name"])
    return found


def test_a_second_recipe_computes_only_what_differs_and_results_outlive_the_store(few: Recipe, tmp_path: Path) -> None:
    store = tmp_path / "store"
    one, two = tmp_path / "one", tmp_path / "two"
    run_recipe(few, one, "cpu", store=store)
    changes = ["name=other", 'compositions={"mean": {"translator": "mean", "assembler": "refit"}}']
    other = read_recipe(tmp_path / "few.yaml", changes)
    run_recipe(other, two, "cpu", store=store)
    found = statuses(two)
    assert {"population.black", "population.cat", "images.test", "parent.cat"} <= found["kept"]
    assert found["computed"] == {
        *("kernels.black", "kernels.cat", "translate.mean", "assemble.refit", "pick.mean", "evaluate.recognition"),
        "page",
    }
    assert verify(one).stages > 0
    shutil.rmtree(store)
    for folder in (one, two):
        assert verify(folder).whole
        pixels = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
        assert composer.load(folder)(pixels).shape == (1,)


def test_an_outcome_is_computed_without_a_folder_and_published_twice(few: Recipe, tmp_path: Path) -> None:
    with StageCache(tmp_path / "store") as store:
        outcome = compute(few, store, "cpu", gather=gathered)
        assert {path.name for path in tmp_path.iterdir()} == {"few.yaml", "store"}
        assert not list(store.folder.rglob("*.png")), "figures are drawn when a folder is published"
        for name in ("a", "b"):
            (tmp_path / name).mkdir()
            publish(outcome, tmp_path / name)
    reports = [(tmp_path / name / "report.json").read_text() for name in ("a", "b")]
    assert reports[0] == reports[1]
    assert list((tmp_path / "a" / "figures").glob("*.png"))


def test_pictures_of_the_same_content_elsewhere_are_read_where_this_recipe_has_them(tmp_path: Path) -> None:
    shades = {"black+cat": 10, "black": 60, "cat": 110, "none": 200}
    places = {f"test/{cell}": shade for cell, shade in shades.items()}
    places |= {f"train/{concept}/yes": shades[concept] for concept in ("black", "cat")}
    places |= {f"train/{concept}/no": 200 for concept in ("black", "cat")}
    tests = []
    for home in (tmp_path / "a", tmp_path / "b"):
        for place, shade in places.items():
            (home / place).mkdir(parents=True)
            Image.new("RGB", (16, 16), (shade, shade, shade)).save(home / place / "0.png")
        text = FEW.replace("{use: drawings, size: 16, train: 40, test: 40}", "{use: folder, size: 16}")
        (tmp_path / "folder.yaml").write_text(f"root: {home}\n{text}")
        tests.append(make_plan(read_recipe(tmp_path / "folder.yaml")).test)
    one, two = tests
    assert one is not None
    assert two is not None
    assert one.key == two.key
    with StageCache(tmp_path / "store") as store:
        Engine(store, "cpu", load_registry()).result(one)
        images = Engine(store, "cpu", load_registry()).result(two)
    assert all(Path(file).is_relative_to(tmp_path / "b") for file in images.decode.files)


TWICE = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from composer.running.cache import StageCache
from tiny import tiny_population
with StageCache(Path(sys.argv[1])) as store:
    value = tiny_population("cat")
    print("ready", flush=True)
    sys.stdin.readline()
    for _ in range(60):
        store.store("population.cat", "a" * 64, value, {"warnings": []}, {}, replace=True)
        assert store.load("population.cat", "a" * 64) is not None
"""


def test_two_processes_that_store_the_same_stage_are_both_right(tmp_path: Path) -> None:
    command = [sys.executable, "-c", TWICE, str(tmp_path), str(Path(__file__).parent)]
    both = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    assert [one.stdout.readline() for one in both if one.stdout is not None] == ["ready\n"] * 2
    for one in both:
        assert one.stdin is not None
        one.stdin.write("go\n")
        one.stdin.flush()
    for one in both:
        one.communicate()
    assert [one.returncode for one in both] == [0, 0]
    assert {path.name for path in tmp_path.iterdir()} == {STORE_LOCK, f"population.cat-{KEY[:16]}"}
    with StageCache(tmp_path) as store:
        assert isinstance(store.load("population.cat", KEY), Population)


def test_what_another_process_stored_meanwhile_stays(tmp_path: Path) -> None:
    with StageCache(tmp_path) as store:
        store.store("population.cat", KEY, tiny_population("cat"), {"seconds": 1}, {})
        store.store("population.cat", KEY, tiny_population("cat"), {"seconds": 2}, {})
        assert (store.facts("population.cat", KEY) or {})["seconds"] == 1
        store.store("population.cat", KEY, tiny_population("cat"), {"seconds": 3}, {}, replace=True)
        assert (store.facts("population.cat", KEY) or {})["seconds"] == 3


# -- pruning -----------------------------------------------------------------------------------


@pytest.fixture
def two(tmp_path: Path) -> Path:
    """A store with two stages, one of them not used for ten days."""
    with StageCache(tmp_path / "two") as store:
        for key in (KEY, OTHER):
            home = store.store("population.cat", key, tiny_population("cat"), {}, {})
        old = time.time() - 10 * 86400
        os.utime(home, (old, old))
    (tmp_path / "two" / "mine").mkdir()
    return tmp_path / "two"


def names(store: Path) -> list[str]:
    return [stage.folder.name[-1] for stage in kept_stages(store)]


def test_old_stages_are_pruned_and_nothing_else(two: Path) -> None:
    assert names(two) == ["b", "a"]
    assert len(prune(two, 11 * 86400, None).removed) == 0
    assert len(prune(two, 9 * 86400, None).removed) == 1
    assert names(two) == ["a"]
    assert {path.name for path in two.iterdir()} == {STORE_LOCK, "mine", f"population.cat-{KEY[:16]}"}


def test_stages_used_longest_ago_go_first_until_so_much_is_left(two: Path) -> None:
    total = sum(stage.size for stage in kept_stages(two))
    assert len(prune(two, None, total).removed) == 0
    prune(two, None, total - 1)
    assert names(two) == ["a"]
    prune(two, None, 0)
    assert names(two) == []


def test_a_used_stage_is_young_again(two: Path) -> None:
    with StageCache(two) as store:
        store.load("population.cat", OTHER)
    assert len(prune(two, 9 * 86400, None).removed) == 0


USING = """
import sys, time
from pathlib import Path
from composer.running.cache import StageCache
store = StageCache(Path(sys.argv[1]))
store.use(("population.cat", "a" * 64))
print("used", flush=True)
time.sleep(600)
"""


def test_a_stage_in_use_stays_until_its_process_ends(two: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", USING, str(two)], stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "used\n"
            pruned = prune(two, None, 0)
            assert [stage.folder.name[-1] for stage in pruned.spared] == ["a"]
            assert names(two) == ["a"]
        finally:
            process.kill()
    prune(two, None, 0)
    assert names(two) == []
    assert not list(two.glob(f"{USE}*")), "the list of the dead process is gone"


def test_a_list_whose_process_ends_meanwhile_holds_nothing(two: Path) -> None:
    (two / f"{USE}gone").symlink_to(two / "nowhere")  # named by the folder, and no longer there to be read
    assert len(prune(two, None, 0).removed) == 2


def test_a_stage_that_this_process_uses_stays(two: Path) -> None:
    with StageCache(two) as store:
        store.use(("population.cat", OTHER))
        assert len(prune(two, 1, None).spared) == 1
    assert len(prune(two, 9 * 86400, None).removed) == 1


def test_the_command_says_the_size_and_prunes(two: Path) -> None:
    def call(*arguments: str) -> str:
        result = CliRunner().invoke(store_command, ["--store", str(two), *arguments], catch_exceptions=False)
        assert result.exit_code == 0
        return result.output

    assert json.loads(call("--json"))["stages"] == 2
    assert call("--prune", "--older-than", "1w").startswith("removed 1 stage, ")
    assert call("--prune", "--keep", "5GB").startswith("removed 0 stages, 0 B\n")
    assert f"{two}: 1 stage, " in call()
    for wrong in (["--prune"], ["--keep", "5GB"]):
        with pytest.raises(ComposerError, match="--prune takes --older-than or --keep"):
            call(*wrong)
    assert CliRunner().invoke(store_command, ["--prune", "--keep", "much"]).exit_code == 2


def test_a_folder_that_is_no_store_is_not_pruned(tmp_path: Path) -> None:
    (tmp_path / f"letters-{KEY[:16]}").mkdir()
    with pytest.raises(ComposerError, match="holds no stages of composer"):
        prune(tmp_path, None, 0)
    assert kept_stages(tmp_path) == []


def test_the_store_lies_in_the_users_cache_folder_unless_said_otherwise(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert default_store() == Path(os.environ[VARIABLE]), "tests never write into the user's own"
    monkeypatch.delenv(VARIABLE)
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert default_store() == tmp_path / "composer"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert default_store() == Path.home() / ".cache" / "composer"


def test_a_store_that_cannot_be_written_is_named(tmp_path: Path, few: Recipe) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ComposerError, match=r"no stages can be kept there: .*--store"):
        run_recipe(few, tmp_path / "run", "cpu", store=tmp_path / "file" / "store")
