"""The commands that take a recipe: run, check, pictures. Rich, torch and the registry are imported when needed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from composer.command_line import completion
from composer.command_line.cli_options import device_option, examples, executor_option, workers_option
from composer.command_line.cli_store import store_option
from composer.errors import ComposerError

if TYPE_CHECKING:
    from composer.recipes.recipe import Recipe

recipe_argument = click.argument(
    "recipe", metavar="RECIPE", type=click.Path(path_type=Path), shell_complete=completion.recipes
)
set_option = click.option(
    "--set",
    "overrides",
    metavar="KEY=VALUE",
    multiple=True,
    help="Change the recipe: models.members=8, compositions.cyclegan.translator.epochs=5. May be repeated.",
)


@click.command(
    epilog=examples(
        "composer run recipes/black_cat.yaml",
        "composer run recipes/from_folders.yaml --set root=my_pictures --output runs/mine",
    )
)
@recipe_argument
@click.option(
    "--output", type=click.Path(path_type=Path), help="Folder for all results.  [default: runs/<name of the recipe>]"
)
@set_option
@click.option("--seed", type=click.IntRange(min=0), help="Seed in place of the recipe's.")
@device_option
@workers_option
@executor_option
@store_option
@click.option("--fresh", is_flag=True, help="Compute everything again, even what has not changed.")
@click.option("--no-wait", is_flag=True, help="Fail where another run works in the folder, in place of waiting for it.")
@click.option(
    "--all", "everything", is_flag=True, help="Print a table for each evaluator, and what they say at length."
)
@click.option("--verbose", is_flag=True, help="Print a line for each stage, in place of one for what it was done for.")
@click.option("--dry", is_flag=True, help="Only print the steps: kept or to compute, and what each took the last time.")
def run(
    recipe: Path,
    output: Path | None,
    overrides: tuple[str, ...],
    seed: int | None,
    device: str,
    workers: int,
    executor: str | None,
    store: Path | None,
    fresh: bool,
    no_wait: bool,
    everything: bool,
    verbose: bool,
    dry: bool,
) -> None:
    """Run RECIPE and print its table.

    Trains or reads the models, composes them, evaluates all compositions and controls, saves everything.

    Stages that have not changed since the last run are kept, so a second run is quick, and a run that
    was stopped goes on where it was. A run with another seed or other options replaces the results in the folder, and
    says so; --output keeps both.
    """
    from composer.command_line.terminal import print_note
    from composer.command_line.terminal_results import print_results, print_saved
    from composer.progress import watching
    from composer.recipes.recipe_reader import read_recipe
    from composer.registry import load_registry
    from composer.results.replacing import replacement
    from composer.results.results_table import random_pairs

    started = time.perf_counter()
    registry = load_registry()
    read = read_recipe(recipe, [*overrides, *([f"seed={seed}"] if seed is not None else [])], registry)
    if dry:
        from composer.command_line.terminal_forecast import print_forecast  # imports torch
        from composer.pipeline import forecast_recipe

        print_forecast(forecast_recipe(read, store))
        return
    folder = output or default_folder(read)
    if said := replacement(folder, read.document):
        print_note(said)
    with watching(registry, verbose):
        from composer.pipeline import run_recipe  # imports torch, which takes two seconds
        from composer.running.parallel import Parallel

        report = run_recipe(read, folder, device, fresh, registry, not no_wait, store, Parallel(workers, executor))
    print_results(report, random_pairs(read), everything=everything)
    print_saved(folder, time.perf_counter() - started)


@click.command(epilog=examples("composer check recipes/black_cat.yaml --set models.members=8"))
@recipe_argument
@set_option
def check(recipe: Path, overrides: tuple[str, ...]) -> None:
    """Check RECIPE without running it.

    Says what a run would do, or everything that is wrong with the recipe, a line for each fault.
    """
    from composer.command_line.summary import recipe_summary
    from composer.recipes.recipe_reader import read_recipe
    from composer.text import make_console

    lines = recipe_summary(read_recipe(recipe, overrides))
    for line in lines:
        make_console().print(line, soft_wrap=True)


@click.command(
    epilog=examples(
        "composer pictures recipes/black_cat.yaml --output sheet.png",
        "composer pictures recipes/black_cat.yaml --run runs/black_cat",
    )
)
@recipe_argument
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="PNG file to write.  [default: runs/<name of the recipe>/pictures.png]",
)
@set_option
@click.option("--per-cell", type=click.IntRange(1, 100), default=12, show_default=True, help="Pictures in a row.")
@click.option(
    "--run", "run_folder", metavar="RUN", type=click.Path(path_type=Path), help="Also show what a run's model says."
)
@store_option
def pictures(
    recipe: Path,
    output: Path | None,
    overrides: tuple[str, ...],
    per_cell: int,
    run_folder: Path | None,
    store: Path | None,
) -> None:
    """Draw a sheet of RECIPE's pictures.

    Shows what the recipe trains and tests on, a labelled row for each kind of picture.
    """
    from composer.progress import watching
    from composer.recipes.recipe_reader import read_recipe
    from composer.registry import load_registry

    registry = load_registry()
    read = read_recipe(recipe, overrides, registry)
    folder = default_folder(read)
    file = output or folder / "pictures.png"
    with watching(registry):
        from composer.models.loading import load
        from composer.pipeline import load_pictures  # imports torch
        from composer.results.contact_sheet import contact_sheet

        model = None if run_folder is None else load(run_folder)
        sheet = contact_sheet(load_pictures(read, registry=registry, store=store), per_cell, model)
    with writing(file):
        sheet.save(file, format="PNG")
    click.echo(file)


def default_folder(recipe: Recipe) -> Path:
    """Where a recipe's results go unless the user says otherwise."""
    return Path("runs") / recipe.name


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Makes the folder of a file that is about to be written; ComposerError where that cannot be done."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise ComposerError(f"--output {file}: cannot be written: {error.strerror or error}") from None


COMMANDS = (run, check, pictures)
"""To be added to the command line's group."""
