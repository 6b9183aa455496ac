"""Computes the stages of a plan, each at most once, or reads their results from the cache."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from composer.errors import ComposerError, PluginError
from composer.hookspecs import Stage
from composer.images import Images
from composer.registry import Registry
from composer.run import Run
from composer.running.boundary import first_fault, overhearing, run_faults
from composer.running.cache import StageCache
from composer.running.plan import Plan, Step
from composer.running.storage import Value
from composer.running.watching import Watchers
from composer.running.writes import noting_writes


class Engine:
    """Computes steps, or reads their results from the cache, and tells the watchers.

    draws: whether figures are drawn, which takes longer than many a stage.
    """

    def __init__(
        self, cache: StageCache, device: str, registry: Registry, fresh: bool = False, draws: bool = True
    ) -> None:
        self.cache = cache
        self.draws = draws
        self.device = device
        self.registry = registry
        self.hook = Watchers(registry)
        self.fresh = fresh
        self.before = cache.last()
        self.results: dict[str, Value] = {}
        self.finished: dict[str, Stage] = {}
        self.identities: dict[str, dict[str, Any]] = {}

    def result(self, step: Step) -> Any:
        """The step's result, from memory, from the cache, or computed now."""
        if step.key not in self.results:
            kept = self._kept(step)
            self.results[step.key] = self._computed(step) if kept is None else kept
        return self.results[step.key]

    def forget(self, step: Step) -> None:
        """Lets go of a result in memory; the cache still has it."""
        self.results.pop(step.key, None)

    def complete(self, plan: Plan) -> None:
        """Computes what is missing or damaged of the steps that no later one asked for: the report tells of all."""
        for step in plan.steps():
            if step.key not in self.finished and not self.cache.whole(step.name, step.key):
                self.result(step)
                self.forget(step)

    def warnings(self, plan: Plan) -> list[str]:
        """What the stages of a finished plan warned of, now or when they were computed."""
        found = []
        for step in plan.steps():
            facts = self.cache.facts(step.name, step.key) or {}
            found += [f"{step.title}: {message}" for message in facts.get("warnings", ())]
        return found

    def measured(self, step: Step) -> dict[str, list[float]]:
        """What a step measured on the way when it was computed, a value per member."""
        measured: dict[str, list[float]] = (self.cache.facts(step.name, step.key) or {}).get("measured", {})
        return measured

    def _kept(self, step: Step) -> Value | None:
        made_now = step.key in self.finished
        if self.fresh and not made_now:
            return None
        started = time.perf_counter()
        value = self.cache.load(step.name, step.key)
        if value is None:
            return None
        if not made_now:
            stage = Stage(step.name, step.subject, "kept", seconds=time.perf_counter() - started)
            self._finish(step, stage)
        return value

    def _computed(self, step: Step) -> Value:
        inputs = [self.result(other) for other in step.inputs]
        pictures = tuple(self.result(other) for other in step.pictures)
        kernels = tuple(self.result(other) for other in step.kernels)
        stage = Stage(step.name, step.subject, reason=self._reason(step))
        self.hook.composer_stage_started(stage=stage)

        def progress(what: str, done: int, total: int) -> None:
            self.hook.composer_stage_progress(stage=stage, what=what, done=done, total=total)

        run = Run(step.seed, self.device, pictures, kernels, progress)
        started = time.perf_counter()
        try:
            value = self._worked(step, inputs, run)
            seconds = time.perf_counter() - started
            facts = {
                "identity": step.identity,
                "subject": step.subject,
                "device": self.device,
                "seconds": round(seconds, 3),
                "warnings": run.warnings,
                "measured": run.measured,
            }
            self.cache.store(step.name, step.key, value, facts, run.figures if self.draws else {})
        except (ComposerError, PluginError) as error:
            self._finish(step, replace(stage, status="failed", seconds=time.perf_counter() - started))
            raise told(error, step.title) from (error.__cause__ or error)
        if isinstance(value, Images):
            value.folder = self.cache.path(step.name, step.key)
        memory = peak_memory()
        self._finish(step, replace(stage, status="computed", seconds=seconds, peak_memory=memory))
        return value

    def _worked(self, step: Step, inputs: Sequence[Value], run: Run) -> Value:
        """What a component makes, looked at; PluginError for what it raises that is no ComposerError."""
        try:
            with overhearing() as overheard, noting_writes(self.cache.folder.parent) as written:
                value = step.work(*inputs, run)
        except (ComposerError, KeyboardInterrupt):
            raise
        except BaseException as error:  # a component that calls sys.exit() is broken too
            raise PluginError(f"this is {self.registry.bug(error, step.component)}") from error
        plugin = self.registry.offering(type(step.component)) or f"the component {step.component.name!r}"
        fault = first_fault(step.component, value, inputs, step.split) if step.verb else None
        if fault:
            raise ComposerError(f"{plugin} returned {fault}")
        for fault in run_faults(run):
            raise ComposerError(f"{plugin} {fault}")
        for file in written:
            run.warn(f"{plugin} wrote {file}, which is outside the run's folder; run.figure() and results are kept")
        if overheard.beginning.strip():
            run.warn(f"{plugin} printed, which only the command should: {overheard.beginning.strip()!r}")
        return value

    def _finish(self, step: Step, stage: Stage) -> None:
        self.finished[step.key] = stage
        self.identities[step.title] = step.identity
        self.hook.composer_stage_finished(stage=stage)

    def _reason(self, step: Step) -> str:
        """Why a step has to be computed, by what the run before made it from."""
        if self.fresh:
            return "asked for afresh"
        if self.cache.path(step.name, step.key) in self.cache.damaged:
            return "what was kept is damaged"
        before = self.before.get(step.title)
        if before is None:
            return "new"
        changed = [part for part, value in step.identity.items() if before.get(part) != value]
        return f"changed: {', '.join(changed)}" if changed else "not kept"


def told(error: ComposerError | PluginError, where: str) -> ComposerError | PluginError:
    """The error that says where it arose."""
    kind = PluginError if isinstance(error, PluginError) else ComposerError
    return kind(f"{where}: {error}")


def peak_memory() -> int:
    """Bytes of memory that this process held at its fullest; 0 where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows has no such figure
        return 0
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
