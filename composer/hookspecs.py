"""The hooks of a plugin: some offer what composer can do, the others watch a run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pluggy

if TYPE_CHECKING:
    from composer.component import Component

PROJECT = "composer"
spec = pluggy.HookspecMarker(PROJECT)
hook = pluggy.HookimplMarker(PROJECT)
"""Marks a function of a plugin's module as an implementation of one of the hooks below."""


@dataclass(frozen=True)
class Stage:
    """One step of a run, as watchers see it."""

    name: str
    """`population.black`, `translate.cyclegan`, `evaluate.clusters`."""
    subject: str
    """What it is done for: a concept, or a composition."""
    status: Literal["running", "computed", "kept", "failed"] = "running"
    """`kept`: read from the store, because nothing it depends on has changed."""
    reason: str = ""
    """Why it was computed: `new`, `changed: options`, ..."""
    seconds: float = 0.0
    peak_memory: int = 0
    """Peak resident memory of the process so far, in bytes."""
    device_memory: int = 0
    """Bytes of the GPU's memory that tensors took at once while it was computed; 0 on the CPU and of kept stages."""


@spec
def composer_components() -> Iterable[type[Component]]:
    """The component classes that this plugin offers. Keep torch out of the module that declares them."""
    raise NotImplementedError


@spec
def composer_executors() -> Mapping[str, Any]:
    """Name -> what opens a `composer.Executor`, which works the stages of a run at once, here or elsewhere.

    It is called with a `composer.Place`, with how many workers are to share a machine, and with the address that stands
    behind the name (`--executor NAME:ADDRESS`), or an empty text. Keep what it imports out of the module.
    """
    raise NotImplementedError


@spec(firstresult=True)
def composer_fetch(model: str, revision: str | None) -> tuple[Path, str] | None:
    """The folder of a model that is elsewhere, and where it came from in words; None for what this plugin cannot fetch.

    model: what stands where a path was asked for, such as `user/repo`. revision: which state of it is wanted.
    """


@spec
def composer_networks() -> Any:
    """The networks of a library, a `composer.NetworkLibrary`: inspected by their names, and recognised in files."""


@spec(firstresult=True)
def composer_understand(
    phrase: str, concepts: Sequence[Any], choose: Callable[[str, Sequence[str]], str] | None
) -> Any:
    """What a phrase asks for of a zoo's concepts, as a `composer.Understanding`; None for one in another language.

    concepts: each a `composer.Concept`. choose: asks somebody which of several concepts a word means; None where nobody
    can be asked. Raise `composer.PhraseError` for a phrase of which nothing can be made.
    """


@spec
def composer_stage_started(stage: Stage) -> None:
    """A stage is about to be computed (or its result read from the store)."""


@spec
def composer_stage_progress(stage: Stage, what: str, done: int, total: int) -> None:
    """A stage has come `done` of `total` steps far with `what`."""


@spec
def composer_stage_finished(stage: Stage) -> None:
    """A stage has ended; `stage.status` says how."""


@spec
def composer_run_finished(report: Mapping[str, Any], folder: Path) -> None:
    """The run is complete: the content of report.json, and the folder that holds everything."""
