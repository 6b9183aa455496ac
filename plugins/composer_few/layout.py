"""Folders of pictures with labels and without, and all that can be wrong with them before a picture is opened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from composer import picture_files

if TYPE_CHECKING:
    from composer_few import FewAlone, FewShot

ANSWERS = ("yes", "no")
ENOUGH = 100
"""Pictures of each kind beyond which this is no handful."""


def files(options: FewShot | FewAlone) -> list[Path]:
    """All labelled pictures, those that show the target first, and then those without a label."""
    labelled = [file for answer in ANSWERS for file in picture_files(options.folder / answer)]
    return labelled + ([] if options.unlabelled is None else picture_files(options.unlabelled))


def problems(options: FewShot | FewAlone) -> Iterator[tuple[str, str]]:
    """(option, message) for all that is wrong with the folders of labelled and of unlabelled pictures."""
    wrong = list(labelled_problems(options.folder, options.most))
    yield from wrong
    if wrong or options.unlabelled is None:
        return
    own = {answer: picture_files(options.folder / answer) for answer in ANSWERS}
    labels = sum(len(files) if options.most is None else options.most for files in own.values())
    yield from _unlabelled_problems(options, options.unlabelled, labels)
    yield from _copies("unlabelled", files(options))


def labelled_problems(folder: Path, most: int | None) -> Iterator[tuple[str, str]]:
    """(option, message) for a folder, or one of its two, that is not there or empty; for too few, and for copies."""
    if not folder.is_dir():
        yield "folder", f"no folder {folder}"
        return
    for answer in ANSWERS:
        yield from _kind_problems(folder / answer, picture_files(folder / answer), most)
    yield from _copies("folder", [file for answer in ANSWERS for file in picture_files(folder / answer)])


def _kind_problems(folder: Path, own: list[Path], most: int | None) -> Iterator[tuple[str, str]]:
    shows = "show the target" if folder.name == "yes" else "do not show it"
    if not folder.is_dir():
        yield "folder", f"{folder.parent} has no folder '{folder.name}'; put pictures that {shows} there"
    elif not own:
        yield "folder", f"{folder} holds no picture; put some that {shows} there"
    elif most is not None and most > len(own):
        yield "most", f"asks for {most} pictures of each kind, and {folder} holds {len(own)}"
    elif most is None and len(own) > ENOUGH:
        yield (
            "folder",
            f"{folder} holds {len(own)} pictures, more than a handful ({ENOUGH}): train on them "
            f"(models: train, or fit), or say how many to take, `most: {ENOUGH}`",
        )


def _unlabelled_problems(options: FewShot | FewAlone, folder: Path, labels: int) -> Iterator[tuple[str, str]]:
    if not folder.is_dir():
        yield "unlabelled", f"no folder {folder}"
    elif not (own := picture_files(folder)):
        yield "unlabelled", f"{folder} holds no picture; put some there, whatever they show"
    elif options.neighbours >= (there := min(len(own), options.unlabelled_most) + labels):
        yield (
            "neighbours",
            f"asks for {options.neighbours} neighbours of each picture, and with and without labels there are {there} "
            "pictures; lower it, or take more pictures",
        )


def _copies(option: str, paths: Iterable[Path]) -> Iterator[tuple[str, str]]:
    known: dict[str, Path] = {}
    for path in paths:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest in known:
            yield option, f"{known[digest]} and {path} are the same picture, byte for byte; keep one of them"
        known.setdefault(digest, path)
