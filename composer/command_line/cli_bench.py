"""The command that runs the benchmark."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from composer.command_line.cli_store import store_option
from composer.errors import ComposerError

if TYPE_CHECKING:
    from composer.sweeps.benchmark import Benchmark, World

DEFAULT = Path("runs/bench")
NAME = "benchmark.md"


@click.command(
    epilog="\b\nExamples:\n  composer bench\n  composer bench --pairs 4 --seeds 1 --output runs/quick\n"
    "  composer bench --document docs/benchmark.md\n"
    "  composer bench --images cells --root ../shared/data/clothing"
)
@click.option("--pairs", type=click.IntRange(1), help="Attribute x object pairs.  [default: all: 16 of the drawings]")
@click.option("--seeds", type=click.IntRange(1, 100), default=3, show_default=True, help="Seeds, from 1 on.")
@click.option(
    "--images", metavar="NAME", help="Photographs in place of drawings: the source that reads them, as `cells`."
)
@click.option(
    "--root",
    "roots",
    type=click.Path(path_type=Path),
    multiple=True,
    help="With --images: the folder of the photographs. May be repeated.",
)
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
    pairs: int | None,
    seeds: int,
    images: str | None,
    roots: tuple[Path, ...],
    output: Path,
    document: Path | None,
    overrides: tuple[str, ...],
    store: Path | None,
) -> None:
    """Judge everything installed on 16 pairs.

    Makes every composition and control of attribute x object pairs of drawn pictures, and writes one leaderboard with
    composition gain and its interval, as Markdown. What was finished is kept: run the same command to go on.

    With --images and --root, holds out every combination of your own photographs in turn, and makes the product of
    two concepts fitted on a pretrained network.
    """
    if (images is None) is bool(roots):
        raise ComposerError("--images and --root: the one says how to read the photographs, the other where they are")
    click.echo("loading", err=True)
    from composer.data.files import write_text

    options = [f"--pairs {pairs}"] if pairs else []
    options += [f"--seeds {seeds}", *(f"--set {shlex.quote(one)}" for one in overrides)]
    work = _Work(output, pairs, seeds, overrides, store)
    if images is None:
        text, shown = _drawings(work)
    else:
        where = [f"--images {images}", *(f"--root {shlex.quote(str(root))}" for root in roots)]
        text, shown = _photographs(work, images, roots, " ".join(["composer bench", *where, *options]))
    file = document or output / NAME
    file.parent.mkdir(parents=True, exist_ok=True)
    write_text(file, text)
    click.echo(shown)
    click.echo(file)


@dataclass(frozen=True)
class _Work:
    """What the command was asked for, of whatever pictures."""

    output: Path
    pairs: int | None
    seeds: int
    overrides: tuple[str, ...]
    store: Path | None

    def found(self, world: World) -> Benchmark:
        """What the benchmark finds in a world."""
        from composer.registry import load_registry
        from composer.sweeps.benchmark import benchmark  # imports torch

        def say(line: str) -> None:
            click.echo(line, err=True)

        pairs = min(self.pairs or len(world.pairs), len(world.pairs))
        return benchmark(self.output, pairs, self.seeds, self.overrides, load_registry(), say, self.store, world)


def _drawings(work: _Work) -> tuple[str, str]:
    """The leaderboard of the drawn world, and its beginning for the terminal."""
    from composer.sweeps.benchmark import DRAWINGS
    from composer.sweeps.leaderboard_text import document

    count = min(work.pairs or len(DRAWINGS.pairs), len(DRAWINGS.pairs))
    changes = [f"--set {shlex.quote(one)}" for one in work.overrides]
    command = " ".join(["composer bench", f"--pairs {count}", f"--seeds {work.seeds}", *changes])
    text = document(work.found(DRAWINGS), command, work.overrides)
    return text, text.split("## Gain of each pair")[0]


def _photographs(work: _Work, images: str, roots: Sequence[Path], command: str) -> tuple[str, str]:
    """The document on photographs, and its tables for the terminal."""
    from composer.registry import load_registry
    from composer.sweeps.benchmark import world_of
    from composer.sweeps.photographs_text import Album, document, named, summary

    worlds = {root: world_of(images, root, work.overrides, load_registry()) for root in roots}
    albums = [Album(named(root), world, work.found(world)) for root, world in worlds.items()]
    return document(albums, command, work.overrides), "\n\n".join(map(summary, albums))
