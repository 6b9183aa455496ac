"""Several workers at once: steps of one or more plans, each as soon as what it needs is in the store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from types import TracebackType
from typing import Self

from composer.errors import ComposerError
from composer.running.elsewhere import Ended, Message, Place, Progress, serve
from composer.running.step import Step

log = logging.getLogger("composer")

TRIES = 2
"""How often a step is begun whose worker ends in the middle: the second time it is the step's own doing."""


@dataclass
class Worker:
    """A process, what it works on, and the way to talk to it."""

    process: SpawnProcess
    channel: Connection
    step: Step | None = None


@dataclass
class Queue:
    """Steps that are still to be worked, and how often each was begun. A step waits for what it needs of these."""

    waiting: dict[str, Step]
    begun: dict[str, int] = field(default_factory=dict)
    open: set[str] = field(default_factory=set)
    """Keys of steps whose result is not there yet: waiting, or being worked."""

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Queue:
        return cls({step.key: step for step in steps}, open={step.key for step in steps})

    def next(self) -> Step | None:
        """A step of which all is there that it needs, in the order of the plan; None while none is."""
        for key, step in self.waiting.items():
            if not any(other.key in self.open for other in step.needs):
                self.begun[key] = self.begun.get(key, 0) + 1
                return self.waiting.pop(key)
        return None


class Workers:
    """Processes of this machine that work steps at once; they end with the `with` block, whatever ends it."""

    def __init__(self, count: int, place: Place) -> None:
        self.place = place
        self.count = count
        self.workers: list[Worker] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for worker in self.workers:
            worker.channel.close()
            if worker.step is not None:
                worker.process.terminate()
        for worker in self.workers:
            worker.process.join()
        self.workers.clear()

    def work(
        self,
        steps: Sequence[Step],
        started: Callable[[Step], None],
        told: Callable[[Step, Progress], None],
    ) -> Iterator[tuple[Step, Ended]]:
        """Works steps, given in an order in which each comes after those that it needs; yields each that has ended.

        Inputs that are none of `steps` are in the store. A step that fails, and those that need it, are left.
        ComposerError where a worker ends in the middle of one step twice.
        """
        queue = Queue.of(steps)
        while True:
            self._give(queue, started)
            busy = {worker.channel: worker for worker in self.workers if worker.step is not None}
            if not busy:
                return
            for channel in wait(list(busy)):
                worker = busy[channel]  # type: ignore[index]  # what was given comes back
                step = worker.step
                assert step is not None
                message = self._heard(worker)
                if message is None:
                    self._again(queue, step, worker)
                elif isinstance(message, Ended):
                    worker.step = None
                    if message.status == "computed":
                        queue.open.discard(step.key)
                    yield step, message
                elif isinstance(message, Progress):
                    told(step, message)
                else:
                    log.log(message.level, "%s", message.message)

    def _give(self, queue: Queue, started: Callable[[Step], None]) -> None:
        """A step for every worker that has none, as long as one is ready; workers are made when they are needed."""
        while True:
            idle = next((worker for worker in self.workers if worker.step is None), None)
            if (idle is None and len(self.workers) >= self.count) or (step := queue.next()) is None:
                return
            worker = idle or self._made()
            worker.step = step
            if queue.begun[step.key] == 1:
                started(step)
            with suppress(ConnectionError):  # it has just ended; `_heard` finds out
                worker.channel.send(step)

    def _made(self) -> Worker:
        ours, theirs = get_context("spawn").Pipe()
        process = get_context("spawn").Process(target=serve, args=(theirs, self.place))
        process.start()
        theirs.close()
        worker = Worker(process, ours)
        self.workers.append(worker)
        return worker

    def _heard(self, worker: Worker) -> Message | None:
        """What a worker says; None where it has ended."""
        try:
            message: Message = worker.channel.recv()
        except (EOFError, ConnectionError):
            return None
        return message

    def _again(self, queue: Queue, step: Step, worker: Worker) -> None:
        """Puts a step back whose worker has ended in the middle; another one begins it again."""
        worker.process.join()
        self.workers.remove(worker)
        how = f"the process that worked on it ended by itself (exit code {worker.process.exitcode})"
        if queue.begun[step.key] >= TRIES:
            raise ComposerError(
                f"{step.title}: {how}, {TRIES} times; -9 mostly means that memory ran out: take fewer --workers"
            )
        log.warning("%s: %s; it is begun again", step.title, how)
        queue.waiting = {step.key: step, **queue.waiting}


def threads_each(workers: int, cores: int) -> int:
    """How many threads a worker has, so that all together have the machine."""
    return max(1, cores // workers)
