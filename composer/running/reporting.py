"""What a run found, as plain data: the content of report.json and run.json."""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import numpy as np

from composer.data.expressions import cell_names
from composer.data.images import Images
from composer.data.score_info import Declared
from composer.data.scores import Pick, Report, Score
from composer.hookspecs import Stage
from composer.judging import comparison, gain
from composer.judging.declared import declared_scores
from composer.recipes.recipe import Composition, Recipe, placed_components, why_no_oracle, why_not_judged
from composer.registry import Registry
from composer.running.sealing import file_digest
from composer.running.versions import versions
from composer.version import __version__


@dataclass(frozen=True)
class Judged:
    """One composition with everything the evaluators said of it, and what the page shows of it."""

    composition: Composition
    members: int
    names: Sequence[str]
    parameters: int
    labels: int
    pick: Pick | None
    reports: Mapping[str, Report]
    shown: Mapping[str, Any]


@dataclass(frozen=True)
class Parent:
    """One concept's population: what its source measured, a value per member, and how it does on the test pictures."""

    members: int
    parameters: int
    measured: Mapping[str, Sequence[float]]
    report: Report


@dataclass(frozen=True)
class Oracle:
    """A network trained on labelled target pictures, and the parents alone, judged in the same way.

    score: what composition gain is measured in, `LABEL.NAME`.
    """

    members: int
    parameters: int
    report: Report
    parents: Mapping[str, Report]
    score: str


def oracle_facts(
    recipe: Recipe, oracle: Oracle | None, judged: Sequence[Judged], cells: Sequence[str]
) -> dict[str, Any] | None:
    """The oracle and the gain of every composition and control; None where the recipe asks for no oracle."""
    if not recipe.oracle:
        return None
    if oracle is None:
        missing = "no oracle: no evaluator declares a score that composition gain can be measured in"
        return {"trained": False, "why": why_no_oracle(recipe) or missing}
    label, _, measure = oracle.score.partition(".")
    scores = {arm.composition.name: arm.reports[label].scores if label in arm.reports else {} for arm in judged}
    parents = {concept: said.scores for concept, said in oracle.parents.items()}
    found = gain.gains(scores, parents, oracle.report.scores, cells, measure)
    return {
        "trained": True,
        "why": "",
        "score": oracle.score,
        "members": oracle.members,
        "parameters": oracle.parameters,
        "scores": _named_facts(label, oracle.report),
        "parents": {concept: _named_facts(label, said) for concept, said in oracle.parents.items()},
        "gains": {name: one.facts() for name, one in found.items()},
    }


def _named_facts(label: str, said: Report) -> dict[str, Any]:
    return {f"{label}.{name}": score_facts(score) for name, score in said.scores.items()}


def report(
    recipe: Recipe,
    images: Images | None,
    judged: Sequence[Judged],
    parents: Mapping[str, Parent],
    warnings: Sequence[str],
) -> dict[str, Any]:
    """The content of report.json; docs/report.md describes it."""
    declared = declared_scores(recipe.evaluators)
    beside = beside_controls(judged, images, declared)
    return {
        "name": recipe.name,
        "concepts": list(recipe.names),
        "target": str(recipe.target),
        "seed": recipe.seed,
        "version": __version__,
        "images": None if images is None else picture_facts(images, recipe.names),
        "not_judged": why_not_judged(recipe),
        "declared": {name: info.facts() for name, info in declared.items()},
        "parents": {concept: parent_facts(parent) for concept, parent in parents.items()},
        "compositions": {
            arm.composition.name: {
                "control": arm.composition.control,
                "members": arm.members,
                "parameters": arm.parameters,
                "labels": arm.labels,
                "picked_member": arm.pick.member if arm.pick else 0,
                "picked_by": arm.pick.by if arm.pick else "",
                "dead": arm.pick.dead if arm.pick else 0,
                "scores": {
                    f"{label}.{name}": score_facts(score) | beside.facts(arm.composition, f"{label}.{name}")
                    for label, said in arm.reports.items()
                    for name, score in said.scores.items()
                },
            }
            for arm in judged
        },
        "comparisons": [one.facts() for one in beside.comparisons],
        "warnings": list(warnings),
    }


def picture_facts(images: Images, concepts: Sequence[str]) -> dict[str, Any]:
    """How many test pictures there are, and of what."""
    cells = images.cells
    return {
        "count": len(images),
        "positives": int(images.target.sum()),
        "cells": {cell: cells.count(cell) for cell in cell_names(concepts) if cell in cells},
    }


@dataclass(frozen=True)
class BesideControls:
    """What every score of a composition is worth beside the controls' of the same name."""

    scores: comparison.Scores
    controls: tuple[str, ...]
    comparisons: Sequence[comparison.Comparison]

    def facts(self, arm: Composition, name: str) -> dict[str, Any]:
        """What report.json adds to one score of a composition; nothing for a control's."""
        if arm.control:
            return {}
        score = self.scores[arm.name][name]
        best = comparison.best_of_as_many(score, name, self.scores, self.controls)
        lucky = comparison.by_luck(best, arm.assembler.name, score.higher_is_better)
        return {
            "best_of_controls": best,
            "best_by_luck": lucky[1] if lucky else None,
            "best_by_luck_of": lucky[0] if lucky else None,
            "beats_controls": comparison.beats_controls(self.comparisons, arm.name, name, score),
        }


def beside_controls(judged: Sequence[Judged], images: Images | None, declared: Declared) -> BesideControls:
    """Compares all compositions with all controls."""
    scores = {
        arm.composition.name: {
            f"{label}.{name}": score for label, said in arm.reports.items() for name, score in said.scores.items()
        }
        for arm in judged
    }
    controls = tuple(arm.composition.name for arm in judged if arm.composition.control)
    compared = [] if images is None else comparison.compare(scores, controls, images.cells, declared)
    return BesideControls(scores, controls, compared)


def parent_facts(parent: Parent) -> dict[str, Any]:
    """One parent as report.json shows it."""
    return {
        "members": parent.members,
        "parameters": parent.parameters,
        "measured": {
            name: {"median": median(values), "lowest": min(values), "highest": max(values)}
            for name, values in parent.measured.items()
            if values
        },
        "scores": {name: score_facts(score) for name, score in parent.report.scores.items()},
    }


def score_facts(score: Score) -> dict[str, Any]:
    """One score as report.json shows it."""
    interval = score.interval
    low, high = np.percentile(score.values, [25, 75])
    return {
        "judged": len(score.values),
        "median": score.median,
        "quartiles": [float(low), float(high)],
        "picked": float(score.values[score.picked]),
        "picked_by": score.picked_by,
        "picked_member": score.member(score.picked),
        "best": score.best,
        "best_member": score.member(score.best_member),
        "interval": list(interval) if interval else None,
        "labels": score.labels,
        "base": score.base,
        "higher_is_better": score.higher_is_better,
    }


def provenance(
    recipe: Recipe, device: str, stages: Sequence[Stage], seconds: float, registry: Registry
) -> dict[str, Any]:
    """The content of run.json: with what, when, how long and how much memory."""
    source = recipe.path
    return {
        "finished": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "recipe": source.name,
        "recipe_file": [str(source.absolute()), file_digest(source)] if source.is_file() else None,
        "seed": recipe.seed,
        "device": device,
        "seconds": round(seconds, 2),
        "peak_memory": max((stage.peak_memory for stage in stages), default=0),
        "device_memory": max((stage.device_memory for stage in stages), default=0),
        "versions": versions(_plugin_distributions(recipe, registry)),
        "document": dict(recipe.document),
        "stages": [
            {key: round(value, 3) if key == "seconds" else value for key, value in asdict(stage).items()}
            for stage in stages
        ],
    }


def _plugin_distributions(recipe: Recipe, registry: Registry) -> list[str]:
    """The distributions, composer's own left out, whose components the recipe names."""
    used = {type(component) for _, component in placed_components(recipe)}
    own = {plugin.distribution for component, plugin in registry.components() if component in used}
    return sorted(own - {"kernel-composer"})
