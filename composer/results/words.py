"""The wording of every verdict: terminal, page, card and benchmark quote it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from composer.data.score_info import best_of, main_score, read_declared, title_of

Report = Mapping[str, Any]
Verdict = Literal["better", "worse", "unclear"]
PHRASES: Mapping[str, str] = {"better": "better than", "unclear": "not clearly above", "worse": "worse than"}
NOT_COMPARED = "Without resampled pictures, or with too few, nobody can say whether the difference is chance"
NO_CONTROL = "No control has this score, so nobody knows what it is worth"


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def verdict(who: str, verdicts: Mapping[str, str], quote: str = "") -> str:
    """`product is better than each control`, `... is better than a, but not clearly above b and c`.

    verdicts: control -> whether `who` is better than it, worse, or neither for sure. quote: put about every name.
    """
    parts = {}
    for kind, phrase in PHRASES.items():
        names = [f"{quote}{control}{quote}" for control, found in verdicts.items() if found == kind]
        if names and len(names) == len(verdicts) and (kind == "better" or len(names) > 1):
            names = ["any control" if kind == "unclear" else "each control"]
        if names:
            parts[kind] = f"{phrase} {listed(names)}"
    return f"{quote}{who}{quote} is {_contrasted(parts)}"


def _contrasted(parts: Mapping[str, str]) -> str:
    """`better than a, but not clearly above b, and worse than c`: the turn comes after what is better."""
    said = ""
    for part in parts.values():
        said += (", but " if said == parts.get("better") else ", and ") if said else ""
        said += part
    return said


def against_controls(report: Report, composition: str, score: str) -> str:
    """Whether a composition is better than the controls in a score: the verdict, or why there is none."""
    found = comparisons(report, composition, score)
    if found:
        return verdict(composition, {control: one["verdict"] for control, one in found.items()})
    arms = report["compositions"]
    having = any(arm["control"] and score in arm["scores"] for arm in arms.values())
    return NOT_COMPARED if having else NO_CONTROL


def comparisons(report: Report, composition: str, score: str) -> dict[str, Mapping[str, Any]]:
    """Control -> how a composition compares with it in a score."""
    return {
        one["control"]: one
        for one in report.get("comparisons", ())
        if (one["composition"], one["score"]) == (composition, score)
    }


def best_composition(report: Report, control: bool = False, score: str | None = None) -> tuple[str, str] | None:
    """(name, score) of the best composition, or control, by the main score, of the members picked without labels."""
    arms = {name: arm for name, arm in report["compositions"].items() if arm["control"] is control}
    declared = read_declared(report)
    chosen = score or main_score(declared, (name for arm in arms.values() for name in arm["scores"]))
    having = {name: arm["scores"][chosen] for name, arm in arms.items() if chosen in arm["scores"]}
    if chosen is None or not having:
        return None
    higher = next(iter(having.values()))["higher_is_better"]
    return best_of({name: facts["picked"] for name, facts in having.items()}, higher), chosen


def kernels_verdict(report: Report, translated: str, random: str) -> str:
    """Whether translated kernels are above random ones, score by score; empty where they share none to go by.

    One is better than the other where the picked members are shown to differ and the medians of all members say the
    same. Scores that labels were fitted to are left out.
    """
    declared = read_declared(report)
    found = kernels_verdicts(report, translated, random)
    if not found:
        return ""
    parts = {
        kind: f"{phrase} random kernels in {listed([title_of(declared, name) for name in names])}"
        for kind, phrase in PHRASES.items()
        if (names := [name for name, own in found.items() if own == kind])
    }
    return f"translated kernels of {translated} are {_contrasted(parts)} (control: {random})"


def kernels_verdicts(report: Report, translated: str, random: str) -> dict[str, Verdict]:
    """Score -> whether translated kernels are better than random ones."""
    ours, theirs = (report["compositions"][name]["scores"] for name in (translated, random))
    found: dict[str, Verdict] = {}
    for name, info in read_declared(report).items():
        a, b = ours.get(name), theirs.get(name)
        if a is None or b is None or not info.compared or "fitting" in (a["labels"], b["labels"]):
            continue
        tested = comparisons(report, translated, name).get(random, {}).get("verdict", "unclear")
        by_median = (a["median"] > b["median"]) is info.higher_is_better
        agreeing = a["median"] != b["median"] and by_median is (tested == "better")
        found[name] = tested if tested != "unclear" and agreeing else "unclear"
    return found
