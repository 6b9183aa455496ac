"""Reads the pictures that heads are moved by: some with labels, some without."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from composer import ComposerError, FileDecoder, Images, UnreadablePictureError, picture_files
from composer_few import layout

if TYPE_CHECKING:
    from composer_few import FewAlone, FewShot

Flags = NDArray[np.bool_]


def handful(who: str, folder: Path, most: int | None, rng: np.random.Generator) -> tuple[Images, Flags]:
    """The pictures taken of a folder, and which of them show the target; ComposerError for any that cannot be read.

    who: the component whose option the folder is.
    """
    for option, message in layout.labelled_problems(folder, most):
        raise ComposerError(f"{who}: {option}: {message}")
    taken: list[Path] = []
    yes: list[bool] = []
    for answer in layout.ANSWERS:
        own = picture_files(folder / answer)
        count = len(own) if most is None else most
        taken += [own[index] for index in sorted(rng.permutation(len(own))[:count])]
        yes += [answer == "yes"] * count
    return _read(f"{who}: folder", folder, taken), np.asarray(yes, dtype=np.bool_)


def unlabelled(options: FewShot | FewAlone, rng: np.random.Generator) -> Images | None:
    """Pictures whose labels nobody knows, where there are to be any."""
    if options.unlabelled is None:
        return None
    for option, message in layout.problems(options):
        raise ComposerError(f"{options.name}: {option}: {message}")
    own = picture_files(options.unlabelled)
    taken = [own[index] for index in sorted(rng.permutation(len(own))[: options.unlabelled_most])]
    return _read(f"{options.name}: unlabelled", options.unlabelled, taken)


def _read(who: str, folder: Path, files: Sequence[Path]) -> Images:
    decode = FileDecoder(tuple(map(str, files)))

    def at(size: int) -> Tensor:
        try:
            return decode(size)
        except UnreadablePictureError as error:
            raise ComposerError(f"{who}: {error}") from None

    return Images([str(path.relative_to(folder)) for path in files], {}, at)
