"""Pictures as people have them: in folders named by what they show, or in a table with a row per picture."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from composer import Component, RecipePath, Run, Split, hook
from composer_cells import checks
from composer_cells.collection import RefusedError, collect
from composer_cells.parting import parted
from composer_folder import PictureFiles, layout

if TYPE_CHECKING:
    from composer import Images
    from composer_cells.parting import Parted

TABLE = "labels.csv"
GROUP = "group"
SPLIT = "split"


class Cells(PictureFiles):
    """Your own pictures, named by all that they show: folders `black+tshirt` ..., or a table with a row per picture.

    It parts them for training and test by itself, groups whole, and leaves the target out of all training; so any
    concepts of the same pictures can be a recipe's. Which pictures are tested on depends on `seed`, not on the target.
    """

    name = "cells"
    shows_target: ClassVar[bool] = True

    root: RecipePath = Field(
        Path(),
        validate_default=True,
        description="folder of the pictures: a folder for each combination, named by all that its pictures show "
        "(`black+tshirt`), or any folders and a table of labels",
    )
    labels: str = Field(
        TABLE,
        description="table in `root`, a row per picture and a column per factor, comma, semicolon or tab between them; "
        f"where there is no {TABLE}, the names of the folders say what the pictures show",
    )
    file: str = Field("file", description="column of the table with the picture's file, as seen from `root`")
    factors: tuple[str, ...] = Field(
        (),
        description="columns that say what a picture shows (`attribute`, `object`); left out: all but those of file, "
        "group and split. The entry `none` says that it shows nothing of the kind",
    )
    group: str | None = Field(
        GROUP,
        description="column of what belongs together, such as who took a picture: a group is never both in training "
        f"and in test. Without a column {GROUP!r}, with an empty one, or with null, each picture stands for itself",
    )
    split: str | None = Field(
        SPLIT,
        description="column with `train` (or `val`, which counts as that) or `test` for each picture, which then "
        f"decides, groups or not. Without a column {SPLIT!r}, with an empty one, or with null, `test` and `seed` "
        "decide",
    )
    test: float = Field(
        0.4, gt=0, lt=1, description="share of the pictures of each combination to test on, as near as groups allow"
    )
    seed: int = Field(0, ge=0, le=2**63 - 1, description="another one tests on other pictures")
    limit: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        description="most pictures of each combination, in training and in test, evenly spaced; null means all",
    )

    def possible(self, shown: Sequence[str]) -> bool:
        pictures = self._parted()
        return pictures is None or any(set(shown) <= picture.shown for picture in pictures.collection.pictures)

    def targets(self) -> Sequence[tuple[str, ...]]:
        return checks.targets(collect(self))

    def split_problems(self, split: Split) -> Iterable[tuple[str, str]]:
        try:
            pictures = parted(self)
        except RefusedError as error:
            return error.problems
        return checks.problems(pictures, split)

    def split_notes(self, split: Split) -> Iterable[str]:
        pictures = self._parted()
        return () if pictures is None else checks.notes(pictures, split)

    def split_files(self, split: Split) -> Iterable[Path]:
        pictures = self._parted()
        if pictures is None:
            return []
        # Test pictures are compared with the training pictures, to warn of those that are both.
        chosen = pictures.of(split) if split.concept is not None else pictures.all
        return [*pictures.collection.tables, *(each.path for each in chosen if layout.is_readable(each.path))]

    def picture_count(self, split: Split) -> tuple[str, int] | None:
        pictures = self._parted()
        return None if pictures is None else ("limit", len(pictures.of(split)))

    def load(self, split: Split, run: Run) -> Images:
        from composer_cells.reading import load  # imports torch

        return load(self, split, run)

    def _parted(self) -> Parted | None:
        """The pictures, parted; None where `split_problems` says what is wrong with them."""
        try:
            return parted(self)
        except RefusedError:
            return None


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Cells]
