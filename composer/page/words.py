"""What a run found, in plain sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from composer.page.table import main_column

Arms = Mapping[str, Mapping[str, Any]]


def target_words(report: Mapping[str, Any]) -> str:
    """`“black cat”`."""
    return f"“{' '.join(report['concepts'])}”"


def summary(report: Mapping[str, Any], random_pairs: Sequence[Sequence[str]]) -> str:
    """The page's first sentence: how good the best composition is, what controls reach, and whether kernels helped."""
    arms: Arms = report["compositions"]
    made = {name: arm for name, arm in arms.items() if not arm["control"]}
    column = main_column(made)
    if column is None:
        return f"{_listed(list(made))} made for {target_words(report)}; no evaluator scored it."
    score, title = column
    best = _highest(made, score)
    ours = made[best]["scores"][score]
    controls = {name: arm for name, arm in arms.items() if arm["control"] and score in arm["scores"]}
    value = f"{title} {_with_interval(ours)}"
    parts = [_lead(report, best, ours, value, controls, score)]
    reached = _reached(controls, score)
    parts += [reached] if reached else []
    parts += [
        _kernels(arms, score, *pair) for pair in random_pairs if all(score in arms[name]["scores"] for name in pair)
    ]
    return "; ".join(parts) + "."


def _lead(report: Mapping[str, Any], best: str, ours: Mapping[str, Any], value: str, controls: Arms, score: str) -> str:
    target = target_words(report)
    if not controls:
        return f"{best} reaches {value} on pictures of {target}; no control was run, so nobody knows what that is worth"
    rival = controls[_highest(controls, score)]["scores"][score]["picked"]
    if rival >= ours["picked"]:
        return f"No composition is better than the controls on pictures of {target}: {best} reaches {value}"
    if ours["interval"] is None or ours["interval"][0] <= rival:
        return f"{best} reaches {value} on pictures of {target}, which may be chance: a control is inside its interval"
    return f"{best} recognises pictures of {target}: {value}"


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


def _kernels(arms: Arms, score: str, translated: str, random: str) -> str:
    """Whether translated kernels beat random ones: picked member's interval and median of members must agree."""
    ours, theirs = arms[translated]["scores"][score], arms[random]["scores"][score]
    named = f"the translated kernels ({translated})"
    if _above(ours, theirs):
        return f"{named} are better than random ones"
    return (
        f"{named} are worse than random ones"
        if _above(theirs, ours)
        else f"{named} are not shown to be better than random ones"
    )


def _above(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> bool:
    interval = ours["interval"]
    return bool(interval and interval[0] > theirs["picked"] and ours["median"] > theirs["median"])


def _highest(arms: Arms, score: str) -> str:
    having = [name for name in arms if score in arms[name]["scores"]]
    return max(having, key=lambda name: float(arms[name]["scores"][score]["picked"]))


def _with_interval(score: Mapping[str, Any]) -> str:
    interval = score["interval"]
    return f"{score['picked']:.2f}" + (f" [{interval[0]:.2f}, {interval[1]:.2f}]" if interval else "")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) + (" was" if len(names) == 1 else " were")
