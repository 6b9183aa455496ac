"""A search that learns from its trials: what Optuna's tree-structured Parzen estimator suggests next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, IntDistribution
from optuna.trial import Trial, TrialState, create_trial

from composer_clustering.space import Grid


class Suggested:
    """A plan of `search`: combinations that the estimator (Bergstra et al. 2011) suggests, each once, the base first.

    In place of a suggestion that was tried before comes an untried combination that differs from it on the fewest axes,
    of equals one that is drawn. The study lies in memory. It is a function of the seed and of what it is told, so that
    whoever tells it the same again, as `search` does with what was kept, goes on where it was.
    """

    def __init__(self, grid: Grid, trials: int, seed: int) -> None:
        self.grid = grid
        self.planned = min(trials, len(grid.options))
        self.drawn: list[int] = np.random.default_rng(seed).permutation(len(grid.options)).tolist()
        self.places = {number: places for places, number in reversed(list(grid.numbers.items()))}
        self.known: dict[int, float] = {}
        self.asked: Trial | None = None
        self.distributions = _distributions(grid)
        with _silent():
            sampler = optuna.samplers.TPESampler(seed=seed % 2**32, multivariate=False)
            self.study = optuna.create_study(direction="maximize", sampler=sampler)

    def __len__(self) -> int:
        return self.planned

    def __iter__(self) -> Iterator[int]:
        for place in range(self.planned):
            yield self._next() if place else 0

    def told(self, number: int, worth: float) -> None:
        """Hears what the combination that it named last is worth."""
        self.known[number] = worth
        if self.asked is not None:
            self.study.tell(self.asked, worth)
            self.asked = None
        elif number in self.places:  # the base's own options may lie on no axis
            params = dict(zip(self.distributions, self.places[number], strict=True))
            self.study.add_trial(create_trial(params=params, distributions=dict(self.distributions), value=worth))

    def _next(self) -> int:
        trial = self.study.ask(dict(self.distributions))
        places = tuple(trial.params[name] for name in self.distributions)
        number = self.grid.numbers[places]
        if number not in self.known:
            self.asked = trial
            return number
        self.study.tell(trial, state=TrialState.FAIL)  # of what is known nothing more is learned
        return min((number for number in self.drawn if number not in self.known), key=partial(self._differs, places))

    def _differs(self, places: tuple[int, ...], number: int) -> int:
        """On how many axes a combination lies elsewhere; on all and more where it lies on none."""
        own = self.places.get(number)
        return len(places) + 1 if own is None else sum(map(int.__ne__, own, places))


def _distributions(grid: Grid) -> Mapping[str, BaseDistribution]:
    """A place on every axis, where neighbours are alike only if the axis holds numbers in their order."""
    return {
        f"axis {number}": IntDistribution(0, len(axis) - 1) if ordered else CategoricalDistribution(range(len(axis)))
        for number, (axis, ordered) in enumerate(zip(grid.axes, grid.ordered, strict=True))
    }


@contextmanager
def _silent() -> Iterator[None]:
    """The library says nothing of a new study, and afterwards what it said before."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)
