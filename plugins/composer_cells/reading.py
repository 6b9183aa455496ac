"""Reads the pictures of a split, and says what is odd about them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from composer import ComposerError, Images, Run, Split, require_both_classes
from composer_cells import checks
from composer_cells.parting import parted
from composer_folder import PictureReader, layout

if TYPE_CHECKING:
    from composer_cells import Cells


def load(source: Cells, split: Split, run: Run) -> Images:
    """The pictures of a split, already decoded at `source.size`; any other size is read from the files."""
    pictures = parted(source)
    problems = list(checks.problems(pictures, split))
    if problems:
        raise ComposerError("\n".join(": ".join(filter(None, problem)) for problem in problems))
    reader = PictureReader(source, source.root, split, run)
    chosen = pictures.of(split)
    read = reader.read([(picture.path, picture.shown) for picture in chosen])
    images = reader.images(read, split.shown)
    if split.concept is not None:
        require_both_classes(images, split.concept, str(source.root))
        return images
    reader.require_target(images)
    if not split.labelled:
        reader.warn_of_missing_cells(checks.missing_cells(chosen, split))
        reader.warn_of_others(pictures.collection.strays)
        training = [picture.path for picture in pictures.training if layout.is_readable(picture.path)]
        reader.warn_of_leaks(read, training, source.root)
    return images
