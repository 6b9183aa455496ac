"""Which files a pattern means; no torch in here."""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path


def matching_files(pattern: Path) -> list[Path]:
    """The files that `pattern` matches, in natural order: model_2 before model_10."""
    folder, rest = _split(pattern)
    if not rest:
        return [folder] if folder.is_file() else []
    try:
        found = [file for file in folder.glob(rest) if file.is_file() and not file.name.startswith(".")]
    except ValueError:  # `**` beside other letters: such a pattern matches nothing
        return []
    return sorted(found, key=_natural)


def explain_no_match(pattern: Path) -> str:
    """What is there instead of a match."""
    folder, rest = _split(pattern)
    if not rest:
        return f"{pattern} is a folder; say which files in it, such as {pattern.name}/*.pth"
    if not folder.is_dir():
        return f"no file matches {pattern}: {folder} is no folder"
    wanted = Path(rest).parts[0]
    there = sorted(entry.name for entry in folder.iterdir())
    start = f"no file matches {pattern}: "
    if near := get_close_matches(wanted, there, n=1):
        return f"{start}there is no {wanted!r} in {folder}; did you mean {near[0]!r}?"
    if not there:
        return f"{start}the folder {folder} is empty"
    listed = ", ".join(there[:3]) + (", ..." if len(there) > 3 else "")
    return f"{start}{folder} holds {len(there)} other files and folders ({listed})"


def _split(pattern: Path) -> tuple[Path, str]:
    """The deepest part that exists as written (so that a folder may be called `[a]`), and the pattern below it."""
    folder = pattern
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    rest = pattern.relative_to(folder)
    return folder, "" if rest == Path() else rest.as_posix()


def _natural(path: Path) -> list[tuple[str, int]]:
    pieces = re.split(r"(\d+)", path.as_posix())
    return [("", int(piece)) if piece.isdigit() else (piece, 0) for piece in pieces]


def may_be_stacked(files: Sequence[Path]) -> bool:
    """Whether one file may hold all members."""
    return len(files) == 1 and files[0].suffix.lower() == ".safetensors"
