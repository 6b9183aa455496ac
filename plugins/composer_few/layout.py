"""A folder of labelled pictures, and all that can be wrong with it before a picture is opened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from composer import picture_files

ANSWERS = ("yes", "no")
ENOUGH = 100
"""Pictures of each kind beyond which this is no handful."""


def files(folder: Path) -> list[Path]:
    """All labelled pictures, those that show the target first."""
    return [file for answer in ANSWERS for file in picture_files(folder / answer)]


def problems(folder: Path, most: int | None) -> Iterator[tuple[str, str]]:
    """(option, message) for a folder, or one of its two, that is not there or empty; for too few, and for copies."""
    if not folder.is_dir():
        yield "folder", f"no folder {folder}"
        return
    found = {answer: picture_files(folder / answer) for answer in ANSWERS}
    for answer, own in found.items():
        shows = "show the target" if answer == "yes" else "do not show it"
        if not (folder / answer).is_dir():
            yield "folder", f"{folder} has no folder '{answer}'; put pictures that {shows} there"
        elif not own:
            yield "folder", f"{folder / answer} holds no picture; put some that {shows} there"
        elif most is not None and most > len(own):
            yield "most", f"asks for {most} pictures of each kind, and {folder / answer} holds {len(own)}"
        elif most is None and len(own) > ENOUGH:
            yield (
                "folder",
                f"{folder / answer} holds {len(own)} pictures, more than a handful ({ENOUGH}): train on them "
                f"(models: train, or fit), or say how many to take, `most: {ENOUGH}`",
            )
    for first, second in _copies(files(folder)):
        yield "folder", f"{first} and {second} are the same picture, byte for byte; keep one of them"


def _copies(paths: Iterable[Path]) -> Iterator[tuple[Path, Path]]:
    known: dict[str, Path] = {}
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest in known:
            yield known[digest], path
        known.setdefault(digest, path)
