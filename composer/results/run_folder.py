"""Reads the folder of a finished run; nothing here imports torch."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer.data.files import one_line, read_part
from composer.errors import ComposerError
from composer.running.last_run import LAST
from composer.running.locking import reading

SCORES = "scores.csv"
COLUMNS = (
    "composition",
    "control",
    "score",
    "member",
    "member_name",
    "value",
    "picked",
    "labels",
    "higher_is_better",
)
"""Of scores.csv: a row for every composition, score and member."""


@dataclass(frozen=True)
class SavedRun:
    """What a finished run says of itself.

    report: report.json. run: run.json. document: the resolved recipe.
    """

    folder: Path
    report: Mapping[str, Any]
    run: Mapping[str, Any]
    document: Mapping[str, Any]

    def scores(self) -> list[dict[str, str]]:
        """The rows of scores.csv; ComposerError where it is not there or not whole."""
        file = self.folder / SCORES
        try:
            with file.open(encoding="utf-8", newline="") as lines:
                table = csv.DictReader(lines)
                rows = list(table)
        except FileNotFoundError:
            raise ComposerError(
                f"{self.folder}: has no {SCORES}; an older composer made it: run its recipe again, "
                "which computes nothing that is kept"
            ) from None
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            raise ComposerError(f"{file}: damaged: {error}") from None
        wanting = not rows and not self.report.get("not_judged")
        cut = any(None in row or None in row.values() for row in rows)
        if tuple(table.fieldnames or ()) != COLUMNS or wanting or cut:
            raise ComposerError(f"{file}: damaged: it is no table of {', '.join(COLUMNS)}")
        return rows


def read_run(folder: Path) -> SavedRun:
    """A finished run; ComposerError where there is none, where it has not finished, or is damaged."""
    require_run(folder)
    with reading(folder):
        return _read_run(folder)


def _read_run(folder: Path) -> SavedRun:
    import yaml  # not for the constants, which `composer --help` reads

    from composer.data.records import ReportRecord, RunRecord

    report = read_part(folder / "report.json", ReportRecord)
    run = read_part(folder / "run.json", RunRecord)
    try:
        document = yaml.safe_load((folder / "recipe.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, RecursionError, yaml.YAMLError) as error:
        raise ComposerError(f"{folder / 'recipe.yaml'}: damaged: {one_line(error)}") from None
    if not isinstance(document, dict):
        raise ComposerError(f"{folder / 'recipe.yaml'}: damaged: it holds no recipe")
    return SavedRun(folder, report, run, document)


def read_runs(folders: Sequence[Path]) -> list[SavedRun]:
    """Several runs; one ComposerError that names all that cannot be read."""
    runs, problems = [], []
    for folder in folders:
        try:
            runs.append(read_run(folder))
        except ComposerError as error:
            problems.append(str(error))
    if problems:
        raise ComposerError("\n".join(problems))
    return runs


def require_run(folder: Path) -> None:
    """ComposerError unless `folder` is that of a run that finished."""
    if not folder.is_dir():
        raise ComposerError(f"{folder}: there is no such folder{_others(folder)}")
    if (folder / "report.json").exists() or (folder / "run.json").exists():
        return
    if (folder / LAST).exists():
        raise ComposerError(f"{folder}: the run has not finished; `composer run` with its recipe goes on where it was")
    raise ComposerError(f"{folder}: holds no run (no report.json){_others(folder / 'x')}")


def _others(folder: Path) -> str:
    """`; there are runs/a, runs/b`: the runs beside `folder`, a few of them."""
    if not folder.parent.is_dir():
        return ""
    near = sorted(file.parent for file in folder.parent.glob("*/report.json"))
    more = ", ..." if len(near) > 5 else ""
    return f"; there are {', '.join(map(str, near[:5]))}{more}" if near else ""


def typed(row: Mapping[str, str]) -> dict[str, str | float | int | bool]:
    """A row of scores.csv with numbers and truth values in place of their text."""
    truths = {key: row[key] == "true" for key in ("control", "picked", "higher_is_better")}
    return {**row, **truths, "member": int(row["member"]), "value": float(row["value"])}
