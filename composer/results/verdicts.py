"""What the table at the end of a run says, in sentences: the verdicts of `words`, with their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from composer.data.score_info import read_declared, title_of
from composer.results import words
from composer.results.results_table import best_first, interval_text
from composer.results.sheet import number

Report = Mapping[str, Any]
KINDS = ("works", "in doubt", "does not work")
"""Shown to be better than each control; neither; shown to be worse than one."""
HOW = "paired bootstrap over pictures, Holm's correction for {} comparisons"


def verdicts(report: Report, pairs: Sequence[tuple[str, str]]) -> list[str]:
    """What the table says, in sentences.

    pairs: (composition of translated kernels, the control that puts random kernels in their place).
    """
    if said := report.get("not_judged"):
        return [said]
    sentences = [best_sentence(report), *(kernels_sentence(report, *pair) for pair in pairs)]
    return [sentence for sentence in sentences if sentence]


def in_short(report: Report, pairs: Sequence[tuple[str, str]] = ()) -> list[str]:
    """What works, what is in doubt and what does not work, by the main score: a line for each that there is.

    pairs: as of `verdicts`; of each a line on all scores, since one picked network says little of translated kernels.
    """
    if said := report.get("not_judged"):
        return [said]
    found: dict[str, list[str]] = {kind: [] for kind in KINDS}
    for kind, sentence in judged(report).values():
        found[kind].append(sentence)
    lines = [f"{kind}: {'; '.join(dict.fromkeys(said))}" for kind, said in found.items() if said]
    return lines + [f"kernels: {said}" for pair in pairs if (said := words.kernels_verdict(report, *pair))]


def judged(report: Report) -> dict[str, tuple[str, str]]:
    """Composition -> which of KINDS it is by the main score, and the sentence that says why; the best first."""
    best = words.best_composition(report)
    if best is None:
        return {}
    _, score = best
    found: dict[str, tuple[str, str]] = {}
    for name, arm in best_first(report):
        if arm["control"]:
            continue
        own = {one["verdict"] for one in words.comparisons(report, name, score).values()}
        kind = "does not work" if "worse" in own else "works" if own == {"better"} else "in doubt"
        there = score in arm["scores"]
        missing = f"{name} has no {title_of(read_declared(report), score)}"
        found[name] = (kind, words.against_controls(report, name, score) if there else missing)
    return found


def best_sentence(report: Report) -> str:
    """Which composition is best, by the member picked without labels, and which controls it is shown to be above."""
    found = words.best_composition(report)
    if found is None:
        return ""
    best, score = found
    title = title_of(read_declared(report), score)
    said = (
        f"Best composition, chosen by its {title} on these test pictures, of the member picked without labels: "
        f"{best}, {_with_interval(report, best, score)}."
    )
    rival = words.best_composition(report, control=True, score=score)
    if rival is not None:
        said += f" Best control: {rival[0]}, {_with_interval(report, rival[0], score)}."
    return f"{said} {words.against_controls(report, best, score)}{_differences(report, best, score)}."


def _differences(report: Report, best: str, score: str) -> str:
    """The numbers behind the verdict: the nearest control's or, where not all are beaten, those of the unbeaten."""
    own = words.comparisons(report, best, score)
    if not own:
        return ""
    how = HOW.format(len(report["comparisons"]))
    unbeaten = [one for one in own.values() if one["verdict"] != "better"]
    if unbeaten:
        differences = [f"{one['control']}: {difference_text(one)}" for one in unbeaten]
        return f" ({how}; {'; '.join(differences)})"
    nearest = min(own.values(), key=lambda one: abs(float(one["difference"])))
    return (
        f" ({how}; the nearest is {nearest['control']}, {difference_text(nearest)}); another seed still might turn "
        "out otherwise"
    )


def difference_text(one: Mapping[str, Any]) -> str:
    """`+0.044, 95% interval 0.021 to 0.066`."""
    low, high = one["interval"]
    return f"{one['difference']:+.3f}, 95% interval {low:.3f} to {high:.3f}"


def kernels_sentence(report: Report, translated: str, random: str) -> str:
    """Whether translated kernels are above random ones on the compared scores that both have, with the numbers.

    Empty where they share none to which no label was fitted.
    """
    said = words.kernels_verdict(report, translated, random)
    if not said:
        return ""
    ours, theirs = (report["compositions"][name]["scores"] for name in (translated, random))
    declared = read_declared(report)
    parts = []
    for name in words.kernels_verdicts(report, translated, random):
        picked = f"picked {number(ours[name]['picked'])} against {number(theirs[name]['picked'])}"
        median = f"median {number(ours[name]['median'])} against {number(theirs[name]['median'])}"
        parts.append(f"{title_of(declared, name)}: {picked}, {median}")
    return f"{said[0].upper()}{said[1:]}: {'; '.join(parts)}."


def _with_interval(report: Report, name: str, score: str) -> str:
    facts = report["compositions"][name]["scores"][score]
    interval = interval_text(facts)
    return f"{number(facts['picked'])} (95% interval {interval})" if interval else number(facts["picked"])
