"""An executor on a cluster: each step is a task of Ray's, and results come back through the store that all share."""

from __future__ import annotations

import logging
import pickle
import socket
import uuid
from collections.abc import Iterator
from typing import Any

import ray
from ray.exceptions import NodeDiedError, OutOfMemoryError, RayError, WorkerCrashedError
from ray.util.queue import Empty, Queue

from composer import ComposerError, Ended, Executor, Place, Step
from composer_ray.task import Errand, worked

ANSWER = 10.0
"""Seconds in which a cluster has to answer."""
PATIENCE = 0.3
"""Seconds between two looks at how far the tasks are."""


class Cluster(Executor):
    """Works every step as a task of its own, as many at once as the cluster has room for.

    A task takes as many cores as the place has threads and, on a GPU, its share of one. ComposerError where the cluster
    is not to be had, or is one of another version of Ray or Python.
    """

    def __init__(self, place: Place, workers: int, address: str) -> None:
        self.place = place
        self.sign = place.store / f".seen by ray {uuid.uuid4().hex}"
        self.tasks: dict[ray.ObjectRef[Ended], Step] = {}
        _require_answer(address)
        try:
            ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray raises the class itself where its machine is too slow to start
            raise ComposerError(f"--executor ray{address and f':{address}'}: {_first_line(error)}") from error
        place.store.mkdir(parents=True, exist_ok=True)
        self.sign.touch()
        self.messages = Queue(actor_options={"num_cpus": 0})
        on_gpu = 1 / workers if place.device == "cuda" else 0
        self.task = ray.remote(num_cpus=place.threads, num_gpus=on_gpu, max_retries=0)(worked)
        self._refuse_steps_that_fit_nowhere()

    @property
    def has_room(self) -> bool:
        return True  # Ray keeps what it has no room for yet

    def begin(self, step: Step) -> None:
        errand = Errand(pickle.dumps(step), self.place, self.sign)
        self.tasks[self.task.remote(errand, self.messages)] = step

    def hear(self) -> Iterator[tuple[Step, Any]]:
        ended, _ = ray.wait(list(self.tasks), timeout=PATIENCE)
        yield from self._said()
        for task in ended:
            step = self.tasks.pop(task)
            yield step, self._outcome(task)

    def close(self) -> None:
        for task in self.tasks:
            ray.cancel(task, force=True)
        self.tasks.clear()
        self.sign.unlink(missing_ok=True)
        ray.shutdown()

    def _said(self) -> Iterator[tuple[Step, Any]]:
        """What the tasks have said of themselves meanwhile."""
        steps = {step.key: step for step in self.tasks.values()}
        while True:
            try:
                key, message = self.messages.get_nowait()
            except Empty:
                return
            if key in steps:
                yield steps[key], message

    def _outcome(self, task: ray.ObjectRef[Ended]) -> Ended:
        try:
            ended: Ended = ray.get(task)
        except (WorkerCrashedError, NodeDiedError) as error:
            return Ended("lost", f"the worker of Ray's that worked on it ended by itself ({type(error).__name__})")
        except OutOfMemoryError:
            return Ended("lost", "Ray ended the worker, as its machine had little memory left")
        except RayError as error:
            raise ComposerError(f"--executor ray: {_first_line(error)}; what was finished is kept") from error
        return ended

    def _refuse_steps_that_fit_nowhere(self) -> None:
        nodes: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        largest = max((node["Resources"].get("CPU", 0) for node in nodes if node["Alive"]), default=0)
        if largest < self.place.threads:
            self.close()
            raise ComposerError(
                f"--executor ray: a stage takes {self.place.threads} cores, and no machine of the cluster has more "
                f"than {largest:.0f}; share the machine among more --workers"
            )


def _require_answer(address: str) -> None:
    """ComposerError where nobody answers at `HOST:PORT`: Ray itself would ask for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not (host and port.isdigit()):  # `auto`, or a name that Ray knows
        return
    try:
        socket.create_connection((host, int(port)), ANSWER).close()
    except (OSError, OverflowError) as error:
        raise ComposerError(f"--executor ray:{address}: no cluster answers there ({error})") from error


def _first_line(error: BaseException) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)
