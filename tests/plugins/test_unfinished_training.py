"""A training that is killed goes on where it was, and ends with the bytes of one that nobody disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner
from torch import Tensor

from composer import Population, Run
from composer.command_line.cli import main
from composer.data.facts import Facts
from composer.running.cache import UNFINISHED, StageCache
from composer_cifar_resnet import CifarResNet
from composer_training import Train, course, training
from tiny import ARCHITECTURE, training_images

PICTURES = training_images("cat", count=80)
KEY = "c" * 64


class Memory:
    """Keeps tensors as a store would: copies."""

    def __init__(self) -> None:
        self.held: dict[str, dict[str, Tensor]] = {}

    def kept(self, name: str) -> Mapping[str, Tensor] | None:
        return self.held.get(name)

    def keep(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        self.held[name] = {key: tensor.detach().clone() for key, tensor in tensors.items()}


class KilledError(Exception):
    """What stands for the end of a process."""


def train(options: dict[str, Any], memory: Memory | None, killed_in: int | None = None) -> tuple[Population, list[int]]:
    """The population, and the steps that were told; killed in a step: KilledError."""
    told: list[int] = []

    def progress(what: str, done: int, total: int) -> None:
        told.append(done)
        if done == killed_in:
            raise KilledError

    run = Run(seed=5, pictures=(PICTURES,), report_progress=progress, keeper=memory)
    source = Train.model_validate({"architecture": ARCHITECTURE, "members": 3, "epochs": 4, "batch": 16, **options})
    return source.load("cat", run), told


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"schedule": "cosine", "patience": 3, "held_out": 0.25},
        {"architecture": CifarResNet(filters=2, size=16), "members": 2},
    ],
    ids=["usual", "stopping early", "batch norm"],
)
def test_a_killed_training_goes_on_to_the_same_bytes(options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    undisturbed, told = train(options, None)
    steps = told[-1] // 4
    monkeypatch.setattr(course, "KEEP_EVERY", 0.0)
    memory = Memory()
    with pytest.raises(KilledError):
        train(options, memory, killed_in=2 * steps + 2)  # in the third epoch, two steps after it was kept
    assert int(memory.held["training-cpu"]["done"]) == 2
    stepped: list[int] = []
    one = training.train_step

    def counted(*given: Any) -> None:
        stepped.append(1)
        one(*given)

    monkeypatch.setattr(training, "train_step", counted)
    again, _ = train(options, memory)
    assert len(stepped) == 2 * steps, "it went on from what was kept"
    for name, tensor in undisturbed.weights.items():
        assert torch.equal(again.weights[name], tensor), name


def test_nothing_is_kept_of_a_training_that_ends_before_long() -> None:
    memory = Memory()
    train({}, memory)
    assert memory.held == {}


def test_what_an_unfinished_stage_keeps_is_gone_once_it_is_stored(tmp_path: Path) -> None:
    with StageCache(tmp_path / "store") as cache:
        keeper = cache.unfinished("population.cat", KEY)
        assert keeper.kept("training-cpu") is None
        assert not list(cache.folder.glob(f"{UNFINISHED}*")), "nothing is made before there is something to keep"
        keeper.keep("training-cpu", {"done": torch.tensor(2)})
        found = cache.unfinished("population.cat", KEY).kept("training-cpu")
        assert found is not None
        assert int(found["done"]) == 2
        assert cache.unfinished("population.dog", KEY).kept("training-cpu") is None
        assert cache.unfinished("population.cat", KEY, fresh=True).kept("training-cpu") is None
        keeper.keep("training-cpu", {"done": torch.tensor(2)})
        cache.store("population.cat", KEY, Facts({}), {}, {})
        assert not list(cache.folder.glob(f"{UNFINISHED}*"))


KILLED = """
import os, signal, sys
from pathlib import Path
from composer_training import course
from composer.data.run import Run
course.KEEP_EVERY = 0.0
told = Run.progress
def progress(self, items, what, total):
    for done, item in enumerate(told(self, items, what, total)):
        if "training" in what and done == total - 2:
            os.kill(os.getpid(), signal.SIGKILL)
        yield item
Run.progress = progress
from composer.command_line.cli import main
main(sys.argv[1:])
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_run_that_is_killed_goes_on_in_the_store(tmp_path: Path) -> None:
    recipe = tmp_path / "killed.yaml"
    recipe.write_text(
        "name: killed\nconcepts: [black, cat]\nimages: {use: drawings, size: 16, train: 80, test: 16}\n"
        "models: {use: train, architecture: {use: cnn, size: 16}, members: 2, epochs: 3, batch: 20}\n"
        "compositions: {product: {assembler: product}}\ncontrols: []\nevaluators: [recognition]\n",
        encoding="utf-8",
    )

    def wanted(store: str) -> list[str]:
        return ["run", str(recipe), "--store", str(tmp_path / store), "--output", str(tmp_path / f"{store} run")]

    def populations(store: str) -> dict[str, bytes]:
        files = sorted((tmp_path / store).glob("*population*/data.safetensors"))
        return {file.parent.name: file.read_bytes() for file in files if not file.parent.name.startswith(UNFINISHED)}

    killed = subprocess.run([sys.executable, "-c", KILLED, *wanted("killed")], capture_output=True, check=False)
    assert (killed.returncode, populations("killed")) == (-signal.SIGKILL, {}), killed.stderr
    assert len(list((tmp_path / "killed").glob(f"{UNFINISHED}*/training-cpu.safetensors"))) == 1
    for store in ("killed", "undisturbed"):
        result = CliRunner().invoke(main, wanted(store))
        assert result.exit_code == 0, result.output
    assert populations("killed") == populations("undisturbed") != {}
    assert not list((tmp_path / "killed").glob(f"{UNFINISHED}*"))
