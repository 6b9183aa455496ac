"""What a run would do: which steps the store has, and how long the others took when they were last computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from glob import escape

from composer.running.cache import StageCache
from composer.running.plan import Plan
from composer.running.sealing import STAGE, read_sealed
from composer.running.step import Step


@dataclass(frozen=True)
class Forecast:
    """One step. seconds: that it took, where it is kept; else those of the last step of its name and subject."""

    step: Step
    kept: bool
    seconds: float | None
    """None where the store knows of none."""


def forecast(plan: Plan, store: StageCache) -> list[Forecast]:
    """Every step of a plan, each after those that it works on; nothing is computed, nor is its content looked at."""
    return [_of(step, store) for step in plan.steps()]


def to_compute(found: Sequence[Forecast]) -> tuple[int, float, int]:
    """(how many steps are not kept, the seconds that are known of them, of how many none are known)."""
    missing = [one for one in found if not one.kept]
    return len(missing), sum(one.seconds or 0.0 for one in missing), sum(one.seconds is None for one in missing)


def _of(step: Step, store: StageCache) -> Forecast:
    facts = store.facts(step.name, step.key)
    if facts is not None:
        return Forecast(step, True, facts["seconds"])
    before = store.folder.glob(f"{escape(step.name)}-*/{STAGE}")
    for file in sorted(before, key=lambda file: file.stat().st_mtime, reverse=True):
        known = read_sealed(file)
        if known is not None and known["subject"] == step.subject:
            return Forecast(step, False, known["seconds"])
    return Forecast(step, False, None)
