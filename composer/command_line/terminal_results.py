"""What a run found, in the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.text import Text

from composer.results.gain_table import gain_notes, gain_sheet
from composer.results.parents_table import parents_sheet
from composer.results.results_table import dead_note, footnotes, heading, results_table
from composer.results.verdicts import verdicts
from composer.text import make_console, seconds_text


def print_results(report: Mapping[str, Any], pairs: Sequence[tuple[str, str]], width: int | None = None) -> None:
    """The table with its footnotes, and what it says in sentences."""
    console = make_console(width=width)
    console.print(f"\n{heading(report)}\n")
    console.print(results_table(report, console.width))
    for note in footnotes(report, console.width):
        console.print(note, style="dim")
    if dead := dead_note(report):
        console.print(dead, style="dim")
    for sheet, notes in ((gain_sheet(report), gain_notes(report)), (parents_sheet(report), ())):
        if sheet:
            console.print()
            console.print(sheet.drawn())
        for note in notes:
            console.print(note, style="dim")
    for warning in report["warnings"]:
        console.print(Text("warning: ", style="yellow") + Text(warning))
    console.print()
    for sentence in verdicts(report, pairs):
        console.print(sentence)


def print_saved(folder: Path, seconds: float) -> None:
    """Where everything is, and how long it took."""
    expected = ("report.html", "report.json", "scores.csv", "recipe.yaml", "run.json", "figures", "models")
    there = [f"{name}/" if (folder / name).is_dir() else name for name in expected if (folder / name).exists()]
    console = make_console()
    listed = f": {', '.join(there)}" if there else ""
    console.print(f"\nSaved in {folder}{listed}. Took {seconds_text(seconds)}.", soft_wrap=True)
