"""The command that looks at a finished run. It imports no torch."""

from __future__ import annotations

from pathlib import Path

import click


def _examples(*lines: str) -> str:
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])  # \b keeps click from joining the lines


run_argument = click.argument("run", type=click.Path(path_type=Path))


@click.command(epilog=_examples("composer report runs/black_cat"))
@run_argument
def report(run: Path) -> None:
    """Write the page of RUN again.

    Writes report.html in the folder of a finished run from the files in it, without computing anything: after an update
    of composer, for example. The page is one file that needs nothing else; send it to a colleague.
    """
    from composer.page.writing import write_page

    click.echo(write_page(run))


COMMANDS = (report,)
"""To be added to the command line's group, in this order."""
