"""Computes the stages of a plan, each at most once, or reads their results from the store."""

from __future__ import annotations

import logging
import time
from collections.abc import MutableMapping, Sequence
from dataclasses import replace
from typing import Any

from composer.data.images import Images
from composer.errors import ComposerError, PluginError
from composer.hookspecs import Stage
from composer.registry import Registry
from composer.running.cache import StageCache
from composer.running.elsewhere import Ended, Progress
from composer.running.executors import Executor, work_at_once
from composer.running.memory import peak_memory
from composer.running.plan import Plan
from composer.running.step import Step
from composer.running.storage import Value
from composer.running.watching import Watchers
from composer.running.worker import require, work

log = logging.getLogger("composer")

Seen = MutableMapping[str, dict[str, Any]]
"""`stage for subject` -> what it was made from, in the run before; brought up to date as stages finish."""


class Engine:
    """Computes steps, or reads their results from the store, and tells the watchers."""

    def __init__(
        self, cache: StageCache, device: str, registry: Registry, fresh: bool = False, seen: Seen | None = None
    ) -> None:
        self.cache = cache
        self.device = device
        self.registry = registry
        self.hook = Watchers(registry)
        self.fresh = fresh
        self.seen: Seen = {} if seen is None else seen
        self.before = dict(self.seen)
        self.results: dict[str, Value] = {}
        self.finished: dict[str, Stage] = {}

    def result(self, step: Step) -> Any:
        """The step's result, from memory, from the store, or computed now."""
        if step.key not in self.results:
            kept = self._kept(step)
            self.results[step.key] = self._computed(step) if kept is None else kept
        return self.results[step.key]

    def missing(self, steps: Sequence[Step]) -> list[Step]:
        """Those whose results are neither in memory nor in the store."""
        return [step for step in steps if not self._there(step)]

    def work_ahead(self, missing: Sequence[Step], executor: Executor, onward: bool = False) -> None:
        """Lets others compute, several at once, what the store lacks; `result` finds it there.

        missing: steps, each after those that it works on. What cannot be worked so, as an input went from the store
        meanwhile, is left to `result`. Raises what the first step raised that failed; onward: goes on with the others,
        and leaves it too to `result`, which meets it again.
        """
        stages = {}

        def started(step: Step) -> None:
            stages[step.key] = Stage(step.name, step.subject, reason=self._reason(step))
            self.hook.composer_stage_started(stage=stages[step.key])

        def told_of(step: Step, at: Progress) -> None:
            self.hook.composer_stage_progress(stage=stages[step.key], what=at.what, done=at.done, total=at.total)

        for step, ended in work_at_once(missing, executor, started, told_of):
            if ended.status != "computed" and onward:
                continue
            self._worked_elsewhere(step, stages[step.key], ended)

    def _there(self, step: Step) -> bool:
        """Whether a result need not be computed; pictures are looked for where this recipe has them."""
        if step.split is not None:
            return step.key in self.results or self._took(step)
        return not self.fresh and self.cache.whole(step.name, step.key)

    def _took(self, step: Step) -> bool:
        kept = self._kept(step)
        if kept is not None:
            self.results[step.key] = kept
        return kept is not None

    def _worked_elsewhere(self, step: Step, stage: Stage, ended: Ended) -> None:
        if ended.status == "absent":
            log.warning("%s: %s has gone from the store; both are computed here", step.title, ended.message)
            return
        status: Any = "computed" if ended.status == "computed" else "failed"
        stage = replace(stage, peak_memory=ended.peak_memory, device_memory=ended.device_memory)
        self._finish(step, replace(stage, status=status, seconds=ended.seconds))
        if ended.status == "failed":
            raise told(ComposerError(ended.message), step.title)
        if ended.status == "broken":
            raise told(PluginError(ended.message), step.title) from ElsewhereError(ended.trace)

    def forget(self, step: Step) -> None:
        """Lets go of a result in memory; the store still has it."""
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
        found: dict[str, list[float]] = {}
        for maker in step.makers:
            for name, values in (self.cache.facts(maker.name, maker.key) or {}).get("measured", {}).items():
                found[name] = [*found.get(name, ()), *values]
        return found

    def _kept(self, step: Step) -> Value | None:
        made_now = step.key in self.finished
        if self.fresh and not made_now:
            return None
        started = time.perf_counter()
        value = self.cache.load(step.name, step.key)
        if value is None or (isinstance(value, Images) and self._elsewhere(step, value)):
            return None
        try:
            require(step, value)
        except ComposerError as error:
            raise told(error, step.title) from error
        if not made_now:
            stage = Stage(step.name, step.subject, "kept", seconds=time.perf_counter() - started)
            self._finish(step, stage)
        return value

    def _elsewhere(self, step: Step, images: Images) -> bool:
        """Whether kept pictures are decoded from another run's files, which may have changed since."""
        facts = self.cache.facts(step.name, step.key) or {}
        return images.native is None and facts.get("places") != step.places

    def _computed(self, step: Step) -> Value:
        inputs = {other.key: self.result(other) for other in step.needs}
        stage = Stage(step.name, step.subject, reason=self._reason(step))
        self.hook.composer_stage_started(stage=stage)

        def progress(what: str, done: int, total: int) -> None:
            self.hook.composer_stage_progress(stage=stage, what=what, done=done, total=total)

        started = time.perf_counter()
        try:
            unfinished = self.cache.unfinished(step.name, step.key, self.fresh)
            done = work(step, inputs, self.device, self.registry, progress, unfinished)
            self.cache.store(step.name, step.key, done.value, done.facts, done.figures, replace=self.fresh)
        except (ComposerError, PluginError) as error:
            self._finish(step, replace(stage, status="failed", seconds=time.perf_counter() - started))
            raise told(error, step.title) from (error.__cause__ or error)
        stage = replace(stage, peak_memory=peak_memory(), device_memory=done.facts["device_memory"])
        self._finish(step, replace(stage, status="computed", seconds=done.facts["seconds"]))
        for part in step.inputs if step.joins else ():
            self.forget(part)
        return done.value

    def _finish(self, step: Step, stage: Stage) -> None:
        self.finished[step.key] = stage
        self.seen[step.title] = step.identity
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


class ElsewhereError(Exception):
    """What a plugin raised in another process, as text."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


def told(error: ComposerError | PluginError, where: str) -> ComposerError | PluginError:
    """The error that says where it arose."""
    kind = PluginError if isinstance(error, PluginError) else ComposerError
    return kind(f"{where}: {error}")
