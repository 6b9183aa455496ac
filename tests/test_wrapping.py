"""Texts are broken between words, at whatever width, and paths stay whole."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

import pytest
from rich.text import Text

from composer.text import make_console

PATH = "/home/somebody/" + "a_long_folder_of_models/" * 6 + "black.pth"
SENTENCE = f"the file {PATH} holds four networks, and nothing says which of them means the concept; choose one by `key`"


def on_a_terminal(width: int, *arguments: str | Path) -> str:
    """What the command prints on a terminal of that many columns."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, width, 0, 0))
    environment = {**os.environ, "COLUMNS": str(width), "NO_COLOR": "1", "TERM": "xterm"}
    command = [sys.executable, "-m", "composer", *map(str, arguments)]
    with subprocess.Popen(command, stdout=theirs, stderr=theirs, stdin=theirs, env=environment) as process:
        os.close(theirs)
        said = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:  # the other end is closed
                break
            if not piece:
                break
            said += piece
        process.wait()
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", said.decode().replace("\r", ""))


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("terminal", [True, False])
def test_a_text_is_broken_between_words_only(
    width: int, terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = make_console(width=width)
    console._force_terminal = terminal
    console.print(Text("warning: ", style="yellow") + Text(SENTENCE))
    said = capsys.readouterr().out
    lines = said.splitlines()
    assert said.split() == ["warning:", *SENTENCE.split()]
    assert PATH in lines
    assert len(lines) > 2
    assert all(len(line) <= width for line in lines if line != PATH)


def test_what_is_piped_stays_on_one_line_where_it_is_to_be_found_by_others(capsys: pytest.CaptureFixture[str]) -> None:
    make_console(width=80).print(f"error: {SENTENCE}", soft_wrap=True)
    assert capsys.readouterr().out == f"error: {SENTENCE}\n"


def test_further_lines_stand_below_the_first_and_line_breaks_stay(capsys: pytest.CaptureFixture[str]) -> None:
    make_console(width=40).print("\n  models        black: checkpoints; cat: checkpoints\nend")
    assert capsys.readouterr().out.splitlines() == [
        "",
        "  models        black: checkpoints; cat:",
        "                checkpoints",
        "end",
    ]


@pytest.mark.parametrize("width", [80, 100])
def test_errors_and_checks_on_a_terminal_fit_its_columns_and_cut_no_word(width: int, tmp_path: Path) -> None:
    recipe = tmp_path / "r.yaml"
    recipe.write_text(
        "name: r\nconcepts: [black, cat]\nimages: {use: drawings, size: 16, train: 100, test: 40}\nmodels: train\n"
        "compositions:\n  both: {translator: cyclegan, assembler: transplant}\n  product: {assembler: product}\n"
    )
    for arguments in (
        ("check", recipe),
        ("check", recipe, "--set", "images=drawing"),
        ("inspect", tmp_path / "no.pth"),
    ):
        narrow, wide = (on_a_terminal(columns, *arguments) for columns in (width, 2000))
        assert narrow.split() == wide.split()
        words = set(wide.split())
        assert [line for line in narrow.splitlines() if len(line) > width and line.strip() not in words] == []
