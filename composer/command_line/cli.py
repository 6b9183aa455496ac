"""The command line. Rich, torch and the registry are imported by the commands that need them: `--help` is quick."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import traceback
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any, TextIO

import click

from composer.command_line import cli_models, cli_recipes, cli_runs, cli_zoo, completion
from composer.command_line.cli_bench import bench
from composer.command_line.cli_compose import compose
from composer.command_line.cli_init import init
from composer.command_line.cli_merge import merge
from composer.command_line.cli_options import examples
from composer.command_line.cli_plugins import check_plugin
from composer.command_line.cli_recipes import writing
from composer.command_line.cli_store import store
from composer.command_line.cli_sweep import sweep
from composer.command_line.cli_unite import unite
from composer.errors import ComposerError, PluginError
from composer.version import __version__

# Threads that wait by spinning make a run ten times slower where others use the same cores. Read when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

COMMANDS_OF_PLUGINS = "composer.commands"
"""The group of entry points `NAME = "module:command"` by which plugins offer commands of their own."""
STOPPED = 130
"""Exit code after Ctrl-C, as shells have it: 128 + SIGINT."""
KEEPING = ("run", "sweep", "pictures", "bench", "zoo")
"""Commands that go on from what was finished when they are called again."""


class Commands(click.Group):
    """Turns what a command raises into words and an exit code: 2 can be mended by the user, 1 is a bug."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they are needed, not of the alphabet; those of plugins last."""
        return [*self.commands, *sorted(offered().keys() - self.commands.keys())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        return super().get_command(ctx, cmd_name) or (of_plugin(cmd_name) if cmd_name in offered() else None)

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


@cache
def offered() -> dict[str, EntryPoint]:
    """The commands of plugins by name; none is imported before it is asked for."""
    return {entry.name: entry for entry in entry_points(group=COMMANDS_OF_PLUGINS)}


def of_plugin(name: str) -> click.Command:
    """A plugin's command; of one that cannot be loaded a command that says why."""
    try:
        found = offered()[name].load()
        if isinstance(found, click.Command):
            return found
        why = f"{offered()[name].value} is no command of click"
    except Exception as error:  # a plugin is somebody else's code and may raise anything
        why = f"{type(error).__name__}: {error}"

    def refuse() -> None:
        raise ComposerError(f"composer {name}: the plugin that offers it is broken ({why})")

    return click.Command(name, callback=refuse, help=f"Broken: {why}")


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


for command in (init, *cli_recipes.COMMANDS):  # come first, as people come first to them
    main.add_command(command)


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
    *cli_models.COMMANDS,
    merge,
    unite,
    *cli_runs.COMMANDS,
    sweep,
    *cli_zoo.COMMANDS,
    compose,
    bench,
    store,
    check_plugin,
):
    main.add_command(command)


if __name__ == "__main__":
    main(prog_name="composer")
