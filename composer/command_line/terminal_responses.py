"""What a network's outputs say of folders of pictures, as people read it."""

from __future__ import annotations

from rich.table import Table
from rich.text import Text

from composer.models.responses import Response, Responses
from composer.text import make_console, plain_table

MOST_OUTPUTS = 4
"""Of the outputs of one network for each folder, the likeliest."""
MOST_UNREADABLE = 5


def print_responses(found: Responses) -> None:
    """A row per folder and output, and for every folder a sentence that names the output that tells it."""
    console = make_console()
    console.print(Text(found.title, style="bold"), soft_wrap=True)
    for note in found.notes:
        console.print(Text(f"  {note}", style="dim"), soft_wrap=True)
    table = plain_table("pictures of", gap=2)
    table.add_column("", justify="right", no_wrap=True)
    table.add_column("output", overflow="fold")
    for header in ("mean probability", "comes first"):
        table.add_column(header, justify="right", no_wrap=True)
    for response in found.folders:
        _add_rows(table, response, found.outputs)
    console.print(table)
    if len(found.outputs) > MOST_OUTPUTS:
        console.print(f"the {MOST_OUTPUTS} likeliest of {len(found.outputs)} outputs; --json has all", style="dim")
    console.print()
    for response, output, beside in found.telling():
        if output is None:
            said = f"{response.folder}: no output tells these pictures from the others"
        else:
            mean = response.mean[output]
            said = f"{response.folder}: {found.outputs[output]} ({mean:.2f} on these, {beside:.2f} on the others)"
        console.print(Text(said), soft_wrap=True)
    _print_unreadable(found)


def _add_rows(table: Table, response: Response, outputs: tuple[str, ...]) -> None:
    likeliest = sorted(range(len(outputs)), key=lambda k: -response.mean[k])[:MOST_OUTPUTS]
    for row, output in enumerate(sorted(likeliest) if len(outputs) <= MOST_OUTPUTS else likeliest):
        who = (response.folder, str(response.pictures)) if row == 0 else ("", "")
        numbers = (f"{response.mean[output]:.3f}", f"{100 * response.first[output]:.0f} %")
        table.add_row(Text(who[0]), who[1], Text(outputs[output]), *numbers)


def _print_unreadable(found: Responses) -> None:
    if not found.unreadable:
        return
    console = make_console(error=True)
    count = len(found.unreadable)
    console.print(f"{count} picture{'' if count == 1 else 's'} could not be read:", style="yellow")
    for said in found.unreadable[:MOST_UNREADABLE]:
        console.print(Text(f"  {said}"), soft_wrap=True)
    if len(found.unreadable) > MOST_UNREADABLE:
        console.print(f"  and {len(found.unreadable) - MOST_UNREADABLE} more")
