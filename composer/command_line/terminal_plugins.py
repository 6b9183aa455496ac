"""What check-plugin prints: a table of checks per plugin, then every failure in full."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from composer.text import make_console, plain_table

if TYPE_CHECKING:
    from composer.testing.installed import Outcome, Subject

SIGNS = {"passed": ("passed", "green"), "failed": ("FAILED", "bold red"), "not checked": ("not checked", "yellow")}
MOST_COLUMNS = 4


def print_checked(checked: Sequence[tuple[Subject, Sequence[Outcome]]]) -> None:
    """Tables of components by checks, plugin by plugin; below, what failed and what could not be checked."""
    console = make_console()
    for plugin, group in groupby(checked, key=lambda pair: pair[0].plugin):
        own = list(group)
        console.print(Text(f"plugin {plugin.name} of {plugin.distribution} {plugin.version}", style="bold"))
        for start in range(0, len(own), MOST_COLUMNS):
            _print_table(own[start : start + MOST_COLUMNS], console)
    for _, outcomes in checked:
        for message in dict.fromkeys(outcome.message for outcome in outcomes if outcome.result == "failed"):
            console.print(Text("failed: ", style="bold red") + Text(message), soft_wrap=True)
    for _, outcomes in checked:
        for message in dict.fromkeys(outcome.message for outcome in outcomes if outcome.result == "not checked"):
            console.print(Text("not checked: ", style="yellow") + Text(message), soft_wrap=True)
    console.print(summary(checked))


def _print_table(checked: Sequence[tuple[Subject, Sequence[Outcome]]], console: Console) -> None:
    table = plain_table(gap=2)
    table.add_column("check")
    table.add_column("what is promised", max_width=50)
    for subject, _ in checked:
        table.add_column(f"{subject.component.name}\n{subject.component.noun}")
    promises = {outcome.check.name: outcome.check.promise for _, outcomes in checked for outcome in outcomes}
    for name, promise in promises.items():
        found = [next((o.result for o in outcomes if o.check.name == name), None) for _, outcomes in checked]
        cells = [Text(*SIGNS[result]) if result else Text("") for result in found]
        table.add_row(name, promise, *cells)
    console.print(table)
    console.print()


def summary(checked: Sequence[tuple[Subject, Sequence[Outcome]]]) -> str:
    """`3 components: 40 checks passed, 1 failed, 17 could not be made`."""
    results = [outcome.result for _, outcomes in checked for outcome in outcomes]
    counts = [f"{results.count('passed')} checks passed", f"{results.count('failed')} failed"]
    if left := results.count("not checked"):
        counts.append(f"{left} could not be made")
    return f"{len(checked)} component{'' if len(checked) == 1 else 's'}: {', '.join(counts)}"
