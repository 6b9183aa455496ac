"""Pictures that a composition was made with by their labels: none of them may be a test picture."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import Tensor

from composer.data.composed import ComposedModel
from composer.data.decoding import FileDecoder
from composer.data.files import is_picture
from composer.data.images import Images
from composer.errors import ComposerError


def refuse_test_pictures(model: ComposedModel, made_from: Sequence[Path] | Images, test: Images | None) -> None:
    """ComposerError where a model used labels and one of the pictures that it was made from is a test picture.

    They are compared by their pixels, at the size that the model's first network sees.
    """
    if not model.labels or test is None:
        return
    size = model.parts[0].preprocessing.size
    known = {_content(pixels): name for name, pixels in zip(test.names, test.at(size), strict=True)}
    if isinstance(made_from, Images):
        used = zip(made_from.names, made_from.at(size), strict=True)
    else:
        names = tuple(str(file) for file in made_from if is_picture(file))
        used = zip(names, FileDecoder(names)(size), strict=True)
    both = [(name, known[_content(pixels)]) for name, pixels in used if _content(pixels) in known]
    if both:
        more = f"; and {len(both) - 1} more" if len(both) > 1 else ""
        raise ComposerError(
            f"{both[0][0]}: is a test picture too ({both[0][1]}){more}: what labels were used of tells nothing when it "
            "is tested on; take other pictures, or leave these out of the test pictures"
        )


def _content(pixels: Tensor) -> bytes:
    return bytes(pixels.contiguous().numpy())
