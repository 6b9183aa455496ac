"""composer, called in this process."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from composer.command_line.cli import main


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments], prog_name="composer")
