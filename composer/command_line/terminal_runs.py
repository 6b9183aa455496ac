"""Verified and compared runs as people read them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from composer.data.records import title_of_row
from composer.results.results_table import interval_text
from composer.results.sheet import number
from composer.results.verification import Verification
from composer.text import counted, make_console, plain_table

STYLES = {"changed": "bold red", "missing": "bold red", "added": "yellow", "input": "yellow", "recipe": "yellow"}
MOST_FINDINGS = 40


def print_verification(checked: Verification) -> None:
    """A line per finding, and a sentence that sums up."""
    console = make_console()
    for finding in checked.findings[:MOST_FINDINGS]:
        kind = "note" if not finding.touched else finding.kind
        line = Text(f"{kind:<8} ", style=STYLES.get(kind, "dim")) + Text(f"{finding.what}: {finding.said}")
        console.print(line, soft_wrap=True)
    more = len(checked.findings) - MOST_FINDINGS
    if more > 0:
        console.print(f"and {more} more (--json has all)")
    compared = (
        f"{counted(checked.files, 'file')}, {counted(checked.inputs, 'input')}, {counted(checked.stages, 'stage')}"
    )
    if checked.whole:
        said = f"whole: {compared} compared, all as the run left them"
    else:
        touched = sum(finding.touched for finding in checked.findings)
        said = f"touched: {counted(touched, 'difference')} in {compared}"
    console.print(f"{checked.folder}: {said}", style="bold", soft_wrap=True)


def print_comparison(found: Mapping[str, Any]) -> None:
    """A row per composition and a column per run; then what differs between the runs."""
    console = make_console()
    titles = list(found["runs"])
    console.print(f"\n{found['score']} of the member picked without labels, with its 95% interval\n")
    table = plain_table("composition", *titles, right=len(titles), gap=2)
    controls = False
    for name, cells in found["compositions"].items():
        control = all(cell["control"] for cell in cells.values())
        if control and not controls:
            table.add_section()
            table.add_row("controls:")
            controls = True
        texts = [_score_text(cells.get(title, {})) for title in titles]
        labels = max(cell.get("target_labels", 0) for cell in cells.values())
        title = title_of_row(name, {"labels": labels})
        table.add_row(f"  {title}" if control else title, *texts, style="dim" if control else "")
    console.print(table)
    _print_differences(found)


def _print_differences(found: Mapping[str, Any]) -> None:
    console = make_console()
    if not found["differences"]:
        console.print("\nThe runs do not differ in recipe, seed, device or versions.")
        return
    console.print("\nWhat differs:\n")
    table = plain_table(gap=2)
    table.add_column("", no_wrap=True)
    for title in found["runs"]:
        table.add_column(title, overflow="fold")
    for key, row in found["differences"].items():
        table.add_row(key.removeprefix("recipe."), *("-" if value is None else str(value) for value in row.values()))
    console.print(table)


def _score_text(score: Mapping[str, Any]) -> str:
    """`0.984 (0.972-0.993)`, or a dash where a run has no such score."""
    interval = interval_text(score)
    text = number(score.get("picked"))
    mark = "†" if score.get("labels") == "fitting" else ""
    return f"{text}{mark} ({interval})" if interval else f"{text}{mark}"
