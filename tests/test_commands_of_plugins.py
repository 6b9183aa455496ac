"""Commands that plugins offer stand beside composer's own, and a broken one takes none of them down."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from composer.command_line import cli

GREET = """
import click

@click.command()
@click.argument("name")
def greet(name):
    "Greet NAME."
    click.echo(f"hello {name}")

number = 3
"""


@pytest.fixture
def plugins(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """A package with a command, and entry points of which two lead to none."""
    (tmp_path / "greeting.py").write_text(GREET, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    places = {"greet": "greeting:greet", "number": "greeting:number", "absent": "nowhere:command", "run": "nowhere:run"}
    entries = [EntryPoint(name, value, cli.COMMANDS_OF_PLUGINS) for name, value in places.items()]
    monkeypatch.setattr(cli, "entry_points", lambda group: entries if group == cli.COMMANDS_OF_PLUGINS else [])
    cli.offered.cache_clear()
    yield
    cli.offered.cache_clear()


def composer(*arguments: str) -> Result:
    return CliRunner().invoke(cli.main, arguments, prog_name="composer")


def test_a_plugins_command_is_listed_and_run(plugins: None) -> None:
    listed = composer("--help").output
    assert "Greet NAME." in listed
    assert listed.index("  store") < listed.index("  greet"), "those of plugins come last"
    assert composer("greet", "you").output == "hello you\n"


def test_a_broken_command_says_so_and_leaves_the_others_alone(plugins: None) -> None:
    assert "Broken: ModuleNotFoundError" in composer("--help").output
    for name, why in (("absent", "No module named 'nowhere'"), ("number", "greeting:number is no command of click")):
        refused = composer(name)
        assert refused.exit_code == 2
        assert f"composer {name}: the plugin that offers it is broken" in refused.output
        assert why in " ".join(refused.output.split())


def test_no_plugin_takes_the_place_of_a_command_of_composers_own(plugins: None) -> None:
    assert composer("run", "--help").exit_code == 0
