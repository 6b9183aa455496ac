"""Pictures in folders: one folder per concept to train from, one per cell to test on."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from composer import Component, RecipePath, Run, Split, hook
from composer_folder import layout
from composer_folder.options import PictureFiles

if TYPE_CHECKING:
    from composer import Images
    from composer_folder.pictures import PictureReader

__all__ = ["Folder", "PictureFiles", "PictureReader", "layout"]
"""What other sources of picture files share: their options, how they are read, and what lies in folders."""


def __getattr__(name: str) -> Any:
    if name == "PictureReader":
        from composer_folder.pictures import PictureReader  # imports torch

        return PictureReader
    raise AttributeError(f"module 'composer_folder' has no attribute {name!r}")


class Folder(PictureFiles):
    """Your own pictures: `train/black/yes` and `train/black/no` to train, `test/black+cat` ... `test/none` to test.

    JPEG, PNG, WebP, BMP, GIF (first frame) and TIFF of any size, also in folders within these. Hidden files are left
    out silently, other files and unreadable pictures with a warning.
    """

    name = "folder"

    train: RecipePath = Field(
        Path("train"),
        validate_default=True,
        description="folder of the training pictures: one folder per concept, with a folder `yes` and a folder `no`",
    )
    test: RecipePath = Field(
        Path("test"),
        validate_default=True,
        description="folder of the test pictures: one folder per cell, named by the concepts it shows in any order",
    )
    limit: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="most pictures of each folder, evenly spaced in name order; null means all",
    )
    ignore: tuple[str, ...] = Field(
        (), description="names of files and folders to leave out; `*` and `?` stand for any characters"
    )

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if self.test == self.train:
            yield "test", f"is the same folder as `train`: {self.test}"

    def split_problems(self, split: Split) -> Iterable[tuple[str, str]]:
        if split.concept is None:
            for message in layout.test_problems(self.test, split, self.ignore):
                yield "test", message
        else:
            for message in layout.training_problems(self.train, split.concept, self.ignore):
                yield "train", message

    def split_files(self, split: Split) -> Iterable[Path]:
        # Test pictures are compared with the training pictures, to warn of those that are both.
        folders = layout.training_folders(self.train, self.ignore)
        if split.concept is None:
            folders += layout.test_folders(self.test, self.ignore)
        return layout.readable_files(folders, self.ignore, self.limit)

    def picture_count(self, split: Split) -> tuple[str, int]:
        if split.concept is None:
            folders = layout.test_folders(self.test, self.ignore)
        else:
            folders = [group.folder for group in layout.training_groups(self.train, split.concept)]
        return "limit", sum(1 for _ in layout.readable_files(folders, self.ignore, self.limit))

    def load(self, split: Split, run: Run) -> Images:
        from composer_folder.reading import load  # imports torch

        return load(self, split, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Folder]
