"""The table of composition gain, and what it does not show in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from composer.data.score_info import read_declared
from composer.results.results_table import named
from composer.results.sheet import Cell, Row, Sheet, numeric, word


def gain_sheet(report: Mapping[str, Any]) -> Sheet | None:
    """A row per composition and control, then the better parent (0) and the oracle (1).

    None where there is no gain to show.
    """
    oracle = report.get("oracle")
    if not oracle or not any(gain["value"] is not None for gain in oracle.get("gains", {}).values()):
        return None
    arms, score = report["compositions"], oracle["score"]
    rows = [
        Row(
            (named(name, arms[name]), numeric(_picked(arms[name]["scores"], score)), *_gain(oracle["gains"][name])),
            group,
        )
        for control, group in ((False, ""), (True, "controls"))
        for name in arms
        if arms[name]["control"] is control
    ]
    parents = {concept: float(scores[score]["picked"]) for concept, scores in oracle["parents"].items()}
    best = max(parents, key=lambda concept: parents[concept])
    reached = _picked(oracle["scores"], score)
    fixed = ((f"better parent ({best})", parents[best], 0), ("oracle (labelled target pictures)", reached, 1))
    rows += [
        Row((word(name), numeric(value), numeric(gain, str(gain)), numeric(None, "")), " ")
        for name, value, gain in fixed
    ]
    return Sheet(("composition gain", read_declared(report)[score].column, "gain", "95%\ninterval"), tuple(rows))


def _picked(scores: Mapping[str, Any], score: str) -> float | None:
    return float(scores[score]["picked"]) if score in scores else None


def _gain(gain: Mapping[str, Any]) -> tuple[Cell, Cell]:
    """The number and its interval, which is sorted by its lower end."""
    value, interval = gain_cells(gain)
    return numeric(gain["value"], value), numeric((gain["interval"] or [None])[0], interval)


def gain_cells(gain: Mapping[str, Any]) -> tuple[str, str]:
    """The number and its interval, `-` where undefined."""
    interval = gain["interval"]
    return (
        "-" if gain["value"] is None else f"{gain['value']:z.2f}",
        f"{interval[0]:z.2f} to {interval[1]:z.2f}" if interval else "-",
    )


def gain_notes(report: Mapping[str, Any]) -> list[str]:
    """Why there is no oracle, or no gain."""
    oracle = report.get("oracle")
    if not oracle:
        return []
    if oracle["why"]:
        return [oracle["why"]]
    reasons: dict[str, list[str]] = {}
    for name, gain in oracle["gains"].items():
        if gain["why"]:
            reasons.setdefault(gain["why"], []).append(name)
    if len(reasons) == 1 and len(next(iter(reasons.values()))) == len(oracle["gains"]):
        return [f"no composition gain: {next(iter(reasons))}"]
    return [f"no gain of {', '.join(names)}: {why}" for why, names in reasons.items()]
