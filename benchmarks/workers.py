"""What more workers would make of a run: its stages' seconds, laid on so many workers, each stage as soon as it can be.

    python benchmarks/workers.py runs/black_cat

The folder is that of a finished run in which every stage was computed by one worker. Seconds of one run are compared
with each other alone; stages are taken to be as fast beside others as alone, which workers with cores of their own are.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from composer import Step
from composer.recipes.recipe_reader import read_recipe
from composer.running.plan import make_plan


def elapsed(steps: Sequence[Step], seconds: Mapping[str, float], workers: int) -> float:
    """Seconds until so many workers are done; each takes the first step of the plan of which all is there.

    seconds: of each step, by its key; a step that is not in it takes none.
    """
    ends: dict[str, float] = {}
    free = [0.0] * workers
    waiting = list(steps)
    while waiting:
        free.sort()
        begins = [max([free[0], *(ends.get(other.key, 0.0) for other in step.needs)]) for step in waiting]
        ready = [
            (begin, place)
            for place, (step, begin) in enumerate(zip(waiting, begins, strict=True))
            if all(other.key in ends for other in step.needs)
        ]
        begin, place = min(ready)
        step = waiting.pop(place)
        free[0] = ends[step.key] = begin + seconds.get(step.key, 0.0)
    return max(ends.values())


def serial(steps: Sequence[Step], seconds: Mapping[str, float]) -> float:
    """Seconds of the longest chain of steps that each need the one before: no number of workers takes fewer."""
    return elapsed(steps, seconds, len(steps))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, help="folder of a run")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4, 16])
    arguments = parser.parse_args()
    steps = make_plan(read_recipe(arguments.run / "recipe.yaml")).steps()
    stages = json.loads((arguments.run / "run.json").read_text(encoding="utf-8"))["stages"]
    told = {(stage["name"], stage["subject"]): stage for stage in stages}
    if any(stage["status"] != "computed" for stage in stages):
        raise SystemExit(f"{arguments.run}: not all its stages were computed in it; run it again with --fresh")
    found = {step.key: told.get((step.name, step.subject)) for step in steps}
    seconds = {key: stage["seconds"] for key, stage in found.items() if stage is not None}
    total = sum(seconds.values())
    print(f"{len(seconds)} stages; the longest chain is {serial(steps, seconds) / total:.0%} of all seconds\n")
    print("| workers | seconds, of one worker's |\n| --: | --: |")
    for workers in arguments.workers:
        print(f"| {workers} | {elapsed(steps, seconds, workers) / total:.2f} |")


if __name__ == "__main__":
    main()
