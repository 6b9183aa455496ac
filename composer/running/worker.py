"""Works one step, in this process or in another: all that it needs is the step, its inputs and the plugins."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from typing import Any

from composer.data.figures import Figure
from composer.data.images import Keeper
from composer.data.population import Population
from composer.data.run import Run, nowhere
from composer.errors import ComposerError, PluginError
from composer.registry import Registry, load_registry
from composer.running.boundary import first_fault, overhearing, run_faults
from composer.running.devices import exact
from composer.running.memory import device_memory, exhausted, is_exhaustion, watch_device
from composer.running.step import Step
from composer.running.storage import Value


@dataclass(frozen=True)
class Work:
    """What a step has made, and what it recorded on the way. facts: as the store keeps them beside the value."""

    value: Value
    facts: Mapping[str, Any]
    figures: Mapping[str, Figure]


def work(
    step: Step,
    inputs: Mapping[str, Value],
    device: str = "cpu",
    registry: Registry | None = None,
    progress: Callable[[str, int, int], None] = nowhere,
    keeper: Keeper | None = None,
) -> Work:
    """Works a step; its result is looked at before anybody keeps it.

    inputs: the values of `step.needs` by key. keeper: where it may keep what it needs to go on after it was killed.
    ComposerError for what the user can mend; PluginError for anything else that a component raises.
    """
    registry = registry or load_registry()
    pictures: Any = tuple(inputs[other.key] for other in step.pictures)
    kernels: Any = tuple(inputs[other.key] for other in step.kernels)
    parents: Any = tuple(inputs[other.key] for other in step.parents)
    learned: Any = None if step.learned is None else inputs[step.learned.key]
    given = [inputs[other.key] for other in step.inputs]
    run = Run(step.seed, device, pictures, kernels, progress, keeper=keeper, parents=parents)
    if learned is not None:
        run = replace(run, learned=learned.content)
    started, worked = time.perf_counter(), time.process_time()
    watch_device(device)
    value = _worked(step, given, run, registry)
    require(step, value)
    facts = {
        "identity": step.identity,
        "subject": step.subject,
        "places": step.places,
        "device": device,
        "seconds": round(time.perf_counter() - started, 3),
        "processor_seconds": round(time.process_time() - worked, 3),
        "device_memory": device_memory(device),
        "warnings": run.warnings,
        "measured": run.measured,
    }
    return Work(value, facts, run.figures)


def require(step: Step, value: Value) -> None:
    """ComposerError where a population has no log-odds and the recipe needs them; of kept results too."""
    if step.log_odds and isinstance(value, Population) and not value.has_head:
        raise ComposerError(value.why_no_log_odds)


def _worked(step: Step, inputs: Sequence[Value], run: Run, registry: Registry) -> Value:
    """What a component makes, looked at."""
    verb = resolve_name(step.verb)
    try:
        with overhearing() as overheard, exact(run.device, run.warn):
            value: Value = verb(step, inputs, run)
    except (ComposerError, KeyboardInterrupt):
        raise
    except BaseException as error:  # a component that calls sys.exit() is broken too
        if is_exhaustion(error):
            raise ComposerError(exhausted(error, step.component, run.device)) from error
        raise PluginError(f"this is {registry.bug(error, step.component)}") from error
    plugin = registry.offering(type(step.component)) or f"the component {step.component.name!r}"
    fault = first_fault(step.component, value, inputs, step.split) if step.own else None
    if fault:
        raise ComposerError(f"{plugin} returned {fault}")
    for fault in run_faults(run):
        raise ComposerError(f"{plugin} {fault}")
    if overheard.beginning.strip():
        run.warn(f"{plugin} printed, which only the command should: {overheard.beginning.strip()!r}")
    return value
