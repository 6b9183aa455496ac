"""`python -m composer` is the same as the command `composer`."""

from composer.command_line.cli import main

main(prog_name="composer")
