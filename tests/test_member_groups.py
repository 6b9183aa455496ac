"""Populations that are trained in groups of members, each a stage of its own: the same bytes whoever works them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from statistics import median
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from composer import Population, Run
from composer.command_line.cli import main
from composer.recipes.recipe_reader import read_recipe
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.plan import Plan, make_plan
from composer_cifar_resnet import CifarResNet
from composer_training import Train
from conftest import TINY
from test_workers import worked
from tiny import ARCHITECTURE, tiny_population, training_images

PICTURES = training_images("cat", count=80)
GROUPED = TINY.replace("members: 3", "members: 3, group: 2").replace("[parents]", "[]")


def plan_of(text: str, folder: Path) -> Plan:
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    return make_plan(read_recipe(folder / "recipe.yaml"))


@pytest.mark.parametrize(
    "options",
    [
        {"members": 5},
        {"members": 3, "patience": 1, "held_out": 0.25, "epochs": 4, "learning_rate": 0.05},
        {"members": 3, "architecture": CifarResNet(filters=2, size=16), "resample": False},
        {"members": 3, "start": "networks"},
    ],
    ids=["usual", "stopping early", "batch norm", "fine-tuned"],
)
def test_groups_together_have_the_bytes_of_the_whole(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    if options.get("start"):
        start = Train(architecture=ARCHITECTURE)
        monkeypatch.setattr(Train, "load_body", lambda *_: tiny_population("cat", members=2, seed=8))
        options = {**options, "start": start}
    source = Train.model_validate({"architecture": ARCHITECTURE, "epochs": 2, "batch": 16, "group": 2, **options})
    whole_run, runs = Run(seed=5, pictures=(PICTURES,)), []
    whole, groups = source.load("cat", whole_run), []
    for members in source.groups():
        runs.append(Run(seed=5, pictures=(PICTURES,)))
        groups.append(source.load_group("cat", members, runs[-1]))
    joined = Population.joined(groups)
    assert [len(each) for each in groups] == [2] * (len(whole) // 2) + [1]
    assert joined.members == whole.members
    for name, tensor in whole.weights.items():
        assert torch.equal(joined.weights[name], tensor), name
    for name, values in whole_run.measured.items():
        assert [value for run in runs for value in run.measured[name]] == values, name
    if whole.held_out is not None:
        assert joined.held_out is not None
        assert torch.equal(joined.held_out.log_odds.nan_to_num(9.0), whole.held_out.log_odds.nan_to_num(9.0))


def test_frozen_bodies_look_at_pictures_once_for_all_members() -> None:
    start = Train(architecture=ARCHITECTURE)
    assert Train(start=start, body="frozen", members=5, group=2).groups() == ()


def test_how_a_population_is_parted_is_its_options_doing(tmp_path: Path) -> None:
    whole, parted = plan_of(TINY, tmp_path), plan_of(GROUPED, tmp_path)
    assert whole.populations["black"].inputs == ()
    steps = parted.populations["black"].inputs
    assert [step.title for step in steps] == ["population.black for black 0-1", "population.black for black 2-2"]
    assert {step.seed for step in steps} == {whole.populations["black"].seed}


def test_a_killed_worker_costs_its_group_alone_and_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = plan_of(GROUPED, tmp_path).populations["black"]
    monkeypatch.setenv("BEGUN", str(tmp_path))
    deadly = [replace(step, verb="worker_verbs:die_once") for step in whole.inputs]
    ended = worked([*whole.pictures, *deadly, whole], tmp_path / "many", torch.get_num_threads())
    assert {each.status for each in ended.values()} == {"computed"}
    begun = {step.subject: len((tmp_path / step.subject).read_text()) for step in whole.inputs}
    assert begun == {"black 0-1": 1, "black 2-2": 2}
    with StageCache(tmp_path / "one") as store:
        engine = Engine(store, "cpu", load_registry())
        engine.result(whole)
    assert not any(step.key in engine.results for step in whole.inputs), "they are held beside the whole"
    for step in (*whole.inputs, whole):
        files = [tmp_path / at / f"{step.name}-{step.key[:16]}" / "data.safetensors" for at in ("many", "one")]
        assert files[0].read_bytes() == files[1].read_bytes(), step.title


def test_a_run_tells_of_all_groups_what_it_would_tell_of_one(tmp_path: Path) -> None:
    whole = plan_of(GROUPED.replace("group: 2", "group: 3"), tmp_path).populations["black"]
    with StageCache(tmp_path / "store") as store:
        engine = Engine(store, "cpu", load_registry())
        engine.result(whole)
        measured = engine.measured(whole)["held_out_auc"]
    plan_of(GROUPED, tmp_path)
    asked = ["run", str(tmp_path / "recipe.yaml"), "--store", str(tmp_path / "store"), "--device", "cpu"]
    done = CliRunner().invoke(main, [*asked, "--output", str(tmp_path / "run")])
    assert done.exit_code == 0, done.output
    report = json.loads((tmp_path / "run" / "report.json").read_text(encoding="utf-8"))
    told = report["parents"]["black"]["measured"]["held_out_auc"]
    assert told == {"median": median(measured), "lowest": min(measured), "highest": max(measured)}
    assert any("black 2-2: 1 of 1 networks trained" in message for message in report["warnings"])
    drawn = {file.name for file in (tmp_path / "run" / "figures").glob("black*.svg")}
    assert {"black 0-1 - training.svg", "black 2-2 - training.svg"} <= drawn
