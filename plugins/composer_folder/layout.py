"""Which folders hold which pictures, and what is wrong with them; nothing is opened here, and no torch imported."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import NoReturn

from composer import ComposerError, Split, cell_concepts, cell_name, cell_names, is_picture

ANSWERS = {"yes": True, "no": False}
"""Folders within a concept's training folder -> whether their pictures show the concept."""


@dataclass(frozen=True)
class Group:
    """A folder of pictures that all show the same of a recipe's concepts."""

    folder: Path
    shown: frozenset[str]


@dataclass(frozen=True)
class Contents:
    """What lies in a folder and the folders within it, in name order."""

    pictures: tuple[Path, ...]
    others: tuple[Path, ...]


def contents(folder: Path, ignore: Sequence[str], limit: int | None = None) -> Contents:
    """All pictures, or `limit` of them evenly spaced, and all files that are none."""
    files = sorted(_walk(folder, ignore), key=lambda path: path.relative_to(folder).as_posix())
    pictures = [path for path in files if is_picture(path)]
    others = tuple(path for path in files if not is_picture(path))
    if limit is not None and limit < len(pictures):
        pictures = [pictures[index * len(pictures) // limit] for index in range(limit)]
    return Contents(tuple(pictures), others)


def entries(folder: Path, ignore: Sequence[str] = ()) -> list[Path]:
    """What lies directly in a folder, by name; hidden and ignored names left out."""
    try:
        return sorted(path for path in folder.iterdir() if _kept(path.name, ignore))
    except OSError as error:
        _cannot_list(error)


def training_folders(train: Path, ignore: Sequence[str]) -> list[Path]:
    """The `yes` and `no` of every concept, whether they are there or not."""
    return [concept / answer for concept in entries(train, ignore) for answer in ANSWERS] if train.is_dir() else []


def test_folders(test: Path, ignore: Sequence[str]) -> list[Path]:
    """Everything that may be the folder of a cell."""
    return entries(test, ignore) if test.is_dir() else []


def readable_files(folders: Iterable[Path], ignore: Sequence[str], limit: int | None) -> Iterator[Path]:
    """Every picture file in these folders that can be opened; what cannot has no content to hash."""
    for folder in folders:
        if folder.is_dir():
            yield from (path for path in contents(folder, ignore, limit).pictures if is_readable(path))


def is_readable(path: Path) -> bool:
    """Whether it is a file (no pipe, no dead link) that may be opened, under a name that can be written down."""
    return path.is_file() and os.access(path, os.R_OK) and printable(path) == str(path)


def printable(path: Path | str) -> str:
    """The path as text, with `?` for bytes that are not UTF-8, which neither terminals nor JSON take."""
    return str(path).encode("utf-8", "replace").decode("utf-8")


def training_groups(train: Path, concept: str) -> list[Group]:
    """The folders `yes` and `no` of a concept."""
    return [Group(train / concept / answer, frozenset([concept] if shown else [])) for answer, shown in ANSWERS.items()]


def test_groups(test: Path, concepts: Sequence[str], ignore: Sequence[str]) -> list[Group]:
    """The folders of cells, those of the target first and of `none` last."""
    found: dict[frozenset[str], list[Group]] = {cell: [] for cell in _cells(concepts)}
    for folder in entries(test, ignore):
        shown = _shown_by(folder.name, concepts)
        if shown is not None and folder.is_dir():
            found[shown].append(Group(folder, shown))
    return [group for groups in found.values() for group in groups]


def empty_cells(groups: Iterable[Group], concepts: Sequence[str], ignore: Sequence[str]) -> list[str]:
    """The cells of which there is no picture, in the order of `test_groups`."""
    filled = {group.shown for group in groups if _has_pictures(group.folder, ignore)}
    return [name for cell, name in _cells(concepts).items() if cell not in filled]


def training_problems(train: Path, concept: str, ignore: Sequence[str]) -> Iterator[str]:
    """What keeps the concept's training pictures from being loaded."""
    if not (train / concept).is_dir():
        yield missing(train / concept)
        return
    for answer in ANSWERS:
        folder = train / concept / answer
        if not folder.is_dir():
            yield f"{missing(folder)}; a concept's folder holds a folder `yes` and a folder `no`"
        elif not _has_pictures(folder, ignore):
            yield f"no pictures in {folder}: {holding(folder)}"


def test_problems(test: Path, split: Split, ignore: Sequence[str]) -> Iterator[str]:
    """What keeps the test pictures from being loaded."""
    concepts = split.concepts
    targets, others = cells_of_the_target(split)
    cells = ", ".join(_cells(concepts).values())
    if not test.is_dir():
        yield f"{missing(test)}; it has to hold a folder for each cell: {cells}"
        return
    for folder in entries(test, ignore):
        if folder.is_dir() and _shown_by(folder.name, concepts) is None:
            meant = did_you_mean(_nearest_cell(folder.name, concepts))
            yield f"{printable(folder)} is no cell{meant} (cells: {cells}; `ignore` leaves a folder out)"
    groups = test_groups(test, concepts, ignore)
    empty = empty_cells(groups, concepts, ignore)
    if set(targets) <= set(empty):
        shown = [group.folder for group in groups if _cells(concepts)[group.shown] in targets]
        absent = " and no folder ".join(str(test / target) for target in targets)
        wrong = f"no pictures in {shown[0]}" if shown else f"no folder {absent}"
        yield f"{wrong}, which has to show the target: {holding(test)}"
    if set(others) <= set(empty):
        but = ", ".join(targets)
        yield f"no pictures of any cell but {but}: {holding(test)}; add at least one of {', '.join(others)}"


def cells_of_the_target(split: Split) -> tuple[list[str], list[str]]:
    """The cells that are the target, and all others."""
    true = dict(zip(cell_names(split.concepts), split.target.cells(split.concepts), strict=True))
    return [cell for cell in true if true[cell]], [cell for cell in true if not true[cell]]


def listed(names: Sequence[str], most: int = 8) -> str:
    """`a, b and 3 more`, or `nothing`."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "nothing"


def _cells(concepts: Sequence[str]) -> dict[frozenset[str], str]:
    """Shown concepts -> name of the cell, the target first and `none` last."""
    return {frozenset(cell_concepts(cell)): cell for cell in cell_names(concepts)}


def _shown_by(name: str, concepts: Sequence[str]) -> frozenset[str] | None:
    """The concepts that a cell's folder shows (`cat+black` shows both), or None for another folder."""
    parts = cell_concepts(name)
    shown = frozenset(parts)
    return shown if len(shown) == len(parts) and shown <= set(concepts) else None


def _has_pictures(folder: Path, ignore: Sequence[str]) -> bool:
    return any(is_picture(path) for path in _walk(folder, ignore))


def _kept(name: str, ignore: Sequence[str]) -> bool:
    return not name.startswith(".") and not any(fnmatchcase(name, pattern) for pattern in ignore)


def _walk(folder: Path, ignore: Sequence[str]) -> Iterator[Path]:
    seen: set[str] = set()
    for place, folders, files in os.walk(folder, followlinks=True, onerror=_cannot_list):
        real = os.path.realpath(place)
        if real in seen:  # a link back to a folder above
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(name for name in folders if _kept(name, ignore))
        yield from (Path(place, name) for name in files if _kept(name, ignore))


def _cannot_list(error: OSError) -> NoReturn:
    raise ComposerError(f"{printable(error.filename)}: cannot be listed: {error.strerror}; check the folder's rights")


def missing(folder: Path) -> str:
    """`no folder a/b/c; did you mean 'B'? a holds B, d`, from the innermost folder that there is."""
    if folder.exists():
        return f"{folder} is a file, not a folder"
    place = folder.parent
    while not place.is_dir():
        place = place.parent
    there = [path.name for path in entries(place) if path.is_dir()]
    absent = folder.relative_to(place).parts[0]
    return f"no folder {folder}{did_you_mean(nearest(absent, there))} ({holding(place)})"


def holding(folder: Path) -> str:
    """`FOLDER holds a, b and 3 more`, or nothing."""
    return printable(f"{folder} holds {listed([path.name for path in entries(folder)])}")


def did_you_mean(name: str | None) -> str:
    """`; did you mean 'NAME'?`, or nothing where no name is near."""
    return f"; did you mean {printable(name)!r}?" if name else ""


def nearest(name: str, known: Iterable[str]) -> str | None:
    """The known name that is most like another, capitals apart; None where none is."""
    by_folded = {other.casefold(): other for other in known}  # capitals are the most frequent slip
    found = get_close_matches(name.casefold(), by_folded, n=1)
    return by_folded[found[0]] if found else None


def _nearest_cell(name: str, concepts: Sequence[str]) -> str | None:
    """`cat+blck` -> `cat+black`, `Other` -> None."""
    mended = cell_name(nearest(part, concepts) or part for part in cell_concepts(name))
    return mended if _shown_by(mended, concepts) else nearest(name, _cells(concepts).values())
