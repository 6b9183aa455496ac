"""Reads the pictures of a split, and says what is odd about them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from composer import (
    ComposerError,
    FileDecoder,
    Images,
    Run,
    Split,
    UnreadablePictureError,
    cell_name,
    require_both_classes,
)
from composer_folder import layout
from composer_folder.copies import copies
from composer_folder.layout import Group

if TYPE_CHECKING:
    from composer_folder import Folder

NAMED = 5
"""Files named in a warning or an error; of the others their number."""


def load(source: Folder, split: Split, run: Run) -> Images:
    """The pictures of a split, already decoded at `source.size`; any other size is read from the files."""
    problems = list(source.split_problems(split))
    if problems:
        raise ComposerError("\n".join(f"{option}: {message}" for option, message in problems))
    reader = _Reader(source, split, run)
    if split.concept is None:
        return reader.test_pictures()
    return reader.training_pictures(split.concept)


@dataclass
class _Pictures:
    """Path, shown concepts and pixels of each picture, and the files that cannot be read with the reason."""

    paths: list[Path] = field(default_factory=list)
    shown: list[frozenset[str]] = field(default_factory=list)
    pixels: list[Tensor] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return len(self.paths) + len(self.unreadable)


class _Reader:
    """One split of one source."""

    def __init__(self, source: Folder, split: Split, run: Run) -> None:
        self.source = source
        self.split = split
        self.run = run
        self.root = source.test if split.concept is None else source.train

    def test_pictures(self) -> Images:
        groups = layout.test_groups(self.root, self.split.concepts, self.source.ignore)
        empty = layout.empty_cells(groups, self.split.concepts, self.source.ignore)
        targets, others = layout.cells_of_the_target(self.split)
        told = f"whether {self.split.target} is told from these"
        for cells, what in ((others, told), (targets, f"whether these are known as {self.split.target}")):
            if missing := [cell for cell in empty if cell in cells]:
                message = f"there are no test pictures of {', '.join(missing)}, so the scores do not say {what}"
                self.run.warn(message)
        pictures = self.read(groups)
        strays = [path for path in layout.entries(self.root, self.source.ignore) if not path.is_dir()]
        self.warn_of_others(groups, strays)
        images = self.images(pictures, self.split.concepts)
        shown = int(self.split.target.holds(images.labels).sum())
        if shown in (0, len(images)):
            raise ComposerError(
                f"{self.root}: {shown} of {len(images)} readable pictures show {self.split.target}; "
                "there must be some that do and some that do not"
            )
        self.warn_of_leaks(pictures)
        return images

    def training_pictures(self, concept: str) -> Images:
        groups = layout.training_groups(self.root, concept)
        pictures = self.read(groups)
        inside = layout.entries(self.root / concept, self.source.ignore)
        self.warn_of_others(groups, [path for path in inside if path.name not in layout.ANSWERS])
        images = self.images(pictures, [concept])
        require_both_classes(images, concept, str(self.root / concept))
        self.warn_of_targets(pictures)
        return images

    def read(self, groups: Sequence[Group]) -> _Pictures:
        """Every picture decoded once; ComposerError where too many cannot be."""
        pictures = _Pictures()
        found: list[tuple[Path, frozenset[str]]] = []
        for group in groups:
            for path in layout.contents(group.folder, self.source.ignore, self.source.limit).pictures:
                if layout.printable(path) == str(path):
                    found.append((path, group.shown))
                else:
                    pictures.unreadable.append((path, "its name is not UTF-8; rename it"))
        decoded = FileDecoder(tuple(str(path) for path, _ in found), self.source.alpha).each(self.source.size)
        steps = self.run.progress(zip(found, decoded, strict=True), "reading pictures", len(found))
        for (path, shown), pixels in steps:
            if isinstance(pixels, UnreadablePictureError):
                pictures.unreadable.append((path, pixels.reason))
            else:
                pictures.paths.append(path)
                pictures.shown.append(shown)
                pictures.pixels.append(pixels)
        self.judge_unreadable(pictures)
        return pictures

    def judge_unreadable(self, pictures: _Pictures) -> None:
        if not pictures.unreadable:
            return
        named = layout.listed([f"{self.name(path)} ({reason})" for path, reason in pictures.unreadable], NAMED)
        count = f"{len(pictures.unreadable)} of {pictures.total} pictures of {self.split} cannot be read"
        if len(pictures.unreadable) > self.source.unreadable * pictures.total:
            raise ComposerError(
                f"{self.root}: {count}, which is more than the share of {self.source.unreadable:g} allowed: {named}. "
                "Replace or remove them, or raise `unreadable`"
            )
        self.run.warn(f"{count} and are left out: {named}")

    def images(self, pictures: _Pictures, concepts: Sequence[str]) -> Images:
        files = tuple(str(path.absolute()) for path in pictures.paths)
        images = Images(
            [self.name(path) for path in pictures.paths],
            {concept: [concept in shown for shown in pictures.shown] for concept in concepts},
            FileDecoder(files, self.source.alpha),
        )
        if pictures.pixels:
            images.decoded[self.source.size] = torch.stack(pictures.pixels)
        return images

    def warn_of_others(self, groups: Sequence[Group], strays: Sequence[Path]) -> None:
        others = [path for group in groups for path in layout.contents(group.folder, self.source.ignore).others]
        others += strays
        if others:
            named = layout.listed([self.name(path) for path in others], NAMED)
            self.run.warn(f"left out of {self.split}, not being pictures in their place: {len(others)} ({named})")

    def warn_of_leaks(self, pictures: _Pictures) -> None:
        """Test pictures that are training pictures too."""
        train, concepts = self.source.train, self.split.concepts
        groups = [group for concept in concepts for group in layout.training_groups(train, concept)]
        found = copies(pictures.paths, self.files([group for group in groups if group.folder.is_dir()]))
        if found:
            first, copy = found[0]
            self.run.warn(
                f"{len(found)} of the {len(pictures.paths)} test pictures are also training pictures, "
                f"byte for byte, so the scores flatter: the first is {self.name(first)}, the same as "
                f"{copy.relative_to(train).as_posix()} of the training pictures"
            )

    def warn_of_targets(self, pictures: _Pictures) -> None:
        """Training pictures that show what is kept apart, because they lie in the `yes` of each of these concepts."""
        for apart in self.split.kept_apart:
            others = [concept for concept in apart if concept != self.split.concept]
            groups = [layout.training_groups(self.root, other)[0] for other in others]
            if len(others) == len(apart) or not groups or not all(group.folder.is_dir() for group in groups):
                continue
            found = [path for path, shown in zip(pictures.paths, pictures.shown, strict=True) if shown]
            for group in groups:
                found = [path for path, _ in copies(found, self.files([group]))]
            if found:
                self.run.warn(
                    f"{len(found)} pictures of {self.split} show {cell_name(apart)}, for they also lie in `yes` of "
                    f"{' and '.join(others)}: the first is {self.name(found[0])}"
                )

    def files(self, groups: Sequence[Group]) -> list[Path]:
        ignore, limit = self.source.ignore, self.source.limit
        found = [path for group in groups for path in layout.contents(group.folder, ignore, limit).pictures]
        return [path for path in found if layout.is_readable(path)]

    def name(self, path: Path) -> str:
        return layout.printable(path.relative_to(self.root).as_posix())
