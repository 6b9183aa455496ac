"""Processes of this machine that work steps at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess

from composer.running.elsewhere import Ended, Message, Place, serve
from composer.running.executors import Executor
from composer.running.step import Step


@dataclass
class Worker:
    """A process, what it works on, and the way to talk to it."""

    process: SpawnProcess
    channel: Connection
    step: Step | None = None


class Processes(Executor):
    """As many processes as are asked for, made when they are needed."""

    def __init__(self, count: int, place: Place) -> None:
        self.place = place
        self.count = count
        self.workers: list[Worker] = []

    @property
    def has_room(self) -> bool:
        return len(self.workers) < self.count or any(worker.step is None for worker in self.workers)

    def begin(self, step: Step) -> None:
        worker = next((worker for worker in self.workers if worker.step is None), None) or self._made()
        worker.step = step
        with suppress(ConnectionError):  # it has just ended; `hear` finds out
            worker.channel.send(step)

    def hear(self) -> Iterator[tuple[Step, Message]]:
        busy = {worker.channel: worker for worker in self.workers if worker.step is not None}
        for channel in wait(list(busy)):
            worker = busy[channel]  # type: ignore[index]  # what was given comes back
            step = worker.step
            assert step is not None
            message = self._heard(worker)
            if isinstance(message, Ended):
                worker.step = None
            yield step, message

    def close(self) -> None:
        for worker in self.workers:
            worker.channel.close()
            if worker.step is not None:
                worker.process.terminate()
        for worker in self.workers:
            worker.process.join()
        self.workers.clear()

    def _made(self) -> Worker:
        ours, theirs = get_context("spawn").Pipe()
        process = get_context("spawn").Process(target=serve, args=(theirs, self.place))
        process.start()
        theirs.close()
        worker = Worker(process, ours)
        self.workers.append(worker)
        return worker

    def _heard(self, worker: Worker) -> Message:
        """What a worker says. One that has ended is let go of."""
        try:
            message: Message = worker.channel.recv()
        except (EOFError, ConnectionError):
            worker.process.join()
            self.workers.remove(worker)
            code = worker.process.exitcode
            return Ended("lost", f"the process that worked on it ended by itself (exit code {code})")
        return message


def threads_each(workers: int, cores: int) -> int:
    """How many threads a worker has, so that all together have the machine."""
    return max(1, cores // workers)
