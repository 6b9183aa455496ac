"""The command that runs the benchmark."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from composer.command_line.cli_store import store_option

DEFAULT = Path("runs/bench")
NAME = "benchmark.md"


@click.command(
    epilog="\b\nExamples:\n  composer bench\n  composer bench --pairs 4 --seeds 1 --output runs/quick\n"
    "  composer bench --document docs/benchmark.md"
)
@click.option("--pairs", type=click.IntRange(1, 16), default=16, show_default=True, help="Attribute x object pairs.")
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True, help="Seeds, from 1 on.")
@click.option(
    "--output", type=click.Path(path_type=Path), default=DEFAULT, show_default=True, help="Folder for all results."
)
@click.option(
    "--document",
    type=click.Path(path_type=Path, dir_okay=False),
    help=f"Write the result here.  [default: {NAME} in the output folder]",
)
@click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Change every pair's recipe: models.members=4, images.train=500. May be repeated.",
)
@store_option
def bench(
    pairs: int, seeds: int, output: Path, document: Path | None, overrides: tuple[str, ...], store: Path | None
) -> None:
    """Judge everything installed on 16 pairs.

    Makes every composition and control of attribute x object pairs of drawn pictures, and writes one leaderboard with
    composition gain and its interval, as Markdown. What was finished is kept: run the same command to go on.
    """
    from composer.registry import load_registry

    click.echo("loading", err=True)
    from composer.data.files import write_text
    from composer.sweeps.benchmark import benchmark  # imports torch
    from composer.sweeps.leaderboard_text import document as written

    found = benchmark(output, pairs, seeds, overrides, load_registry(), lambda line: click.echo(line, err=True), store)
    changes = [f"--set {shlex.quote(one)}" for one in overrides]
    text = written(found, " ".join(["composer bench", f"--pairs {pairs}", f"--seeds {seeds}", *changes]), overrides)
    file = document or output / NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, text)
    click.echo(text.split("## Gain of each pair")[0])
    click.echo(file)


COMMANDS = (bench,)
"""To be added to the command line's group."""
