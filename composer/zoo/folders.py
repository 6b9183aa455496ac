"""Pictures in two folders, those that show a concept and those that do not, made ready to learn from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from composer.data.decoding import FileDecoder, UnreadablePictureError
from composer.data.files import PICTURE_SUFFIXES, picture_files
from composer.data.images import Images
from composer.errors import ComposerError
from composer.running.sealing import file_digest

UNREADABLE = 0.05
"""Share of the pictures that may be unreadable."""


def labelled_pictures(concept: str, yes: Path, no: Path, size: int, warn: Callable[[str], None]) -> Images:
    """Every picture of two folders at one size, labelled with the concept; copies within a folder count once.

    ComposerError for a folder without pictures, for a picture that lies in both, and where many cannot be read.
    """
    each = {True: _files(yes, "--yes"), False: _files(no, "--no")}
    digests = {shown: _different(files) for shown, files in each.items()}
    if both := [digest for digest in digests[True] if digest in digests[False]]:
        raise ComposerError(
            f"--yes and --no: {len(both)} pictures are in both, such as {digests[True][both[0]]} and "
            f"{digests[False][both[0]]}; a picture shows {concept!r} or it does not"
        )
    copies = sum(len(each[shown]) - len(digests[shown]) for shown in each)
    if copies:
        warn(f"{copies} pictures are copies of others and count once")
    files = [(file, shown) for shown in (True, False) for file in digests[shown].values()]
    return _read(files, concept, size, warn)


def named(files: Sequence[object], most: int = 3) -> str:
    """`a, b, c and 4 more`."""
    listed = ", ".join(map(str, files[:most]))
    return f"{listed} and {len(files) - most} more" if len(files) > most else listed


def _files(folder: Path, option: str) -> list[Path]:
    if not folder.is_dir():
        met = "is a file; give the folder that it lies in" if folder.exists() else "there is no such folder"
        raise ComposerError(f"{option} {folder}: {met}")
    files = picture_files(folder)
    if not files:
        raise ComposerError(
            f"{option} {folder}: there are no pictures in it ({', '.join(sorted(PICTURE_SUFFIXES))}), nor in the "
            "folders in it"
        )
    return files


def _different(files: Sequence[Path]) -> dict[str, Path]:
    """Content -> the first file that has it."""
    found: dict[str, Path] = {}
    for file in files:
        try:
            found.setdefault(file_digest(file), file)
        except OSError as error:
            raise ComposerError(f"{file}: cannot be read: {error.strerror or error}") from error
    return found


def _read(files: Sequence[tuple[Path, bool]], concept: str, size: int, warn: Callable[[str], None]) -> Images:
    pixels: list[Tensor] = []
    whole: list[tuple[Path, bool]] = []
    wrong: list[str] = []
    decoded = FileDecoder(tuple(str(file) for file, _ in files)).each(size)
    for (file, shown), picture in zip(files, decoded, strict=True):
        if isinstance(picture, UnreadablePictureError):
            wrong.append(f"{file} ({picture.reason})")
        else:
            pixels.append(picture)
            whole.append((file, shown))
    if wrong:
        said = f"{len(wrong)} of {len(files)} pictures cannot be read: {named(wrong)}"
        if len(wrong) > UNREADABLE * len(files):
            raise ComposerError(f"{said}; mend them or take them away")
        warn(f"{said}; they are left out")
    labels = {concept: [shown for _, shown in whole]}
    return Images([str(file) for file, _ in whole], labels, torch.stack(pixels))
