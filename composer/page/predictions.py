"""The page of `composer predict`: the pictures themselves, with what a model says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from composer.data.decoding import read_picture
from composer.data.files import write_text
from composer.errors import ComposerError
from composer.page.template import data_uri, filled, resource
from composer.text import percent
from composer.version import __version__

if TYPE_CHECKING:
    from composer.models.loading import LoadedModel, Prediction

SIDE = 160
"""Pixels of a picture's longer side on the page."""
QUALITY = 82
MARK = 'content="composer '
"""What a page has near its beginning, before the command that wrote it, by which it is known again."""
HEAD = 1000
"""Bytes in which MARK stands."""


@dataclass(frozen=True)
class Card:
    """One picture: a data URI, its name, and what is said of it; concepts: name, percent in words, percent."""

    picture: str
    name: str
    text: str
    shown: bool
    concepts: Sequence[tuple[str, str, float]]


def check_place(path: Path, command: str = "predict") -> bool:
    """Whether an earlier page of a command stands there, to be replaced; ComposerError where anything else does."""
    if path.is_dir():
        raise ComposerError(f"--page {path}: is a folder; give the name of a file in it")
    if not path.absolute().parent.is_dir():
        raise ComposerError(f"--page {path}: there is no folder {path.parent}")
    if not path.exists():
        return False
    with path.open("rb") as file:
        if f"{MARK}{command} ".encode() not in file.read(HEAD):
            raise ComposerError(f"--page {path}: is a file that composer {command} did not write; give another name")
    return True


def write_predictions(
    path: Path, model: LoadedModel, files: Sequence[Path], predictions: Sequence[Prediction], rule: str
) -> None:
    """Writes the page, the most probable pictures first, and below them those that could not be read.

    files: of the predictions, one each. rule: when a picture counts as the target, in words.
    """
    found = [(one, file) for one, file in zip(predictions, files, strict=True) if one.error is None]
    found.sort(key=lambda each: -(each[0].probability or 0.0))
    content = {
        "version": __version__,
        "model": model,
        "cards": [_card(one, file) for one, file in found],
        "count": sum(bool(one.shown) for one, _ in found),
        "unreadable": [one for one in predictions if one.error is not None],
        "rule": rule,
        "style": resource("page.css"),
    }
    write_text(path, filled("predictions.html.jinja", content))


def _card(one: Prediction, file: Path) -> Card:
    concepts = [(concept, percent(value), round(100 * value, 2)) for concept, value in one.concepts.items()]
    return Card(thumbnail(read_picture(file)), one.name, percent(one.probability), bool(one.shown), concepts)


def thumbnail(picture: Image.Image) -> str:
    """A data URI of the whole picture, which is made smaller."""
    picture.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    return data_uri(picture, quality=QUALITY)
