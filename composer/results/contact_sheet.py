"""A sheet of the pictures of a recipe: a labelled row for each kind, to look at before anything is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from composer.data.decoding import FileDecoder
from composer.data.expressions import cell_names
from composer.data.images import Images
from composer.models.loading import LoadedModel

READABLE = 72
"""Pixels on the sheet that a picture gets at least, by repeating its own."""
UNKNOWN_SIZE = 96
"""Pixels asked of pictures that have no size of their own, such as photographs in files."""
GAP = 4
FONT_SIZE = 14
BACKGROUND = (255, 255, 255)
INK = (20, 20, 20)
GREY = (110, 110, 110)
WRONG = (200, 30, 30)


@dataclass(frozen=True)
class Row:
    """The pictures of one kind, and how many of it there are."""

    label: str
    images: Images
    indices: NDArray[np.int64]


def contact_sheet(splits: Mapping[str, Images], per_cell: int = 12, model: LoadedModel | None = None) -> Image.Image:
    """One picture of all splits: for training yes and no of each concept, for the test a row for each cell.

    splits: `train.black`, ..., `test` -> pictures. Shown are `per_cell` of each kind, evenly spread over the split.
    model: what its target's probability is stands below each test picture, in red where its yes or no is wrong.
    """
    font = ImageFont.load_default(FONT_SIZE)
    ordered = sorted(splits.items(), key=_test_last)
    blocks = [(_title(split, images, model), rows(split, images)) for split, images in ordered]
    tile = max((_tile(images) for images in splits.values()), default=READABLE)
    margin = 3 * GAP + max(
        (round(font.getlength(line)) for _, block in blocks for row in block for line in _row_text(row)), default=0
    )
    most = max((min(per_cell, len(row.indices)) for _, block in blocks for row in block), default=0)
    width = max(margin + most * (tile + GAP) + GAP, *(round(font.getlength(title)) + 2 * GAP for title, _ in blocks), 1)
    below = 0 if model is None else FONT_SIZE + GAP
    tall = [tile + GAP + (0 if split.startswith("train.") else below) for split, _ in ordered]
    height = sum(3 * FONT_SIZE + len(block) * each for (_, block), each in zip(blocks, tall, strict=True)) + GAP
    sheet = Image.new("RGB", (width, height), BACKGROUND)
    draw = ImageDraw.Draw(sheet)
    top = 0
    for (title, block), each in zip(blocks, tall, strict=True):
        draw.text((GAP, top + FONT_SIZE), title, INK, font)
        top += 3 * FONT_SIZE
        for row in block:
            draw.text((GAP, top + tile // 2 - FONT_SIZE), "\n".join(_row_text(row)), GREY, font)
            shown = chosen(row, per_cell)
            for column, picture in enumerate(shown):
                left = margin + column * (tile + GAP)
                sheet.paste(picture.resize((tile, tile), Image.Resampling.NEAREST), (left, top))
            if model is not None and each > tile + GAP:
                for column, (text, colour) in enumerate(_said(model, row, shown)):
                    middle = margin + column * (tile + GAP) + tile // 2
                    draw.text((middle, top + tile), text, colour, font, anchor="ma")
            top += each
    return sheet


def _said(model: LoadedModel, row: Row, shown: Sequence[Image.Image]) -> list[tuple[str, tuple[int, int, int]]]:
    """The target's probability of each picture, and the colour to write it in."""
    if not shown:
        return []
    true = bool(row.images.target[row.indices[0]])
    said = model.predict(list(shown))
    return [(f"{one.probability:.2f}", GREY if one.shown == true else WRONG) for one in said]


def rows(split: str, images: Images) -> list[Row]:
    """The kinds of pictures in a split, those that show the most concepts first."""
    if split.startswith("train."):
        (concept,) = images.concepts
        shown = images.labels[concept]
        return [
            Row(f"{concept}: yes", images, np.flatnonzero(shown)),
            Row(f"{concept}: no", images, np.flatnonzero(~shown)),
        ]
    cells = np.asarray(images.cells)
    return [Row(cell, images, np.flatnonzero(cells == cell)) for cell in cell_names(images.concepts)]


def chosen(row: Row, count: int) -> list[Image.Image]:
    """At most `count` pictures of a row, evenly spread."""
    if len(row.indices) == 0:
        return []
    spread = np.linspace(0, len(row.indices) - 1, min(count, len(row.indices))).round().astype(np.int64)
    pixels = _pixels(row.images, row.indices[spread])
    return [Image.fromarray(picture) for picture in pixels.permute(0, 2, 3, 1).numpy()]


def _pixels(images: Images, indices: NDArray[np.int64]) -> torch.Tensor:
    """uint8 [N, 3, S, S] of the pictures at `indices`; of files, only these are decoded, and nothing is cached."""
    if isinstance(images.decode, FileDecoder):
        return replace(images.decode, files=tuple(images.decode.files[index] for index in indices))(_size(images))
    return images.at(_size(images))[torch.from_numpy(indices)]


def _size(images: Images) -> int:
    return UNKNOWN_SIZE if images.native is None else images.native.shape[-1]


def _tile(images: Images) -> int:
    size = _size(images)
    return size * -(-READABLE // size)  # whole multiples, so that every pixel stays a square


def _row_text(row: Row) -> tuple[str, str]:
    return row.label, f"{len(row.indices):,} pictures"


def _title(split: str, images: Images, model: LoadedModel | None) -> str:
    if split.startswith("train."):
        role = f"trains {split.removeprefix('train.')}"
    elif model is None:
        role = "tests all compositions"
    else:
        role = f"below each the probability of {model.target} by {model.composition}, red where its yes or no is wrong"
    return f"{split}: {len(images):,} pictures, {role}"


def _test_last(item: tuple[str, Images]) -> bool:
    return not item[0].startswith("train.")
