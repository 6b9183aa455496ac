"""Verbs that do to a worker what happens to workers, to be named by steps in tests."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import Any

import torch

from composer.data.facts import Facts
from composer.running.verbs import population_group


def meet(step: Any, _: Any, run: Any) -> Facts:
    """Waits for another step that works at the same time."""
    folder = Path(step.about["folder"])
    (folder / step.name).touch()
    deadline = time.monotonic() + 60
    while not (folder / step.about["other"]).exists():
        assert time.monotonic() < deadline, "nobody works beside this"
        time.sleep(0.01)
    run.warn("met")
    return Facts({"process": os.getpid(), "threads": torch.get_num_threads()})


def die(step: Any, _: Any, run: Any) -> Facts:
    """Is killed as often as it is told to be."""
    deaths = Path(step.about["folder"]) / f"{step.name} deaths"
    with deaths.open("a") as file:
        file.write("x")
    if len(deaths.read_text()) <= step.about["times"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return Facts({})


def fail(_: Any, inputs: Any, run: Any) -> Facts:
    """Has a bug."""
    raise ZeroDivisionError("not a number of mine")


def sleep(_: Any, inputs: Any, run: Any) -> Facts:
    """Takes longer than anybody waits."""
    run.report_progress("sleeping", 0, 1)
    time.sleep(600)
    return Facts({})


def die_once(step: Any, inputs: Any, run: Any) -> Any:
    """Is killed the first time, and does then what the step is for; says how often each step was begun."""
    begun = Path(os.environ["BEGUN"]) / step.subject
    with begun.open("a") as file:
        file.write("x")
    if step.subject.endswith("2-2") and len(begun.read_text()) == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    return population_group(step, inputs, run)
