"""Where steps are worked at once: steps of one or more plans, each as soon as what it needs is in the store."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from composer.errors import ComposerError
from composer.running.elsewhere import Ended, Logged, Message, Progress
from composer.running.step import Step

log = logging.getLogger("composer")

TRIES = 2
"""How often a step is begun whose worker ends in the middle: the second time it is the step's own doing."""


class Executor(ABC):
    """Works steps at once, in other processes, here or elsewhere; results go into the store.

    A worker calls `work_elsewhere` with the step, and hands on what that says and returns.
    """

    @property
    @abstractmethod
    def has_room(self) -> bool:
        """Whether another step can be begun now."""

    @abstractmethod
    def begin(self, step: Step) -> None:
        """Begins a step; all that it needs is in the store."""

    @abstractmethod
    def hear(self) -> Iterable[tuple[Step, Message]]:
        """Waits a while for what is said of the steps that were begun; the last of each is an `Ended`."""

    @abstractmethod
    def close(self) -> None:
        """Ends all that is still at work."""


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

    def again(self, step: Step, how: str) -> None:
        """Puts a step back whose worker has ended in the middle; ComposerError where that was its last try."""
        if self.begun[step.key] >= TRIES:
            memory = "-9 mostly means that memory ran out: take fewer --workers"
            raise ComposerError(f"{step.title}: {how}, {TRIES} times; {memory}")
        log.warning("%s: %s; it is begun again", step.title, how)
        self.waiting = {step.key: step, **self.waiting}


def work_at_once(
    steps: Sequence[Step],
    executor: Executor,
    started: Callable[[Step], None],
    told: Callable[[Step, Progress], None],
) -> Iterator[tuple[Step, Ended]]:
    """Works steps, given in an order in which each comes after those that it needs; yields each that has ended.

    Inputs that are none of `steps` are in the store. A step that fails, and those that need it, are left.
    ComposerError where a worker ends in the middle of one step twice.
    """
    queue = Queue.of(steps)
    at_work: set[str] = set()
    while True:
        while executor.has_room and (step := queue.next()) is not None:
            if queue.begun[step.key] == 1:
                started(step)
            executor.begin(step)
            at_work.add(step.key)
        if not at_work:
            return
        for step, message in executor.hear():
            if isinstance(message, Progress):
                told(step, message)
            elif isinstance(message, Logged):
                log.log(message.level, "%s", message.message)
            else:
                at_work.discard(step.key)
                if message.status == "lost":
                    queue.again(step, message.message)
                    continue
                if message.status == "computed":
                    queue.open.discard(step.key)
                yield step, message
