"""Reads a table of labels, whoever wrote it; all that is wrong with it is said with line and column."""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from composer_cells.collection import Collection, Picture, RefusedError
from composer_folder import layout

if TYPE_CHECKING:
    from composer_cells import Cells

DELIMITERS = (",", ";", "\t")
PARTS = {"train": False, "training": False, "val": False, "valid": False, "validation": False, "test": True}
"""What a column of splits may say -> whether the picture is tested on."""
NAMED = 3
"""Lines that a message names; of the others their number."""


@dataclass
class _Wrong:
    """What is wrong with a table: message -> the lines where it is."""

    table: Path
    lines: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def add(self, option: str, what: str, line: int, met: str = "") -> None:
        self.lines.setdefault((option, what), []).append(f"line {line}{met}")

    def problems(self) -> Iterator[tuple[str, str]]:
        for (option, what), lines in self.lines.items():
            yield option, f"{layout.printable(self.table)}: {layout.listed(lines, NAMED)}: {what}"


@dataclass(frozen=True)
class _Columns:
    """Which columns of a table hold what."""

    file: str
    factors: tuple[str, ...]
    group: str | None
    split: str | None

    @property
    def needed(self) -> tuple[str, ...]:
        return (self.file, *self.factors, *filter(None, (self.group,)))

    def filled(self, rows: Sequence[Mapping[str, str]]) -> _Columns:
        """Without those of group and split that are empty in every row."""

        def kept(column: str | None) -> str | None:
            return column if column and any(row[column] for row in rows) else None

        return replace(self, group=kept(self.group), split=kept(self.split))


def read_table(source: Cells, table: Path) -> Collection:
    """The pictures of a table; RefusedError for all that is wrong with it."""
    rows = _Rows(source, table, _text(table))
    columns = _columns(source, table, rows.header)
    wrong = _Wrong(table)
    described = list(rows.read(wrong))
    if not described and not wrong.lines:
        _refuse("labels", table, "has no row below its header")
    columns = columns.filled([row for _, row in described])
    seen: dict[str, int] = {}
    pictures = []
    for line, row in described:
        _check(row, line, columns, wrong)
        path = source.root / row[columns.file]
        if os.path.isabs(row[columns.file]):  # noqa: PTH117
            what = "a file is named as seen from `root`, so that the table can be moved with its pictures"
            wrong.add("labels", what, line, f" ({layout.printable(row[columns.file])})")
        elif row[columns.file] and not os.path.isfile(path):  # noqa: PTH113  # False too for a name that no disk takes
            wrong.add("labels", "there is no such file", line, f" ({layout.printable(row[columns.file])})")
        first = seen.setdefault(os.path.normpath(path), line)
        if row[columns.file] and first != line:
            wrong.add("labels", "a file has one row only", line, f" (as line {first}: {row[columns.file]})")
        pictures.append(
            Picture(
                path,
                row[columns.file],
                tuple(row[factor] for factor in columns.factors),
                row[columns.group] if columns.group else "",
                PARTS.get(row[columns.split].casefold()) if columns.split else None,
            )
        )
    if wrong.lines:
        raise RefusedError(list(wrong.problems()))
    ordered = tuple(sorted(pictures, key=lambda picture: picture.name))
    return Collection(ordered, columns.factors, (table,), (), columns.group is not None, columns.split is not None)


def _check(row: Mapping[str, str], line: int, columns: _Columns, wrong: _Wrong) -> None:
    for column in columns.needed:
        if not row[column]:
            wrong.add("labels", f"column {column!r} is empty; fill it in", line)
    for column in columns.factors:
        if "+" in row[column]:
            wrong.add("labels", f"column {column!r} has a '+', which joins what is shown", line, f" ({row[column]!r})")
    split = columns.split
    if split and row[split].casefold() not in PARTS:
        what = f"column {split!r} must be one of {', '.join(PARTS)} in every row, or empty in all"
        wrong.add("split", what, line, f" ({row[split]!r})")


class _Rows:
    """The header and the rows of a table's text."""

    def __init__(self, source: Cells, table: Path, text: str) -> None:
        self.table = table
        first = next((line for line in text.splitlines() if line.strip()), "")
        self.delimiter = next((sign for sign in DELIMITERS if source.file in _cut(first, sign)), None) or max(
            DELIMITERS, key=first.count
        )
        self.reader = csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter, strict=True)
        self.header = tuple(name.strip() for name in next(self._fields(), ()))
        if not self.header:
            _refuse("labels", table, "is empty; its first line names the columns, as file,attribute,object")
        twice = [name for name in self.header if self.header.count(name) > 1]
        if twice:
            _refuse("labels", table, f"line 1 has two columns {twice[0]!r}")

    def read(self, wrong: _Wrong) -> Iterator[tuple[int, dict[str, str]]]:
        """(line, its entries by column); a line of another length is noted as wrong."""
        for fields in self._fields():
            line = self.reader.line_num
            if len(fields) != len(self.header):
                what = f"the header has {len(self.header)} columns"
                wrong.add("labels", what, line, f" ({len(fields)})")
            else:
                yield line, dict(zip(self.header, map(str.strip, fields), strict=True))

    def _fields(self) -> Iterator[list[str]]:
        """Every line that is not blank; RefusedError for one that is no line of a table."""
        try:
            for fields in self.reader:
                if any(map(str.strip, fields)):
                    yield fields
        except csv.Error as error:
            _refuse("labels", self.table, f"line {self.reader.line_num}: {error}; are its quotation marks in pairs?")


def _cut(line: str, delimiter: str) -> list[str]:
    return [name.strip().strip('"').strip() for name in line.split(delimiter)]


def _columns(source: Cells, table: Path, header: Sequence[str]) -> _Columns:
    """The columns that the options name; RefusedError for those that there are not."""
    from composer_cells import GROUP, SPLIT

    given = {"group": (source.group, GROUP), "split": (source.split, SPLIT)}
    chosen = {option: name for option, (name, usual) in given.items() if name in header or name != usual}
    asked = [("file", source.file), *(("factors", name) for name in source.factors)]
    asked += [(option, name) for option, name in chosen.items() if name is not None]
    absent = [(option, name) for option, name in asked if name not in header]
    if absent:
        raise RefusedError(
            [
                (
                    option,
                    f"{layout.printable(table)}: line 1 has no column {name!r}"
                    f"{layout.did_you_mean(layout.nearest(name, header))} (its columns: {', '.join(header)})",
                )
                for option, name in absent
            ]
        )
    spoken_for = {source.file, GROUP, SPLIT, source.group, source.split}
    factors = source.factors or tuple(name for name in header if name and name not in spoken_for)
    if not factors:
        _refuse("factors", table, f"line 1 has no column for what a picture shows (its columns: {', '.join(header)})")
    return _Columns(source.file, factors, chosen.get("group"), chosen.get("split"))


def _text(table: Path) -> str:
    """The table's text, with or without the mark that Excel puts in front; RefusedError for another encoding."""
    try:
        content = table.read_bytes()
    except OSError as error:
        _refuse("labels", table, f"cannot be read: {error.strerror}")
    if content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        _refuse("labels", table, "is a workbook and no table of text; save it as 'CSV UTF-8'")
    if b"\0" in content:
        _refuse("labels", table, "is not UTF-8 but looks like UTF-16; save it as 'CSV UTF-8'")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        met = f"line {line} is not UTF-8 (byte 0x{content[error.start]:02x})"
        _refuse("labels", table, f"{met}; save it as 'CSV UTF-8'")


def _refuse(option: str, table: Path, message: str) -> NoReturn:
    raise RefusedError([(option, f"{layout.printable(table)}: {message}")])
