"""A worker: a process that works steps, one after another; inputs and results lie in the store."""

from __future__ import annotations

import logging
import signal
import time
import traceback
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Literal

import torch
from threadpoolctl import threadpool_limits

from composer.errors import ComposerError, PluginError
from composer.registry import Registry, load_registry
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
    """A step has ended. absent: an input has gone from the store; broken: a plugin has a bug, `trace` shows where."""

    status: Literal["computed", "absent", "failed", "broken"]
    message: str = ""
    trace: str = ""
    seconds: float = 0.0
    peak_memory: int = 0
    device_memory: int = 0


Message = Progress | Logged | Ended


def serve(channel: Connection, place: Place) -> None:
    """Works every step that comes through the channel, until the other end closes it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all processes; whoever gives the work ends them
    log = logging.getLogger("composer")
    log.propagate = False
    log.addHandler(_Handler(channel))
    torch.set_num_threads(place.threads)
    registry = load_registry()
    with suppress(EOFError, ConnectionError), threadpool_limits(place.threads), StageCache(place.store) as cache:
        while True:
            step: Step = channel.recv()
            channel.send(_ended(step, cache, place, registry, channel))


def _ended(step: Step, cache: StageCache, place: Place, registry: Registry, channel: Connection) -> Ended:
    """Works one step, and says how that ended."""
    inputs = {}
    for other in step.needs:
        value = cache.load(other.name, other.key)
        if value is None:
            return Ended("absent", other.title)
        inputs[other.key] = value
    last = 0.0

    def progress(what: str, done: int, total: int) -> None:
        nonlocal last
        if done in (0, total) or time.monotonic() - last > OFTEN:
            last = time.monotonic()
            channel.send(Progress(what, done, total))

    try:
        done = work(step, inputs, place.device, registry, progress)
        cache.store(step.name, step.key, done.value, done.facts, done.figures, replace=place.fresh)
    except ComposerError as error:
        return Ended("failed", str(error))
    except PluginError as error:
        return Ended("broken", str(error), "".join(traceback.format_exception(error.__cause__ or error)))
    seconds, on_device = done.facts["seconds"], done.facts["device_memory"]
    return Ended("computed", seconds=seconds, peak_memory=peak_memory(), device_memory=on_device)


class _Handler(logging.Handler):
    """Sends what is logged to whoever gives the work."""

    def __init__(self, channel: Connection) -> None:
        super().__init__()
        self.channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        self.channel.send(Logged(record.levelno, self.format(record)))
