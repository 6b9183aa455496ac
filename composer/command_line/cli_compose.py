"""The command `composer compose`. Torch is imported when there is something to make."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from composer.command_line.cli_options import device_option, examples, seed_option
from composer.command_line.cli_zoo import zoo_option
from composer.errors import ComposerError

if TYPE_CHECKING:
    from composer.zoo.composing import Made


@click.command(
    epilog=examples(
        'composer compose "small black cat"',
        'composer compose "black or white cats but not striped" --one',
        'composer compose "crimson cars" --test photos/test   # folders: red+car, red, car, none',
    )
)
@click.argument("phrase", nargs=-1, required=True)
@zoo_option
@click.option("--one", is_flag=True, help="Make one network that learns what the concepts say, without labels.")
@click.option(
    "--pictures",
    type=click.Path(path_type=Path),
    help="With --one, the folder of pictures that it learns from.  [default: those that the zoo keeps]",
)
@click.option(
    "--test",
    type=click.Path(path_type=Path),
    help="Judge it on this folder: a folder in it for each cell, named by what its pictures show (black+cat, none).",
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder to write.  [default: runs/, and the formula's words]"
)
@click.option("--replace", is_flag=True, help="Put it in the place of one that compose made.")
@seed_option
@device_option
def compose(
    phrase: tuple[str, ...],
    folder: Path | None,
    one: bool,
    pictures: Path | None,
    test: Path | None,
    output: Path | None,
    replace: bool,
    seed: int,
    device: str,
) -> None:
    """Make a model of what PHRASE says, out of the zoo's concepts.

    Takes adjectives, nouns, and, or, not, without, but not, commas and brackets: "small black cats", "black or white
    cats that are not striped". Says how each word was understood, and refuses what is unknown or unclear.

    Writes a folder that `composer.load`, `composer predict` and `composer export` read.
    """
    if pictures is not None and not one:
        raise ComposerError("--pictures: is for --one, which learns from them; a product needs none")
    from composer.zoo.phrases import understand_in
    from composer.zoo.zoo import Zoo

    zoo, text = Zoo(folder), " ".join(phrase)
    understanding = understand_in(zoo, text, _chosen if sys.stdin.isatty() else None)
    click.echo(understanding)
    from composer.running.outcome import choose_device  # imports torch, which takes seconds
    from composer.zoo.composing import make
    from composer.zoo.made_folder import require_free, usual_folder, write

    place = output or usual_folder(understanding.expression)
    require_free(place, replace)
    made = make(
        zoo, text, understanding, one=one, pictures=pictures, test=test, seed=seed, device=choose_device(device)
    )
    write(made, place, replace)
    _say(made, place, one)


def _say(made: Made, place: Path, asked_one: bool) -> None:
    from composer.command_line.terminal import print_note
    from composer.text import make_console, plain_table
    from composer.zoo.made_folder import score_rows, what_is_known

    for warning in made.warnings:
        print_note(warning)
    if asked_one and not made.one:
        print_note("--one: it is one network already")
    click.echo()
    console = make_console()
    if rows := score_rows(made):
        table = plain_table("  ", "AUC  ", "hardest cell  ", right=2)
        for row in rows:
            table.add_row(*(f"{cell}  " for cell in row))
        console.print(table)
    for line in what_is_known(made):
        console.print(line, soft_wrap=True, markup=False)
    count = f"{made.networks} network{'s' if made.networks > 1 else ''}, {made.model.parameters:,} parameters"
    click.echo(f"{place}: {count}")
    click.echo(f"use it: composer predict {place} PICTURES", err=True)


def _chosen(word: str, concepts: Sequence[str]) -> str:
    found: str = click.prompt(f"{word!r} may mean several concepts; which one", type=click.Choice(list(concepts)))
    return found
