"""What a run found, in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from composer.results.gain_table import gain_notes, gain_sheet
from composer.results.parents_table import parents_sheet
from composer.results.results_table import (
    COUNTED,
    ScoreColumn,
    columns_by_evaluator,
    dead_note,
    fitting,
    footnotes,
    heading,
    left_out,
    results_sheet,
)
from composer.results.verdicts import in_short, verdicts
from composer.text import make_console, seconds_text


def print_results(
    report: Mapping[str, Any], pairs: Sequence[tuple[str, str]], width: int | None = None, everything: bool = False
) -> None:
    """The table by which compositions are compared, and what it says in three lines.

    everything: a table for each evaluator, gain, and what they say in whole sentences with their numbers.
    """
    console = make_console(width=width)
    console.print(f"\n{heading(report)}")
    tables = columns_by_evaluator(report) or [[]]
    shown: list[ScoreColumn] = []
    told: list[str] = []
    for columns in tables if everything else tables[:1]:
        columns = fitting(report, columns, console.width)
        shown += columns
        console.print()
        console.print(results_sheet(report, columns).drawn())
        for note in footnotes(report, columns):
            if note not in told:
                console.print(note, style="dim")
            told.append(note)
    more, where = (
        left_out(report, shown),
        "with --all, and in report.json" if len(tables) > 1 and not everything else "in report.json",
    )
    for note in (COUNTED, dead_note(report), f"{more} more score{'s' if more > 1 else ''} {where}" if more else ""):
        if note:
            console.print(note, style="dim")
    _print_further(console, report, everything)
    for warning in report["warnings"]:
        console.print(Text("warning: ", style="yellow") + Text(warning))
    console.print()
    for sentence in dict.fromkeys([*in_short(report, pairs), *(verdicts(report, pairs) if everything else ())]):
        console.print(sentence)


def _print_further(console: Console, report: Mapping[str, Any], everything: bool) -> None:
    gain = [(gain_sheet(report), gain_notes(report))] if everything or gain_sheet(report) else []
    for sheet, notes in (*gain, (parents_sheet(report), ())):
        if sheet:
            console.print()
            console.print(sheet.drawn())
        for note in notes:
            console.print(note, style="dim")


def print_saved(folder: Path, seconds: float) -> None:
    """Where everything is, and how long it took."""
    expected = ("report.html", "report.json", "scores.csv", "recipe.yaml", "run.json", "figures", "models")
    there = [f"{name}/" if (folder / name).is_dir() else name for name in expected if (folder / name).exists()]
    console = make_console()
    listed = f": {', '.join(there)}" if there else ""
    console.print(f"\nSaved in {folder}{listed}. Took {seconds_text(seconds)}.", soft_wrap=True)
