"""The rounds of a benchmark in drawings, a pair with a seed each: worked by several processes, and kept when they end.

A benchmark that is stopped goes on where it was, and rounds of several machines may be put into one folder.
"""

from __future__ import annotations

import multiprocessing
import pickle
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import torch

from composer import ComposerError
from composer.data.expressions import cell_name
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.plan import make_plan
from composer.sweeps.benchmark import DRAWINGS, Entrants, pair_recipe

Found = TypeVar("Found")
NOTHING = Entrants({"product": {"assembler": "product"}}, (), frozenset(), {})
"""A composition that needs the parents alone."""


class Round(NamedTuple):
    """A pair with a seed."""

    pair: tuple[str, ...]
    seed: int

    @property
    def file(self) -> str:
        """What it is kept as."""
        return f"{cell_name(self.pair)}-{self.seed}.pickle"


def rounds_of(pairs: Sequence[tuple[str, str]], seeds: int, first: int = 1) -> list[Round]:
    """All pairs with the first seed, then with the next."""
    return [Round(pair, seed) for seed in range(first, first + seeds) for pair in pairs]


def worked(
    work: Callable[[Round, Path], Found],
    rounds: Sequence[Round],
    store: Path,
    settings: str,
    keep: Path | None = None,
    workers: int = 1,
    threads: int | None = None,
) -> Iterator[dict[Round, Found]]:
    """What `work` found, in their order, once of the rounds kept and after each further one: of the pairs that are done
    with the first seed, and of the further seeds that all of these pairs are done with.

    work: a function of a module, told of a round and the store. settings: kept beside each round. With several workers
    the parents are trained first, each once; threads: of each process. ComposerError where a round in `keep` was worked
    with other settings.
    """
    done: dict[Round, Found] = {}
    for one in rounds:
        if keep is not None and (keep / one.file).is_file():
            done[one] = _kept(keep / one.file, settings)
    if spoken := even(done, rounds):
        yield spoken
    missing = [one for one in rounds if one not in done]
    with _processes(min(workers, len(missing)), threads) as submitted:
        if workers > 1:
            parents = {(concept, one.seed): one for one in missing for concept in one.pair}
            for _ in submitted([partial(train, concept, one, store) for (concept, _), one in parents.items()]):
                pass
        for one, found in submitted([partial(_work, work, one, store) for one in missing]):
            if keep is not None:
                _save(keep / one.file, settings, found)
            done[one] = found
            if spoken := even(done, rounds):
                yield spoken


def train(concept: str, of: Round, store: Path) -> None:
    """Trains a parent of a round into the store."""
    registry = load_registry()
    with StageCache(store) as stages:
        plan = make_plan(pair_recipe(of.pair, of.seed, NOTHING, (), registry, DRAWINGS))
        Engine(stages, "cpu", registry).result(plan.populations[concept])


def kept(folder: Path) -> dict[Round, Any]:
    """All rounds that a folder holds."""
    found = {}
    for file in sorted(folder.glob("*.pickle")):
        name, _, seed = file.stem.rpartition("-")
        first, _, second = name.partition("+")
        found[Round((first, second), int(seed))] = _kept(file, None)
    return found


def _kept(file: Path, settings: str | None) -> Any:
    own, found = pickle.loads(file.read_bytes())  # written by this program itself
    if settings is not None and own != settings:
        raise ComposerError(f"{file} was worked with {own}, not with {settings}; say another folder in --keep")
    return found


def _save(file: Path, settings: str, found: object) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_suffix(".part")
    part.write_bytes(pickle.dumps((settings, found)))
    part.replace(file)


@contextmanager
def _processes(workers: int, threads: int | None) -> Iterator[Callable[[Sequence[Callable[[], Any]]], Iterator[Any]]]:
    """What works calls, in other processes where there are several workers, and gives each result as it comes."""
    if workers <= 1:
        if threads is not None:
            torch.set_num_threads(threads)
        yield lambda calls: (call() for call in calls)
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, spawn, torch.set_num_threads, (threads or 1,)) as pool:
        yield lambda calls: (done.result() for done in as_completed([pool.submit(call) for call in calls]))


def _work(work: Callable[[Round, Path], Found], one: Round, store: Path) -> tuple[Round, Found]:
    return one, work(one, store)


def even(done: dict[Round, Found], rounds: Sequence[Round]) -> dict[Round, Found]:
    """The rounds to speak of, in their order: all pairs that are done with the first seed, each with the same seeds."""
    seeds = list(dict.fromkeys(one.seed for one in rounds))
    pairs = [one.pair for one in rounds if one.seed == seeds[0] and one in done]
    whole = [seed for seed in seeds if all(Round(pair, seed) in done for pair in pairs)]
    return {Round(pair, seed): done[Round(pair, seed)] for seed in whole for pair in pairs}
