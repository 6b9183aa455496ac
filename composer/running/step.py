"""A step of a plan as plain data: which function works, on what, and under which key the result is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from composer.component import Component
from composer.interfaces import Split
from composer.running.cache import component_identity, digest, stage_seed
from composer.running.code import core_digest
from composer.version import __version__


@dataclass(frozen=True, eq=False)
class Step:
    """One stage of a plan. It can be pickled, and worked in another process by `worker.work`.

    name decides the seed; subject is what the result is for, and says it to people.
    verb: `module:function`, called with the step, the values of `inputs` and a `Run`.
    about: what the verb is told beside its inputs; it is part of the key, and JSON can hold it.
    files: those that the step reads, where the component's own list is too long.
    pictures, kernels, parents: steps whose results `run.pictures`, `run.kernels` and `run.parents` hold.
    learned: a step whose result `run.learned` holds.
    split: which pictures an image source is asked for. log_odds: whether a population must have them; it changes no
    result, and so is no part of the key.
    own: whether the result is the component's own, and is looked at.
    joins: whether it only puts together what `inputs` made of parts of it, and recorded on the way.
    """

    name: str
    subject: str
    component: Component
    verb: str
    recipe_seed: int
    inputs: tuple[Step, ...] = ()
    pictures: tuple[Step, ...] = ()
    kernels: tuple[Step, ...] = ()
    parents: tuple[Step, ...] = ()
    learned: Step | None = None
    about: Mapping[str, Any] = field(default_factory=dict)
    files: tuple[Path, ...] | None = None
    split: Split | None = None
    log_odds: bool = False
    own: bool = True
    joins: bool = False

    @property
    def needs(self) -> tuple[Step, ...]:
        """All steps whose results it works on."""
        return (*self.inputs, *self.pictures, *self.kernels, *self.parents, *filter(None, [self.learned]))

    @property
    def seed(self) -> int:
        """Its own, by its name and the recipe's."""
        return stage_seed(self.recipe_seed, self.name)

    @cached_property
    def read_files(self) -> tuple[Path, ...]:
        """The files that it reads."""
        return tuple(self.component.files()) if self.files is None else self.files

    @cached_property
    def places(self) -> str:
        """Where its files lie, which decides no result: hashed, to be told from files of the same content elsewhere."""
        return digest([str(file.absolute()) for file in self.read_files]) if self.read_files else ""

    @cached_property
    def identity(self) -> dict[str, Any]:
        """All that the result depends on."""
        return {
            "stage": self.name,
            **component_identity(self.component, self.read_files),
            "about": dict(self.about),
            "seed": self.seed,
            "inputs": [step.key for step in self.inputs],
            "pictures": [step.key for step in self.pictures],
            "kernels": [step.key for step in self.kernels],
            "parents": [step.key for step in self.parents],
            "learned": self.learned and self.learned.key,
            "composer": [__version__, core_digest()],
        }

    @cached_property
    def key(self) -> str:
        """Where its result is kept: sha256 of all that the result depends on."""
        return digest(self.identity)

    @property
    def makers(self) -> tuple[Step, ...]:
        """The steps that did the work: what they warned of, measured and drew is this one's."""
        return self.inputs if self.joins else (self,)

    @property
    def title(self) -> str:
        """`population.black for black`, as messages name it."""
        return f"{self.name} for {self.subject}"


def in_order(last: Iterator[Step]) -> list[Step]:
    """Steps with all that they need, each after those that it works on, each once."""
    found: dict[str, Step] = {}

    def visit(step: Step) -> None:
        if step.key not in found:
            for other in step.needs:
                visit(other)
            found[step.key] = step

    for step in last:
        visit(step)
    return list(found.values())
