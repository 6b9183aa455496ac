"""A component on trial: its example inputs, what it did with them, and the checks that look at that."""

from __future__ import annotations

import copy
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer.component import Component
from composer.data.images import Images
from composer.data.kernels import KernelSet
from composer.data.population import Population
from composer.data.run import Run
from composer.errors import ComposerError
from composer.testing.observing import Observation, observe

SEED = 7
"""Of every call; any seed would do."""
MAIN = "main"


class ContractError(AssertionError):
    """A component does not keep the contract of its kind; the message says which part, what was met, what to do."""


class NotCheckedError(ContractError):
    """A component could not be tried out: it refused the example inputs, or needs what cannot be made up."""


@dataclass(frozen=True)
class Case:
    """One call of a component's verb."""

    title: str
    """What it is called with: `2 parents of 3 members`."""
    inputs: tuple[Any, ...]
    """What stands before `run` in the call."""
    pictures: tuple[Images, ...] = ()
    kernels: tuple[KernelSet, ...] = ()
    parents: tuple[Population, ...] = ()


class Trial:
    """A component and what it does with each case; every case is called once, when a check first asks.

    result: the type that the verb gives. given: whether the author brought inputs of his own.
    """

    def __init__(
        self,
        component: Component,
        verb: Callable[..., Any],
        result: type[Any],
        cases: Mapping[str, Case],
        given: str,
        own: bool = False,
    ) -> None:
        self.component = component
        self.verb = verb
        self.result = result
        self.cases = cases
        self.given = given
        self.own = own
        self._observed: dict[tuple[str, bool], Observation] = {}

    @property
    def title(self) -> str:
        return title(type(self.component))

    def observed(self, case: str = MAIN, again: bool = False) -> Observation:
        """What happened in a case; `again`: in a second call that differs in the global random states alone."""
        if (case, again) not in self._observed:
            of = self.cases[case]
            inputs, pictures, kernels, parents = _fresh((of.inputs, of.pictures, of.kernels, of.parents))
            run = Run(seed=SEED, pictures=pictures, kernels=kernels, parents=parents)
            self._observed[case, again] = observe(self.verb, inputs, run, global_seed=2 if again else 1)
        return self._observed[case, again]

    def observations(self) -> Iterator[tuple[Case, Observation]]:
        """All cases with what happened."""
        for name, case in self.cases.items():
            yield case, self.observed(name)

    def worked(self) -> Iterator[tuple[Case, Any]]:
        """The cases that raised nothing, with what they gave; the main case always."""
        for name, case in self.cases.items():
            if name == MAIN or self.observed(name).error is None:
                yield case, self.value(name)

    def value(self, case: str = MAIN, again: bool = False) -> Any:
        """What a case gave.

        ContractError where it raised an error or gave something else than it should; NotCheckedError where the
        component refused the main case.
        """
        seen = self.observed(case, again)
        what = self.cases[case].title
        if isinstance(seen.error, ComposerError) and case == MAIN:
            mend = f"look at what is passed as {self.given}" if self.own else f"pass inputs that it takes: {self.given}"
            raise NotCheckedError(f"{self.title}: works: it refused {what}: {seen.error}; {mend}")
        if seen.error is not None:
            raise ContractError(f"{self.title}: works: with {what} it raised {raised(seen.error)}")
        if not isinstance(seen.value, self.result):
            met = type(seen.value).__name__
            raise ContractError(f"{self.title}: works: with {what} it gave {met}; give {self.result.__name__}")
        return seen.value


@dataclass(frozen=True)
class Check:
    """One part of a contract. `find` says what was met and what to do about it, or None where all is well."""

    name: str
    """`seed`: a word, for tables and test names."""
    promise: str
    """`same seed, same bytes`: what every component of the kind keeps."""
    find: Callable[[Trial], str | None]

    def __call__(self, trial: Trial) -> None:
        """ContractError where the component does not keep the promise."""
        found = self.find(trial)
        if found:
            raise ContractError(f"{trial.title}: {self.promise}: {found}")


def title(component: type[Component]) -> str:
    """`translator 'cyclegan'`."""
    return f"{component.noun} {component.name!r}"


def raised(error: BaseException) -> str:
    """An error on one line, with the place in the component where it arose."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    said = (str(error).splitlines() or [""])[0]
    return f"{type(error).__name__}: {said}{place}"


def _fresh(value: Any) -> Any:
    """A copy that nothing done before can have touched."""
    made = copy.deepcopy(value)
    for part in _flat(made):
        if isinstance(part, Population):
            part.forget_features()
    return made


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, list | tuple):
        for item in value:
            yield from _flat(item)
    else:
        yield value
