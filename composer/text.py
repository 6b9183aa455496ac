"""Text for people: consoles that break between words, plain tables, times."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from typing import Any, TextIO

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

LABEL = re.compile(r"\s*(\S+\s{2,})?")
"""What a line begins with that its continuation stands right of: `  models        `."""
WORD = re.compile(r"\S+\s*")
PIPED_WIDTH = 100
"""Columns of a table that goes to a file or another program."""


class WordConsole(Console):
    """A console that breaks a text between words and never within one, further lines standing below the first.

    `soft_wrap` leaves a text on one line where there is no terminal; a terminal would cut it wherever it is full.
    """

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich prints; a single text by words."""
        one_line = options.get("soft_wrap") and not self.is_terminal
        if len(objects) != 1 or not isinstance(objects[0], (str, Text)) or one_line:
            super().print(*objects, **options)
            return
        text = Text(objects[0]) if isinstance(objects[0], str) else objects[0]
        for line in text.split("\n", allow_blank=True):
            for part in self._by_words(line):
                super().print(part, **{**options, "soft_wrap": True})

    def _by_words(self, line: Text) -> Iterator[Text]:
        label = LABEL.match(line.plain)
        hang = label.end() if label and label.end() <= self.width // 2 else 0
        first, rest = line[:hang], line[hang:]
        for index, part in enumerate(rest.divide(breaks(rest.plain, self.width - hang))):
            part.rstrip()
            yield (Text(" " * hang) if index else first) + part


def breaks(text: str, width: int) -> list[int]:
    """Where lines of at most `width` columns begin, the first left out; a longer word has a line of its own."""
    found, used = [], 0
    for word in WORD.finditer(text):
        if used and used + cell_len(word.group().rstrip()) > width:
            found.append(word.start())
            used = 0
        used += cell_len(word.group())
    return found


def make_console(*, error: bool = False, width: int | None = None) -> Console:
    """A console on standard output or standard error; no colours of its own, and wide where there is no terminal."""
    stream: TextIO = sys.stderr if error else sys.stdout
    console = WordConsole(stderr=error, highlight=False, markup=False, emoji=False)
    if width is not None:
        console.width = width
    elif not stream.isatty():
        console.width = max(PIPED_WIDTH, console.width)
    return console


def seconds_text(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3 min 05 s`, `2 h 07 min`."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def plain_table(*columns: str, right: int = 0, gap: int = 0) -> Table:
    """A table without borders, to be filled. right: how many of the last columns hold numbers. gap: between columns."""
    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, gap, 0, 0))
    for index, column in enumerate(columns):
        table.add_column(column, justify="left" if index < len(columns) - right else "right", overflow="fold")
    return table


def counted(count: int, noun: str) -> str:
    """`1 picture`, `3 pictures`."""
    return f"{count} {noun}{'' if count == 1 else 's'}"


def percent(probability: float | None) -> str:
    """`97.3 %`; what is nearly certain is not rounded to certainty."""
    if probability is None:
        return "-"
    if 0 < probability < 0.0005:
        return "<0.1 %"
    if 0.9995 <= probability < 1:
        return ">99.9 %"
    return f"{100 * probability:.1f} %"
