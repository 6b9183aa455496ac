"""What a run found, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from composer.data.expressions import cell_name
from composer.data.records import target_of
from composer.data.score_info import read_declared, title_of
from composer.results import words


def target_words(report: Mapping[str, Any]) -> str:
    """`“black cat”`: the concepts of a conjunction one after the other, or the formula."""
    target = target_of(report)
    return f"“{' '.join(report['concepts']) if target == cell_name(report['concepts']) else target}”"


def summary(report: Mapping[str, Any], random_pairs: Sequence[Sequence[str]]) -> str:
    """The page's first sentence: how good the best composition is, what controls reach, and whether kernels helped."""
    made = [name for name, arm in report["compositions"].items() if not arm["control"]]
    if said := report.get("not_judged"):
        return f"Made: {words.listed(made)}, for {target_words(report)}. {said}"
    found = words.best_composition(report)
    if found is None:
        return f"Made, and scored by no evaluator: {words.listed(made)}, for {target_words(report)}."
    best, score = found
    value = f"{title_of(read_declared(report), score)} {_with_interval(report, best, score)}"
    parts = [
        f"{best} reaches {value} on pictures of {target_words(report)}",
        words.against_controls(report, best, score),
        _reached(report, score),
        *(words.kernels_verdict(report, *pair) for pair in random_pairs),
    ]
    return "; ".join(part for part in parts if part) + "."


def _reached(report: Mapping[str, Any], score: str) -> str:
    """`the best control, mean, reaches 0.94`."""
    rival = words.best_composition(report, control=True, score=score)
    if rival is None:
        return ""
    return f"the best control, {rival[0]}, reaches {report['compositions'][rival[0]]['scores'][score]['picked']:.2f}"


def _with_interval(report: Mapping[str, Any], name: str, score: str) -> str:
    facts = report["compositions"][name]["scores"][score]
    interval = facts["interval"]
    return f"{facts['picked']:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")
