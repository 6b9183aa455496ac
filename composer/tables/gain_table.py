"""The table of composition gain, and what it does not show in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.table import Table

from composer.command_line.terminal import plain_table

HARDEST = "recognition.auc_hardest_cell"
"""What gain is measured in (`composer.judging.gain`, which needs torch)."""


def gain_table(report: Mapping[str, Any]) -> Table | None:
    """A row per composition and control, then the better parent (0) and the oracle (1).

    None where there is no gain to show.
    """
    oracle = report.get("oracle")
    if not oracle or not any(gain["value"] is not None for gain in oracle.get("gains", {}).values()):
        return None
    table = plain_table()
    table.add_column("composition gain", overflow="fold")
    for header in ("AUC,\nhardest\ncell", "gain", "95%\ninterval"):
        table.add_column(header, justify="right", no_wrap=True)
    arms = report["compositions"]
    for control in (False, True):
        chosen = [name for name, arm in arms.items() if arm["control"] is control]
        if control and chosen:
            table.add_section()
            table.add_row("controls:")
        for name in chosen:
            picked = arms[name]["scores"].get(HARDEST, {}).get("picked")
            indent, style = ("  ", "dim") if control else ("", "")
            table.add_row(f"{indent}{name}", _number(picked), *gain_cells(oracle["gains"][name]), style=style)
    table.add_section()
    parents = {concept: scores[HARDEST]["picked"] for concept, scores in oracle["parents"].items()}
    best = max(parents, key=lambda concept: parents[concept])
    table.add_row(f"better parent ({best})", _number(parents[best]), "0", "")
    table.add_row("oracle (labelled target pictures)", _number(oracle["scores"][HARDEST]["picked"]), "1", "")
    return table


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


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
