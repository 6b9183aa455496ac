"""What the table at the end of a run says, in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from composer.tables.results_table import MAIN_COLUMNS, interval_text, number


def verdicts(report: Mapping[str, Any], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """What the table says, in sentences.

    pairs: (composition of translated kernels, the control that puts random kernels in their place).
    """
    compositions, comparisons = report["compositions"], report.get("comparisons", [])
    if said := report.get("not_judged"):
        return [said]
    sentences = [
        best_sentence(compositions, comparisons),
        *(kernels_sentence(compositions, comparisons, *pair) for pair in pairs),
    ]
    return [sentence for sentence in sentences if sentence]


def best_sentence(compositions: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]]) -> str:
    """Which composition is best, by the member picked without labels, and which controls it is shown to be above."""
    made = {name: arm for name, arm in compositions.items() if not arm["control"]}
    controls = {name: arm for name, arm in compositions.items() if arm["control"]}
    column = next((c for c in MAIN_COLUMNS if any(c.score in arm["scores"] for arm in made.values())), None)
    if column is None:
        return ""
    best, ours = _highest(made, column.score)
    found = (
        f"Best composition, chosen by its {column.title} on these test pictures, of the member picked without labels: "
        f"{best}, {_with_interval(ours)}."
    )
    if not any(column.score in arm["scores"] for arm in controls.values()):
        return f"{found} No control has this score."
    rival, theirs = _highest(controls, column.score)
    found += f" Best control: {rival}, {_with_interval(theirs)}."
    own = [one for one in comparisons if (one["composition"], one["score"]) == (best, column.score)]
    return f"{found} {_compared(best, own, len(comparisons))}"


def _compared(best: str, own: Sequence[Mapping[str, Any]], comparisons: int) -> str:
    """Of one composition: the controls that it is better than, and those that it is not shown to be better than."""
    if not own:
        return "Without resampled pictures, or with too few, nobody can say whether the difference is chance."
    nearest = min(own, key=lambda one: float(one["difference"]))
    how = f"paired bootstrap over pictures, Holm's correction for {comparisons} comparisons"
    if all(one["verdict"] == "better" for one in own):
        return (
            f"{best} is better than each control ({how}; the nearest is {nearest['control']}, "
            f"{difference_text(nearest)}); another seed still might turn out otherwise."
        )
    groups = {verdict: [one for one in own if one["verdict"] == verdict] for verdict in ("better", "unclear", "worse")}
    words = {"better": "better than", "unclear": "not shown to be better than", "worse": "worse than"}
    named = {
        verdict: _listed([f"{one['control']} ({difference_text(one)})" for one in group])
        for verdict, group in groups.items()
        if group
    }
    parts = [f"{words[verdict]} {names}" for verdict, names in named.items()]
    return f"{best} is {', but '.join(parts)} ({how})."


def difference_text(one: Mapping[str, Any]) -> str:
    """`+0.044, 95% interval 0.021 to 0.066`."""
    low, high = one["interval"]
    return f"{one['difference']:+.3f}, 95% interval {low:.3f} to {high:.3f}"


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def kernels_sentence(
    compositions: Mapping[str, Any], comparisons: Sequence[Mapping[str, Any]], translated: str, random: str
) -> str:
    """Whether translated kernels are above random ones on the main scores that both have.

    One is above the other where the picked members are shown to differ and the medians of all members say the same.
    Scores for which labels were fitted to are left out. Empty where they share no other.
    """
    ours, theirs = compositions[translated]["scores"], compositions[random]["scores"]
    verdicts = {one["score"]: one["verdict"] for one in comparisons if _is_of(one, translated, random)}
    titles = {column.score: column.title for column in MAIN_COLUMNS}
    titles["clusters.kmeans.adjusted_rand"] = "adjusted Rand index of K-means"
    parts, above, below = [], 0, 0
    for name, title in titles.items():
        a, b = ours.get(name), theirs.get(name)
        if a is None or b is None or "fitting" in (a["labels"], b["labels"]):
            continue
        verdict = verdicts.get(name, "unclear")
        better = verdict == "better" and a["median"] > b["median"]
        worse = verdict == "worse" and a["median"] < b["median"]
        above, below = above + better, below + worse
        outcome = "above" if better else "below" if worse else "not clear"
        picked = f"picked {number(a['picked'])} against {number(b['picked'])}"
        median = f"median {number(a['median'])} against {number(b['median'])}"
        parts.append(f"{title}: {picked}, {median} ({outcome})")
    if not parts:
        return ""  # nothing of this table can be compared
    if above:
        verdict = "beat random ones" if above == len(parts) else f"beat random ones on {above} of {len(parts)} scores"
    else:
        verdict = "do not beat random ones" if below else "are not shown to beat random ones"
    return f"Translated kernels {verdict} ({translated} against {random}): {'; '.join(parts)}."


def _is_of(one: Mapping[str, Any], composition: str, control: str) -> bool:
    return (one["composition"], one["control"]) == (composition, control)


def _highest(arms: Mapping[str, Any], score: str) -> tuple[str, Mapping[str, Any]]:
    """The first arm with the highest picked value, and that score of it."""
    having = {name: arm["scores"][score] for name, arm in arms.items() if score in arm["scores"]}
    name = max(having, key=lambda arm: having[arm]["picked"])
    return name, having[name]


def _with_interval(score: Mapping[str, Any]) -> str:
    interval = interval_text(score)
    return f"{number(score['picked'])} (95% interval {interval})" if interval else number(score["picked"])
