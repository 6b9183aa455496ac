"""The commands for people who write plugins: check-plugin. Torch and the checks are imported by the command."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from composer.command_line.completion import plugins

if TYPE_CHECKING:
    from composer.testing.installed import Outcome, Subject

Checked = Sequence[tuple["Subject", Sequence["Outcome"]]]


@click.command(
    "check-plugin",
    epilog="\n".join(
        [
            "\b",
            "Examples:",
            "  composer check-plugin my-plugin",
            "  composer check-plugin cyclegan --set cyclegan.epochs=1",
            "  composer check-plugin digits --concepts green,seven --json",
        ]
    ),
)
@click.argument("name", shell_complete=plugins)
@click.option(
    "--set",
    "settings",
    metavar="COMPONENT.OPTION=VALUE",
    multiple=True,
    help="Check a component with this option: cyclegan.epochs=1. May be repeated.",
)
@click.option(
    "--concepts", default="black,cat", show_default=True, help="What image and model sources are asked for, by commas."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of tables.")
def check_plugin(name: str, settings: tuple[str, ...], concepts: str, as_json: bool) -> None:
    """Check whether a plugin's components keep their contracts.

    NAME is a plugin, a distribution or a component, as list-plugins shows them. Every component is tried out on tiny
    pictures and networks that are made here.

    Components that need what cannot be made up, such as a folder of pictures, are reported as not checked; --set
    gives it to them. The exit code is 2 where a check fails, and where nothing could be checked.
    """
    from composer.registry import load_registry
    from composer.testing.installed import read_concepts, read_settings, subjects  # imports torch

    chosen = subjects(name, load_registry(), read_settings(settings, "--set"), read_concepts(concepts, "--concepts"))
    checked: list[tuple[Subject, Sequence[Outcome]]] = []
    for subject in chosen:
        if not as_json:
            click.echo(f"checking {subject.title}", err=True)
        checked.append((subject, list(subject.outcomes())))
    if as_json:
        click.echo(json.dumps(checked_data(checked), indent=2, ensure_ascii=False))
    else:
        from composer.command_line.terminal_plugins import print_checked

        print_checked(checked)
    results = {outcome.result for _, outcomes in checked for outcome in outcomes}
    if "failed" in results or "passed" not in results:
        click.get_current_context().exit(2)


def checked_data(checked: Checked) -> list[dict[str, Any]]:
    """All components with what every check found, as plain data."""
    return [
        {
            "kind": subject.component.kind,
            "name": subject.component.name,
            "distribution": subject.plugin.distribution,
            "version": subject.plugin.version,
            "plugin": subject.plugin.name,
            "checks": [
                {
                    "check": outcome.check.name,
                    "promise": outcome.check.promise,
                    "result": outcome.result,
                    "message": outcome.message,
                }
                for outcome in outcomes
            ],
        }
        for subject, outcomes in checked
    ]
