"""What several commands have: options, and how their examples are shown."""

from __future__ import annotations

import click

workers_option = click.option(
    "--workers",
    type=click.IntRange(min=1),
    default=1,
    show_default=True,
    help="How many work stages at once, each with its share of a machine's cores.",
)
executor_option = click.option(
    "--executor",
    metavar="NAME[:ADDRESS]",
    help="Who works stages at once: processes of this machine, or what a plugin offers, as `ray`.  "
    "[default: processes, with --workers 2 and more]",
)
device_option = click.option(
    "--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto", show_default=True, help="Where to compute."
)
revision_option = click.option(
    "--revision",
    help="Of a repository of the Hugging Face hub: a branch, tag or commit.  [default: the newest]",
)


seed_option = click.option(
    "--seed", default=0, show_default=True, type=click.IntRange(min=0), help="Of what is drawn at random."
)


def examples(*lines: str) -> str:
    """Text for the end of a help page; the backspace tells click to keep the lines as they are."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])
