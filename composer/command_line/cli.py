"""The command line. Rich, torch and the registry are imported by the commands that need them: `--help` is quick."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import time
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

import click

from composer.command_line import (
    cli_bench,
    cli_compose,
    cli_merge,
    cli_runs,
    cli_store,
    cli_sweep,
    cli_zoo,
    completion,
)
from composer.command_line.cli_init import init
from composer.command_line.cli_models import COMMANDS
from composer.command_line.cli_new_plugin import new_plugin
from composer.command_line.cli_options import device_option, workers_option
from composer.command_line.cli_plugins import check_plugin
from composer.command_line.cli_store import store_option
from composer.errors import ComposerError, PluginError
from composer.version import __version__

# Threads that wait by spinning make a run ten times slower where others use the same cores. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

if TYPE_CHECKING:
    from composer.recipes.recipe import Recipe

STOPPED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""
KEEPING = ("run", "sweep", "pictures", "bench", "zoo")
"""Commands that go on from what was finished when they are called again."""


class Commands(click.Group):
    """Turns what a command raises into words and an exit code: 2 can be mended by the user, 1 is a bug."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are needed, not of the alphabet."""
        return list(self.commands)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        """As click's; what cannot be written to standard output ends the command with one line."""
        prepare_streams()
        try:
            return super().main(*args, **kwargs)
        except OSError as error:
            click.echo(f"error: {explain(error) or error}", err=True)
            sys.stdout = nowhere()  # or Python itself would try once more to write the rest
            sys.exit(2)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.Abort, click.exceptions.Exit, BrokenPipeError):
            raise
        except KeyboardInterrupt as error:
            kept = f"{in_plugin(error)}; what was finished is kept; run the same command to go on"
            click.echo(f"stopped{kept if ctx.invoked_subcommand in KEEPING else ''}", err=True)
            ctx.exit(STOPPED)
        except Exception as error:
            from composer.command_line.terminal import print_error

            raised = error.__cause__ if isinstance(error, PluginError) and error.__cause__ else error
            mendable = raised if isinstance(raised, ComposerError) else explain(raised)
            if mendable is None:
                traceback.print_exception(raised)
                print_error(f"{error if raised is not error else bug(error)}: please report it with the lines above")
                ctx.exit(1)
            print_error(mendable)
            ctx.exit(2)


def nowhere() -> TextIO:
    """A stream for what nobody can read; open as long as the process is."""
    return Path(os.devnull).open("w", encoding="utf-8")


def prepare_streams() -> None:
    """Lets output be closed (`>&-`: it goes nowhere), or be in an encoding that lacks letters (they become `?`)."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, nowhere())
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def in_plugin(error: BaseException) -> str:
    """` in the plugin mine (my-plugin 0.3)`, where somebody else's was at work."""
    from composer.registry import DISTRIBUTION, load_registry

    others = [plugin for plugin in load_registry().blamed(error) if plugin.distribution != DISTRIBUTION]
    return f" in {others[0]}" if others else ""


def bug(error: BaseException) -> str:
    """In whose code an unexpected exception arose."""
    from composer.registry import load_registry

    return f"this is {load_registry().bug(error)}"


def explain(error: BaseException) -> str | None:
    """What the user can do about an error that is no ComposerError and yet no bug; None for bugs."""
    if isinstance(error, ModuleNotFoundError) and error.name in ("torch", "torchvision"):
        return f"the package {error.name} is not installed: pip install torch torchvision, both from one package index"
    if "operator torchvision::" in str(error):
        return (
            "torch and torchvision do not fit together (other versions, or one of them a CPU build): "
            "install both at once and from one package index, pip install --force-reinstall torch torchvision"
        )
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":  # the second is torch's
        said = (str(error).splitlines() or ["no memory left"])[0]
        return f"{said}; ask for fewer members or smaller pictures, or compute on the CPU (--device cpu)"
    if isinstance(error, OSError) and error.errno in (
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EPERM,
    ):
        return f"{error.filename or 'standard output'}: {error.strerror}"
    return None


def examples(*lines: str) -> str:
    """Text for the end of a help page; the backspace tells click to keep the lines as they are."""
    return "\n".join(["\b", "Examples:", *(f"  {line}" for line in lines)])


def print_version(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    """Prints the version, and names other libraries that are imported by the same name: they overwrite this one."""
    if not asked:
        return
    from importlib.metadata import packages_distributions  # looks through all that is installed: half a second

    click.echo(f"composer {__version__}")
    others = sorted(set(packages_distributions().get("composer", ())) - {"kernel-composer"})
    if others:
        click.echo(
            f"warning: {' and '.join(others)} is imported as `composer` too and may have overwritten parts of this "
            "one: keep them in two environments",
            err=True,
        )
    ctx.exit()


@click.group(
    cls=Commands,
    invoke_without_command=True,  # click ends its own help, where no command is named, with an error
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog=examples(
        "composer run recipes/black_cat.yaml",
        "composer run recipes/black_cat.yaml --set models.members=8 --seed 3",
        "composer check my_recipe.yaml",
        "composer describe cyclegan",
    ),
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=print_version,
    help="Show the version and exit.",
)
@click.pass_context
def main(ctx: click.Context) -> None:
    """Make machine-learning models out of machine-learning models: black + cat = black cat.

    A recipe (a YAML file) names the concepts, the pictures, the models to start from and the ways to
    compose them. A run puts every composition in one table, beside controls that should not work.
    """
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


main.add_command(init)  # comes first, as people come first to it

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


@main.command(
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
@store_option
@click.option("--fresh", is_flag=True, help="Compute everything again, even what has not changed.")
@click.option("--no-wait", is_flag=True, help="Fail where another run works in the folder, in place of waiting for it.")
@click.option(
    "--all", "everything", is_flag=True, help="Print a table for each evaluator, and what they say at length."
)
@click.option("--verbose", is_flag=True, help="Print a line for each stage, in place of one for what it was done for.")
def run(
    recipe: Path,
    output: Path | None,
    overrides: tuple[str, ...],
    seed: int | None,
    device: str,
    workers: int,
    store: Path | None,
    fresh: bool,
    no_wait: bool,
    everything: bool,
    verbose: bool,
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
    folder = output or default_folder(read)
    if said := replacement(folder, read.document):
        print_note(said)
    with watching(registry, verbose):
        from composer.pipeline import run_recipe  # imports torch, which takes two seconds

        report = run_recipe(read, folder, device, fresh, registry, not no_wait, store, workers)
    print_results(report, random_pairs(read), everything=everything)
    print_saved(folder, time.perf_counter() - started)


@main.command(epilog=examples("composer check recipes/black_cat.yaml --set models.members=8"))
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


@main.command(epilog=examples("composer pictures recipes/black_cat.yaml --output sheet.png"))
@recipe_argument
@click.option(
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="PNG file to write.  [default: runs/<name of the recipe>/pictures.png]",
)
@set_option
@click.option("--per-cell", type=click.IntRange(1, 100), default=12, show_default=True, help="Pictures in a row.")
@store_option
def pictures(recipe: Path, output: Path | None, overrides: tuple[str, ...], per_cell: int, store: Path | None) -> None:
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
        from composer.pipeline import load_pictures  # imports torch
        from composer.results.contact_sheet import contact_sheet

        sheet = contact_sheet(load_pictures(read, registry=registry, store=store), per_cell)
    with writing(file):
        sheet.save(file, format="PNG")
    click.echo(file)


@main.command("list-plugins")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
def list_plugins(as_json: bool) -> None:
    """List what recipes can name.

    Plugins that cannot be loaded are listed too, with the reason.
    """
    from composer.command_line.catalogue import plugins_data, print_plugins
    from composer.registry import load_registry

    found = plugins_data(load_registry())
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        print_plugins(found)


@main.command(epilog=examples("composer describe cyclegan"))
@click.argument("name", shell_complete=completion.components)
def describe(name: str) -> None:
    """Describe the component NAME.

    Says what it does, what it needs, its options with their limits, and how a recipe uses it.
    """
    from composer.command_line.catalogue import print_component
    from composer.registry import load_registry, nearest

    registry = load_registry()
    offers = [(component, plugin) for component, plugin in registry.components() if component.name == name]
    if not offers:
        known = [component.name for component, _ in registry.components()]
        raise ComposerError(f"no component is called {name!r}{nearest(name, known)}")
    for component, plugin in offers:
        print_component(component, f"{plugin.distribution} {plugin.version}, plugin {plugin.name}")


@main.command(epilog=examples("composer schema --output recipes/recipe.schema.json"))
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write.  [default: print it]")
def schema(output: Path | None) -> None:
    """Print the JSON Schema of recipes.

    It knows the options of all installed plugins. Editors that know the YAML language server use it where the
    first line of a recipe is "# yaml-language-server: $schema=recipe.schema.json".
    """
    from composer.recipes.schema import recipe_schema
    from composer.registry import load_registry

    text = json.dumps(recipe_schema(load_registry()), indent=2) + "\n"
    if output is None:
        click.echo(text, nl=False)
        return
    with writing(output):
        output.write_text(text, encoding="utf-8")
    click.echo(output)


for command in (
    *COMMANDS,
    *cli_merge.COMMANDS,
    *cli_runs.COMMANDS,
    *cli_sweep.COMMANDS,
    *cli_zoo.COMMANDS,
    *cli_compose.COMMANDS,
    *cli_bench.COMMANDS,
    *cli_store.COMMANDS,
    new_plugin,
    check_plugin,
):
    main.add_command(command)


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


if __name__ == "__main__":
    main(prog_name="composer")
