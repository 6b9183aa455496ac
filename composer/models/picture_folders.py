"""Pictures in folders that say what they show; nothing here imports torch."""

from __future__ import annotations

from pathlib import Path

from composer.data.files import PICTURE_SUFFIXES, picture_files
from composer.errors import ComposerError


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder and the folders in it; ComposerError where there is none."""
    inside = picture_files(folder)
    if not inside:
        raise ComposerError(f"{folder}: the folder holds no picture ({', '.join(sorted(PICTURE_SUFFIXES))})")
    return inside


def picture_groups(folder: Path, option: str = "--images") -> dict[str, list[Path]]:
    """The pictures in each folder of a folder, at whatever depth; those beside these under `.`."""
    if not folder.is_dir():
        raise ComposerError(f"{option} {folder}: {'is a file' if folder.exists() else 'there is no such folder'}")
    groups: dict[str, list[Path]] = {}
    for file in pictures_in(folder):
        first, *rest = file.relative_to(folder).parts
        groups.setdefault(first if rest else ".", []).append(file)
    return groups
