"""What a run found, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from composer.data.expressions import cell_name
from composer.page.table import main_column
from composer.runs.records import target_of

Arms = Mapping[str, Mapping[str, Any]]
Comparisons = Sequence[Mapping[str, Any]]
"""Those of report.json, of one score."""


def target_words(report: Mapping[str, Any]) -> str:
    """`“black cat”`: the concepts of a conjunction one after the other, or the formula."""
    target = target_of(report)
    return f"“{' '.join(report['concepts']) if target == cell_name(report['concepts']) else target}”"


def summary(report: Mapping[str, Any], random_pairs: Sequence[Sequence[str]]) -> str:
    """The page's first sentence: how good the best composition is, what controls reach, and whether kernels helped."""
    arms: Arms = report["compositions"]
    made = {name: arm for name, arm in arms.items() if not arm["control"]}
    column = main_column(made)
    if said := report.get("not_judged"):
        return f"Made: {_listed(list(made))}, for {target_words(report)}. {said}"
    if column is None:
        return f"Made, and scored by no evaluator: {_listed(list(made))}, for {target_words(report)}."
    score, title = column
    best = _highest(made, score)
    controls = {name: arm for name, arm in arms.items() if arm["control"] and score in arm["scores"]}
    value = f"{title} {_with_interval(made[best]['scores'][score])}"
    comparisons = [one for one in report.get("comparisons", ()) if one["score"] == score]
    parts = [_lead(report, best, value, controls, comparisons)]
    reached = _reached(controls, score)
    parts += [reached] if reached else []
    parts += [
        _kernels(arms, score, comparisons, *pair)
        for pair in random_pairs
        if all(score in arms[name]["scores"] for name in pair)
    ]
    return "; ".join(parts) + "."


def _lead(report: Mapping[str, Any], best: str, value: str, controls: Arms, comparisons: Comparisons) -> str:
    reaches = f"{best} reaches {value} on pictures of {target_words(report)}"
    if not controls:
        return f"{reaches}; no control was run, so nobody knows what that is worth"
    own = {one["control"]: one["verdict"] for one in comparisons if one["composition"] == best}
    if not own:
        return f"{reaches}; too few pictures were resampled to say whether that is more than the controls reach"
    unbeaten = [control for control, verdict in own.items() if verdict != "better"]
    if not unbeaten:
        return f"{best} recognises pictures of {target_words(report)}: {value}"
    which = "any control" if len(unbeaten) == len(own) > 1 else _listed(unbeaten)
    return f"{reaches}, which is not shown to be better than {which}"


def _reached(controls: Arms, score: str) -> str:
    """`random kernels reach 0.71 and the best control, mean, 0.94`."""
    if not controls:
        return ""
    best = _highest(controls, score)
    random = [name for name in controls if name == "random" or name.startswith("random.")]
    if not random or best in random:
        return f"the best control, {best}, reaches {controls[best]['scores'][score]['picked']:.2f}"
    value, highest = (controls[name]["scores"][score]["picked"] for name in (random[0], best))
    return f"random kernels reach {value:.2f} and the best control, {best}, {highest:.2f}"


def _kernels(arms: Arms, score: str, comparisons: Comparisons, translated: str, random: str) -> str:
    """Whether translated kernels beat random ones: the test of the picked members and all medians must agree."""
    ours, theirs = (arms[name]["scores"][score]["median"] for name in (translated, random))
    pair = (translated, random)
    verdict = next((one["verdict"] for one in comparisons if (one["composition"], one["control"]) == pair), "unclear")
    named = f"the translated kernels ({translated})"
    if verdict == "better" and ours > theirs:
        return f"{named} are better than random ones"
    if verdict == "worse" and ours < theirs:
        return f"{named} are worse than random ones"
    if verdict != "unclear":
        return f"{named} are {verdict} than random ones in the picked member, not in the median one"
    return f"{named} are not shown to be better than random ones"


def _highest(arms: Arms, score: str) -> str:
    having = [name for name in arms if score in arms[name]["scores"]]
    return max(having, key=lambda name: float(arms[name]["scores"][score]["picked"]))


def _with_interval(score: Mapping[str, Any]) -> str:
    interval = score["interval"]
    return f"{score['picked']:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def _listed(names: Sequence[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
