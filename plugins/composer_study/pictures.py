"""Which of the study's test pictures shows what, by folder and file name; no torch in here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

SUFFIXES = frozenset({".jpg", ".jpeg", ".png", ".webp"})
OTHERS, TARGET = "0", "1"
"""The folders of all other pictures, and of the target's."""


def picture_files(folder: Path) -> list[Path]:
    """The pictures in the study's order: folder 0, then 1, each by name; UMAP's result depends on the order."""
    found = []
    for name in (OTHERS, TARGET):
        if (folder / name).is_dir():
            inside = (folder / name).iterdir()
            found += sorted((path for path in inside if path.suffix.lower() in SUFFIXES), key=lambda path: path.name)
    return found


def shown(file: Path, concepts: Sequence[str]) -> frozenset[str]:
    """The concepts that a picture shows: all in folder 1, in folder 0 those that its name says (`white_cat (1)`)."""
    if file.parent.name == TARGET:
        return frozenset(concepts)
    return frozenset(concepts) & frozenset(re.findall(r"[A-Za-z]+", file.stem))


def problems(folder: Path, concepts: Sequence[str]) -> Iterator[str]:
    """What keeps the test pictures from being loaded."""
    if not folder.is_dir():
        yield f"no folder {folder}; it has to hold folders 0 and 1, as the study published it"
        return
    files = picture_files(folder)
    for name in (OTHERS, TARGET):
        if not any(file.parent.name == name for file in files):
            yield f"no pictures in {folder / name}; it has to hold JPEG, PNG or WebP files, as the study published it"
    for concept in concepts:
        if not any(concept in shown(file, concepts) for file in files if file.parent.name == OTHERS):
            yield f"no file name in {folder / OTHERS} says {concept!r}; the study's concepts are black and cat"
    for file in files:
        if file.parent.name == OTHERS and shown(file, concepts) == frozenset(concepts):
            yield f"{file} lies among the others, but its name says {' and '.join(concepts)}"
