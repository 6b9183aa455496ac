"""Reads picture files once, and says which of them cannot be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from composer import ComposerError, FileDecoder, Images, Run, Split, UnreadablePictureError
from composer_folder import layout
from composer_folder.copies import copies
from composer_folder.options import PictureFiles

NAMED = 5
"""Files named in a warning or an error; of the others their number."""


@dataclass
class Pictures:
    """Path, shown concepts and pixels of each picture, and the files that cannot be read with the reason."""

    paths: list[Path] = field(default_factory=list)
    shown: list[frozenset[str]] = field(default_factory=list)
    pixels: list[Tensor] = field(default_factory=list)
    unreadable: list[tuple[Path, str]] = field(default_factory=list)

    @property
    def total(self) -> int:
        return len(self.paths) + len(self.unreadable)


class PictureReader:
    """Reads one split of a source whose pictures lie in `root`, and says what is odd about them."""

    def __init__(self, options: PictureFiles, root: Path, split: Split, run: Run) -> None:
        self.options = options
        self.root = root
        self.split = split
        self.run = run

    def read(self, files: Sequence[tuple[Path, frozenset[str]]]) -> Pictures:
        """Every picture decoded once, with the concepts that it shows; ComposerError where too many cannot be."""
        pictures = Pictures()
        found: list[tuple[Path, frozenset[str]]] = []
        for path, shown in files:
            if layout.printable(path) == str(path):
                found.append((path, shown))
            else:
                pictures.unreadable.append((path, "its name is not UTF-8; rename it"))
        decoded = FileDecoder(tuple(str(path) for path, _ in found), self.options.alpha).each(self.options.size)
        steps = self.run.progress(zip(found, decoded, strict=True), "reading pictures", len(found))
        for (path, shown), pixels in steps:
            if isinstance(pixels, UnreadablePictureError):
                pictures.unreadable.append((path, pixels.reason))
            else:
                pictures.paths.append(path)
                pictures.shown.append(shown)
                pictures.pixels.append(pixels)
        self._judge_unreadable(pictures)
        return pictures

    def images(self, pictures: Pictures, concepts: Sequence[str]) -> Images:
        """The pictures that could be read, labelled with `concepts`; any size but that of the options is read anew."""
        files = tuple(str(path.absolute()) for path in pictures.paths)
        images = Images(
            [self.name(path) for path in pictures.paths],
            {concept: [concept in shown for shown in pictures.shown] for concept in concepts},
            FileDecoder(files, self.options.alpha),
        )
        if pictures.pixels:
            images.decoded[self.options.size] = torch.stack(pictures.pixels)
        return images

    def require_target(self, images: Images) -> None:
        """ComposerError unless some of the pictures show the target, and some do not."""
        shown = int(self.split.target.holds(images.labels).sum())
        if shown in (0, len(images)):
            raise ComposerError(
                f"{self.root}: {shown} of {len(images)} readable pictures show {self.split.target}; "
                "there must be some that do and some that do not"
            )

    def warn_of_missing_cells(self, missing: Sequence[str]) -> None:
        """Cells of which there is no test picture, so that the scores say nothing of them."""
        targets, others = layout.cells_of_the_target(self.split)
        told = f"whether {self.split.target} is told from these"
        for cells, what in ((others, told), (targets, f"whether these are known as {self.split.target}")):
            if named := [cell for cell in missing if cell in cells]:
                self.run.warn(f"there are no test pictures of {', '.join(named)}, so the scores do not say {what}")

    def warn_of_others(self, others: Sequence[Path]) -> None:
        """Files that are no pictures, or lie where no picture belongs."""
        if others:
            named = layout.listed([self.name(path) for path in others], NAMED)
            self.run.warn(f"left out of {self.split}, not being pictures in their place: {len(others)} ({named})")

    def warn_of_leaks(self, pictures: Pictures, training: Sequence[Path], home: Path) -> None:
        """Test pictures that are training pictures too; `home` is where the training pictures lie."""
        found = copies(pictures.paths, training)
        if found:
            first, copy = found[0]
            self.run.warn(
                f"{len(found)} of the {len(pictures.paths)} test pictures are also training pictures, "
                f"byte for byte, so the scores flatter: the first is {self.name(first)}, the same as "
                f"{copy.relative_to(home).as_posix()} of the training pictures"
            )

    def name(self, path: Path) -> str:
        """What a picture is called: its path in the source's folder."""
        return layout.printable(path.relative_to(self.root).as_posix())

    def _judge_unreadable(self, pictures: Pictures) -> None:
        if not pictures.unreadable:
            return
        named = layout.listed([f"{self.name(path)} ({reason})" for path, reason in pictures.unreadable], NAMED)
        count = f"{len(pictures.unreadable)} of {pictures.total} pictures of {self.split} cannot be read"
        if len(pictures.unreadable) > self.options.unreadable * pictures.total:
            raise ComposerError(
                f"{self.root}: {count}, which is more than the share of {self.options.unreadable:g} allowed: {named}. "
                "Replace or remove them, or raise `unreadable`"
            )
        self.run.warn(f"{count} and are left out: {named}")
