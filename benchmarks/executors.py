"""What an executor costs beside the work: a plan of independent steps that each take some seconds, and nothing else.

    python benchmarks/executors.py --steps 12 --seconds 5 --workers 2 --markdown docs/executors.md

A step sleeps, so that other work on the machine hardly counts. Told apart are the seconds until all workers have met,
Ray's start and each worker's import of torch among them, and those from there to the end; the overhead is what these
have beyond the fewest seconds in which so many workers can sleep so often.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from composer import Place, Step
from composer.data.facts import Facts
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.executors import work_at_once
from composer.running.parallel import executors
from composer_controls import Mean

WAYS = "here", "processes", "ray"


def meet(step: Any, _: Any, run: Any) -> Facts:
    """Waits until as many steps work at once as there are workers; says when."""
    folder = Path(step.about["folder"])
    (folder / step.name).touch()
    while sum(1 for _ in folder.glob("meet*")) < step.about["workers"]:
        time.sleep(0.01)
    return Facts({"at": time.time()})


def sleep(step: Any, _: Any, run: Any) -> Facts:
    """What a step does."""
    time.sleep(step.about["seconds"])
    return Facts({})


@dataclass(frozen=True)
class Taken:
    """Seconds of one executor: the fewest there can be, until all workers had met, and from then to the end."""

    fewest: float
    opening: float
    working: float

    @property
    def overhead(self) -> float:
        """Share of the fewest seconds that came on top, once all workers were there."""
        return self.working / self.fewest - 1


def step(verb: str, number: int, needs: tuple[Step, ...], **about: Any) -> Step:
    """A step whose verb is here: workers find it, as this file is run from its own folder."""
    name, at = f"{verb}{number}", f"{Path(__file__).stem}:{verb}"
    return Step(name, "the benchmark", Mean(), at, 0, inputs=needs, about=about, own=False)


def plan(count: int, seconds: float, workers: int, folder: Path) -> tuple[list[Step], list[Step]]:
    """One step for each worker, by which all are there; then steps that need nothing of each other."""
    met = [step("meet", number, (), folder=str(folder), workers=workers) for number in range(workers)]
    return met, [step("sleep", number, tuple(met), seconds=seconds) for number in range(count)]


def worked(way: str, steps: Sequence[Step], workers: int, store: Path) -> Iterator[Step]:
    """Works all steps; yields each that has ended."""
    registry = load_registry()
    if way == "here":
        with StageCache(store) as cache:
            engine = Engine(cache, "cpu", registry)
            for each in steps:
                engine.result(each)
                yield each
        return
    with closing(executors(registry)[way](Place(store, "cpu", 1), workers, "")) as executor:
        for each, ended in work_at_once(steps, executor, lambda _: None, lambda *_: None):
            if ended.status != "computed":
                raise SystemExit(f"{each.title}: {ended.status}: {ended.message}")
            yield each


def measured(way: str, count: int, seconds: float, workers: int) -> Taken:
    """What an executor takes for so many steps of so many seconds."""
    at_once = 1 if way == "here" else workers
    with TemporaryDirectory() as folder:
        met, steps = plan(count, seconds, at_once, Path(folder))
        store = Path(folder) / "store"
        opened = time.time()
        for _ in worked(way, [*met, *steps], workers, store):
            ended = time.time()
        with StageCache(store) as cache:
            results = [cache.load(each.name, each.key) for each in met]
    there = max(result.content["at"] for result in results if isinstance(result, Facts))
    return Taken(seconds * ceil(count / at_once), there - opened, ended - there)


def row(way: str, workers: int, taken: Taken) -> str:
    """A line of the table."""
    at_once = 1 if way == "here" else workers
    numbers = f"{taken.opening:.1f} | {taken.working:.1f} | {taken.fewest:.1f} | {taken.overhead:.1%}"
    return f"| `{way}` | {at_once} | {numbers} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--seconds", type=float, default=5.0, help="that a step takes")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--markdown", type=Path, help="write the table here too")
    arguments = parser.parse_args()
    lines = [
        f"{arguments.steps} steps of {arguments.seconds:g} s; {platform.processor() or platform.machine()}, torch "
        f"{torch.__version__}, Python {platform.python_version()}.",
        "",
        "| executor | at once | s until all workers are there | s from there to the end | at least | overhead |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    print("\n".join(lines), flush=True)
    for way in arguments.ways:
        taken = measured(way, arguments.steps, arguments.seconds, arguments.workers)
        lines.append(row(way, arguments.workers, taken))
        print(lines[-1], flush=True)
    if arguments.markdown is not None:
        arguments.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
