"""The command that runs one recipe with many settings."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from composer.command_line import completion
from composer.command_line.cli_options import device_option, executor_option, workers_option
from composer.command_line.cli_store import store_option


@click.command(
    epilog="\b\nExamples:\n  composer sweep recipes/black_cat.yaml --set models.members=4,8,16 --set seed=1..3\n"
    "  composer sweep recipes/black_cat.yaml --set compositions.cyclegan.translator.epochs=10,40,160 --workers 2"
)
@click.argument("recipe", metavar="RECIPE", type=click.Path(path_type=Path), shell_complete=completion.recipes)
@click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE,VALUE",
    multiple=True,
    help="Values to go through: models.members=4,8 or seed=1..5. Several make a grid; seeds are repetitions.",
)
@click.option("--random", "at_random", type=click.IntRange(min=1), metavar="N", help="N settings drawn from the grid.")
@click.option("--output", type=click.Path(path_type=Path), help="Folder for the results.  [default: runs/<name>_sweep]")
@device_option
@workers_option
@executor_option
@store_option
@click.pass_context
def sweep(
    ctx: click.Context,
    recipe: Path,
    settings: tuple[str, ...],
    at_random: int | None,
    output: Path | None,
    device: str,
    workers: int,
    executor: str | None,
    store: Path | None,
) -> None:
    """Run RECIPE with many settings.

    Prints one table with an interval over seeds; writes every score as sweep.csv, and a page with a plot of the score
    against each key. What settings share, such as parents, is computed once; a sweep that was stopped goes on where it
    was. A setting that fails says why, and the others go on; the command then ends with exit code 2.
    """
    from composer.progress import watching
    from composer.recipes.recipe_reader import read_recipe
    from composer.registry import load_registry
    from composer.sweeps.grid import axes, points
    from composer.text import make_console

    registry = load_registry()
    grid = points(axes(settings), at_random)
    recipes = [(one, read_recipe(recipe, [f"{key}={value}" for key, value in one.items()], registry)) for one in grid]
    click.echo(f"{len(recipes)} recipes", err=True)
    from composer.running.parallel import Parallel  # imports torch, as the next two do
    from composer.sweeps import sweep_files
    from composer.sweeps.sweep import sweep as swept

    folder = output or Path("runs") / f"{recipes[0][1].name}_sweep"
    with watching(registry):
        parallel = Parallel(workers, executor)
        found = swept(recipes, folder, registry, lambda line: click.echo(line, err=True), device, store, parallel)
    failed = sweep_files.failures(found)
    if found.score is not None:
        asked = [part for one in settings for part in ("--set", one)]
        asked += ["--random", str(at_random)] if at_random is not None else []
        command = shlex.join(["composer", "sweep", str(recipe), *asked])
        sweep_files.write_csv(found, folder / sweep_files.CSV)
        sweep_files.write_page(found, folder / sweep_files.PAGE, command)
        console = make_console()
        console.print(sweep_files.sheet(found).drawn())
        console.print(sweep_files.interval_note(found), style="dim")
        click.echo(f"\nSaved in {folder}: {sweep_files.PAGE}, {sweep_files.CSV}")
    elif not failed:
        click.echo("No composition has a score to put beside others: the recipe has no test pictures, or no evaluator.")
    for line in failed:
        click.echo(f"failed: {line}", err=True)
    if failed:
        ctx.exit(2)
