"""docs/plugins.md: every command on the page is run, in order, and gives the output that stands there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from clean_environment import ROOT, Environment

PAGE = ROOT / "docs" / "plugins.md"
PROMPT = "$ "
PUBLISHING = "Publishing"
MEASURED = (
    (r"\b\d+\.\d+\.\d+\b", "VERSION"),
    (r"\bin \d+\.\d+s( \(\d+:\d\d:\d\d\))?", "in SECONDS"),
    (r"\b\d+(\.\d+)? s\b", "SECONDS"),
    (r"-?\b\d\.\d{3}\b", "SCORE"),
    (r"[ \t]+", " "),  # columns are as wide as their numbers
)
"""What differs from one machine, or one release, to another."""


@dataclass(frozen=True)
class Block:
    """A fenced block of the page, and the section that it stands in."""

    section: str
    language: str
    text: str

    @property
    def commands(self) -> list[tuple[str, str]]:
        """Each command of a console block with its output."""
        parts = re.split(r"^\$ (.*)\n", self.text, flags=re.MULTILINE)[1:]
        return list(zip(parts[::2], parts[1::2], strict=True))


def blocks(language: str) -> Iterator[Block]:
    for section in re.split("^## ", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE):
        for found, text in re.findall(r"^```(\w+)\n(.*?)^```$", section, flags=re.MULTILINE | re.DOTALL):
            if found == language:
                yield Block(section.splitlines()[0], found, text)


def comparable(output: str) -> list[str]:
    """Lines without what differs between machines."""
    for pattern, name in MEASURED:
        output = re.sub(pattern, name, output)
    return [line.strip() for line in output.strip().splitlines()]


def fits(shown: list[str], met: list[str]) -> bool:
    """Whether the lines are those that the page shows, whose `...` stands for any number of them."""
    pattern = "".join(r"(?:.*\n)*" if line == "..." else re.escape(line) + "\n" for line in shown)
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in met)) is not None


def follow(commands: list[tuple[str, str]], environment: Environment, folder: Path) -> None:
    """Runs the commands as a reader would, each in the folder that the last `cd` led to."""
    assert commands, "no command was found on the page"
    for command, shown in commands:
        if command.startswith("cd "):
            folder = folder / command.removeprefix("cd ")
            continue
        met = environment.run(command, folder).stdout
        assert fits(comparable(shown), comparable(met)), f"$ {command}\n{met}\nbut docs/plugins.md shows\n{shown}"


def test_output_fits_what_is_shown_but_for_what_differs_between_machines() -> None:
    assert fits(comparable("3 passed in 1.20s\n...\n"), comparable("3 passed in 12.34s\nand\nmore\n"))
    assert not fits(comparable("3 passed in 1.20s"), comparable("2 passed in 1.20s"))
    assert not fits(comparable("a\n...\nb\n"), comparable("a\n"))


@pytest.mark.usefixtures("own_store")
@pytest.mark.slow
def test_every_command_gives_the_output_that_the_page_shows(environment: Environment, tmp_path: Path) -> None:
    commands = [each for block in blocks("console") if block.section != PUBLISHING for each in block.commands]
    follow(commands, environment, tmp_path)
    home = tmp_path / "composer-blend"
    session = home / "session.txt"
    session.write_text("\n".join(block.text for block in blocks("pycon")), encoding="utf-8")
    environment.succeed("python -m doctest session.txt", home)


@pytest.mark.slow
def test_the_plugin_of_the_page_can_be_published(environment: Environment, tmp_path: Path) -> None:
    if not all(environment.has(tool) for tool in ("build", "twine")):
        pytest.skip("build and twine are not both installed")
    environment.succeed("composer new-plugin blend --kind translator", tmp_path)
    commands = [each for block in blocks("console") if block.section == PUBLISHING for each in block.commands]
    follow(commands, environment, tmp_path / "composer-blend")


def test_the_code_on_the_page_is_the_code_that_is_written(tmp_path: Path) -> None:
    from composer_new_plugin import rendered

    written = "\n".join(rendered("blend", "translator").values())
    shown = [*blocks("python"), *blocks("toml")]
    assert len(shown) == 2
    for block in shown:
        assert block.text in written


def test_every_kind_is_named_on_the_page() -> None:
    from composer_new_plugin import KINDS

    for kind in KINDS:
        assert f"`{kind}`" in PAGE.read_text(encoding="utf-8")
