"""Works stages at once by the executor that the user asked for: by default processes of this machine."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass

from composer.errors import ComposerError
from composer.registry import Registry, nearest
from composer.running.elsewhere import Place
from composer.running.engine import Engine
from composer.running.executors import Executor
from composer.running.processes import Processes, threads_each
from composer.running.step import Step

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


def work_ahead(engine: Engine, steps: Sequence[Step], parallel: Parallel, onward: bool = False) -> None:
    """Lets an executor compute what the store lacks of some plans' steps; nothing where this process works alone.

    An executor is opened where something is lacking, and closed whatever ends the work. onward: as `Engine.work_ahead`.
    """
    if parallel == ALONE:
        return
    name, _, address = (parallel.executor or "processes").partition(":")
    makers = executors(engine.registry)
    if name not in makers:
        raise ComposerError(f"--executor {name}: no such executor{nearest(name, list(makers))}")
    if missing := engine.missing(steps):
        threads = threads_each(parallel.workers, os.cpu_count() or 1)
        place = Place(engine.cache.folder.absolute(), engine.device, threads, engine.fresh)
        with closing(makers[name](place, parallel.workers, address)) as executor:
            engine.work_ahead(missing, executor, onward)


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
