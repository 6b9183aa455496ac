"""A table before it is drawn: every cell has its text, and the number that it is sorted by."""

from __future__ import annotations

from dataclasses import dataclass

from rich.table import Table

from composer.text import plain_table


@dataclass(frozen=True)
class Cell:
    """What stands in one place of a table; value: what it is sorted by, None for what is missing."""

    text: str
    value: float | str | None = None


@dataclass(frozen=True)
class Row:
    """A row; group: the heading that it stands below, of rows that belong together."""

    cells: tuple[Cell, ...]
    group: str = ""


@dataclass(frozen=True)
class Sheet:
    """Headers, whose lines newlines part, and rows. words: how many of the first columns hold words, not numbers."""

    headers: tuple[str, ...]
    rows: tuple[Row, ...]
    words: tuple[int, ...] = (0,)

    def drawn(self) -> Table:
        """As the terminal shows it: rows of a group are indented below its heading."""
        table = plain_table()
        for index, header in enumerate(self.headers):
            if index in self.words:
                table.add_column(header, overflow="fold")
            else:
                table.add_column(header, justify="right", no_wrap=True)
        group = ""
        for row in self.rows:
            if row.group != group:
                table.add_section()
                if row.group.strip():
                    table.add_row(f"{row.group}:")
                group = row.group
            first, *others = (cell.text for cell in row.cells)
            inside = bool(row.group.strip())
            table.add_row(f"  {first}" if inside else first, *others, style="dim" if inside else "")
        return table


def word(text: str) -> Cell:
    """A cell that is sorted by its text."""
    return Cell(text, text)


def number(value: float | None) -> str:
    """Three decimals, or a dash for what is missing."""
    return "-" if value is None else f"{value:.3f}"


def numeric(value: float | None, text: str | None = None) -> Cell:
    """A number with three decimals, or as `text` says it; a dash for what is missing."""
    return Cell(number(value) if text is None else text, value)
