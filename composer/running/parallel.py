"""Opens the executor that the user asked for: by default processes of this machine, where more than one is wanted."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from composer.errors import ComposerError
from composer.registry import Registry, nearest
from composer.running.elsewhere import Place
from composer.running.engine import Engine
from composer.running.executors import Executor
from composer.running.processes import Processes, threads_each

Maker = Callable[[Place, int, str], Executor]
"""Opens an executor: called with a place, how many workers share a machine, and an address, or an empty text."""


@dataclass(frozen=True)
class Parallel:
    """How stages are worked at once.

    workers: how many share the cores of a machine. executor: `NAME` or `NAME:ADDRESS`; left out: this process alone
    where one worker is enough, else `processes`.
    """

    workers: int = 1
    executor: str | None = None


ALONE = Parallel()


@contextmanager
def opened_executor(parallel: Parallel, engine: Engine) -> Iterator[Executor | None]:
    """The executor for an engine's steps, for as long as it is needed; None where this process works alone."""
    if parallel.executor is None and parallel.workers == 1:
        yield None
        return
    name, _, address = (parallel.executor or "processes").partition(":")
    makers = executors(engine.registry)
    if name not in makers:
        raise ComposerError(f"--executor {name}: no such executor{nearest(name, list(makers))}")
    threads = threads_each(parallel.workers, os.cpu_count() or 1)
    place = Place(engine.cache.folder.absolute(), engine.device, threads, engine.fresh)
    executor = makers[name](place, parallel.workers, address)
    try:
        yield executor
    finally:
        executor.close()


def executors(registry: Registry) -> Mapping[str, Maker]:
    """Name -> what opens it: composer's own, and those of plugins."""
    found: dict[str, Maker] = {"processes": _processes}
    for offered in registry.hook.composer_executors():
        found |= offered
    return found


def _processes(place: Place, workers: int, address: str) -> Executor:
    if address:
        raise ComposerError(f"--executor processes:{address}: processes of this machine have no address")
    return Processes(workers, place)
