"""A search that tries options one after the other: seeded, bounded in time, and resumed where it was broken off."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
EVERY = 5.0
"""Seconds after which what was tried is kept anew."""


class Kept(Protocol):
    """Where the worth of trials is kept: what was kept before, and what is to be kept from now on."""

    def before(self) -> dict[int, float]:
        """Number of a combination -> its worth."""

    def keep(self, values: dict[int, float]) -> None:
        """Keeps the worth of all combinations that were tried."""


@dataclass(frozen=True)
class Found:
    """What a search has tried: numbers of combinations in the order in which they were tried, and their worth."""

    tried: Sequence[int]
    worth: Sequence[float]
    planned: int

    @property
    def best(self) -> int:
        """The combination with the highest worth, of equals the first."""
        return self.tried[int(np.argmax(self.worth))]


def order_of(count: int, by: str, trials: int, seed: int) -> list[int]:
    """Which of `count` combinations are tried: the first of all, and then some drawn, or evenly spaced ones."""
    others = min(trials, count) - 1
    if by == "grid":
        return [0, *(1 + index * (count - 1) // others for index in range(others))]
    drawn = np.random.default_rng(seed).permutation(count - 1)[:others] + 1
    return [0, *map(int, drawn)]


class Plan(Protocol):
    """Which combinations are tried, one after the other: a plan may wait with the next for what the last is worth."""

    def __iter__(self) -> Iterator[int]:
        """The combinations, each once."""

    def __len__(self) -> int:
        """How many there will be."""

    def told(self, number: int, worth: float) -> None:
        """Hears what the combination that it named last is worth."""


@dataclass(frozen=True)
class Fixed:
    """A plan that was made before anything was tried."""

    order: Sequence[int]

    def __iter__(self) -> Iterator[int]:
        return iter(self.order)

    def __len__(self) -> int:
        return len(self.order)

    def told(self, number: int, worth: float) -> None:
        """Nothing is learned."""


Progress = Callable[[Plan], Iterable[int]]
"""Shows how far a plan has come; gives its combinations on, one by one."""


def search(
    plan: Plan, worth: Callable[[int], float], until: float | None, kept: Kept, progress: Progress = iter
) -> Found:
    """Tries the combinations of a plan until `until` (of time.monotonic), the first at least.

    What was kept before is not tried again, but told to the plan as if it had been: a search that was broken off goes
    on as it would have gone.
    """
    values = kept.before()
    tried: list[int] = []
    written = time.monotonic()
    for number in progress(plan):
        if tried and until is not None and number not in values and time.monotonic() > until:
            break
        if number not in values:
            values[number] = worth(number)
            if time.monotonic() - written > EVERY:
                kept.keep(values)
                written = time.monotonic()
        tried.append(number)
        plan.told(number, values[number])
    kept.keep(values)
    return Found(tried, [values[number] for number in tried], len(plan))
