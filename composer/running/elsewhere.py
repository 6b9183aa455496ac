"""What a worker does: it works steps, one after another; inputs and results lie in the store."""

from __future__ import annotations

import logging
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import torch
from threadpoolctl import threadpool_limits

from composer.errors import ComposerError, PluginError
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.memory import peak_memory
from composer.running.step import Step
from composer.running.worker import work

OFTEN = 0.2
"""Seconds between two messages of how far a step is."""


@dataclass(frozen=True)
class Place:
    """What a worker works with: its store, its device, and how many threads; fresh: whatever the store has."""

    store: Path
    device: str
    threads: int
    fresh: bool = False


@dataclass(frozen=True)
class Progress:
    """How far a step is."""

    what: str
    done: int
    total: int


@dataclass(frozen=True)
class Logged:
    """What was logged meanwhile."""

    level: int
    message: str


@dataclass(frozen=True)
class Ended:
    """A step has ended.

    absent: an input has gone from the store. failed: the user can mend it, as `message` says. broken: a plugin has a
    bug, `trace` shows where. lost: its worker has ended in the middle, and `message` says how.
    """

    status: Literal["computed", "absent", "failed", "broken", "lost"]
    message: str = ""
    trace: str = ""
    seconds: float = 0.0
    peak_memory: int = 0
    device_memory: int = 0


Message = Progress | Logged | Ended
Say = Callable[[Progress | Logged], None]


def serve(channel: Connection, place: Place) -> None:
    """Works every step that comes through the channel, until the other end closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; whoever gives the work ends them
    with suppress(EOFError, ConnectionError):
        while True:
            step: Step = channel.recv()
            channel.send(work_elsewhere(step, place, channel.send))


def work_elsewhere(step: Step, place: Place, say: Say) -> Ended:
    """Works one step in this process for another one: inputs and result lie in the store. Returns how that ended.

    say: hands on how far the step is, and what is logged meanwhile, as objects that can be pickled.
    """
    registry = load_registry()
    with _threads(place.threads), _logging(say), StageCache(place.store) as cache:
        inputs = {}
        for other in step.needs:
            value = cache.load(other.name, other.key)
            if value is None:
                return Ended("absent", other.title)
            inputs[other.key] = value
        try:
            unfinished = cache.unfinished(step.name, step.key, place.fresh)
            done = work(step, inputs, place.device, registry, _seldom(say), unfinished)
            cache.store(step.name, step.key, done.value, done.facts, done.figures, replace=place.fresh)
        except ComposerError as error:
            return Ended("failed", str(error))
        except PluginError as error:
            return Ended("broken", str(error), "".join(traceback.format_exception(error.__cause__ or error)))
    seconds, on_device = done.facts["seconds"], done.facts["device_memory"]
    return Ended("computed", seconds=seconds, peak_memory=peak_memory(), device_memory=on_device)


def _seldom(say: Say) -> Callable[[str, int, int], None]:
    """Says how far a step is, and not too often."""
    last = 0.0

    def progress(what: str, done: int, total: int) -> None:
        nonlocal last
        if done in (0, total) or time.monotonic() - last > OFTEN:
            last = time.monotonic()
            say(Progress(what, done, total))

    return progress


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """So many threads for torch and all other libraries that compute; afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        with threadpool_limits(count):
            yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def _logging(say: Say) -> Iterator[None]:
    """What is logged meanwhile is said, and shown nowhere else."""
    log = logging.getLogger("composer")
    handler = _Handler(say)
    propagate, log.propagate = log.propagate, False
    log.addHandler(handler)
    try:
        yield
    finally:
        log.removeHandler(handler)
        log.propagate = propagate


class _Handler(logging.Handler):
    """Says what is logged."""

    def __init__(self, say: Say) -> None:
        super().__init__()
        self.say = say

    def emit(self, record: logging.LogRecord) -> None:
        self.say(Logged(record.levelno, self.format(record)))
