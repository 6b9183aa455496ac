"""Reads, chooses and tints the pictures of a split."""

from __future__ import annotations

import zipfile
from colorsys import hsv_to_rgb
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from composer import ComposerError, Images, Run, Split, require_both_classes
from composer_cifar10.words import CLASS_OF, CLASSES, HUES

if TYPE_CHECKING:
    from composer_cifar10 import Cifar10

LUMINANCE = np.asarray([0.299, 0.587, 0.114], dtype=np.float32)
"""How bright red, green and blue look (ITU-R BT.601)."""

Pixels = NDArray[np.uint8]
Classes = NDArray[np.int64]


def load_split(source: Cifar10, split: Split, run: Run) -> Images:
    """The split's pictures, each named by its colour, its class and its place in the file."""
    testing = split.concept is None
    pixels, classes = read(source.file, "test" if testing else "train")
    rng = run.rng()
    colours = choose_colours(split, classes, rng)
    asked = split.shown
    labels = {concept: shows(concept, classes, colours) for concept in asked}
    shown = np.stack([shows(concept, classes, colours) for concept in split.concepts])
    kept = _equal_cells(shown, source.test, rng) if testing else _without_others(split, shown, source.train, rng)
    images = Images(
        [" ".join(filter(None, (colours[i], CLASSES[classes[i]], f"{i:05d}"))) for i in kept],
        {concept: own[kept] for concept, own in labels.items()},
        torch.from_numpy(
            np.stack([_tinted(pixels[i], colours[i], source.tint, rng) for i in kept]).transpose(0, 3, 1, 2).copy()
        ),
    )
    for concept in asked:
        require_both_classes(images, concept, str(source.file))
    return images


def read(file: Path, part: str) -> tuple[Pixels, Classes]:
    """Pixels [N, 32, 32, 3] and classes [N] of `train` or `test`; ComposerError names what is wrong with the file."""
    try:
        # np.load leaves a path's file open where it is no archive.
        with file.open("rb") as opened, np.load(opened, allow_pickle=False) as data:
            pixels, classes = data[f"x_{part}"], data[f"y_{part}"].reshape(-1)
    except KeyError as error:
        raise ComposerError(f"{file}: holds no array {error.args[0]}") from error
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ComposerError(f"{file}: is damaged or no .npz file ({error})") from error
    if pixels.dtype != np.uint8 or pixels.shape != (len(classes), 32, 32, 3):
        met = f"{pixels.dtype} {list(pixels.shape)}"
        raise ComposerError(f"{file}: x_{part} must be uint8 [{len(classes)}, 32, 32, 3], not {met}")
    if len(classes) == 0 or classes.min() < 0 or classes.max() >= len(CLASSES):
        raise ComposerError(f"{file}: y_{part} must hold classes from 0 to {len(CLASSES) - 1}")
    return pixels, classes.astype(np.int64)


def _equal_cells(shown: NDArray[np.bool_], most: int | None, rng: np.random.Generator) -> Classes:
    """Equally many pictures of each cell that has any, `most` in all: [N] from shown [concepts, all]."""
    cells, number = np.unique(shown, axis=1, return_inverse=True)
    each = int(np.bincount(number.reshape(-1)).min())
    if most is not None:
        each = max(1, min(each, most // cells.shape[1]))
    own = [rng.permutation(np.flatnonzero(number.reshape(-1) == cell))[:each] for cell in range(cells.shape[1])]
    return np.sort(np.concatenate(own))


def _without_others(split: Split, shown: NDArray[np.bool_], most: int | None, rng: np.random.Generator) -> Classes:
    """Pictures that show none of the recipe's concepts but the split's own, `most` in all."""
    others = [own for concept, own in zip(split.concepts, shown, strict=True) if concept != split.concept]
    kept = np.flatnonzero(~np.logical_or.reduce(others))
    return np.sort(rng.permutation(kept)[:most])


def choose_colours(split: Split, classes: Classes, rng: np.random.Generator) -> list[str]:
    """A colour for every picture, `""` where the recipe has none: half of each class get one of the recipe's."""
    asked = [concept for concept in split.concepts if concept in HUES]
    if not asked:
        return [""] * len(classes)
    others = [colour for colour in HUES if colour not in asked]
    colours = [""] * len(classes)
    for number in range(len(CLASSES)):
        own = rng.permutation(np.flatnonzero(classes == number))
        for place, index in enumerate(own):
            some = asked if place % 2 == 0 or not others else others
            colours[index] = some[place // 2 % len(some)]
    return colours


def shows(concept: str, classes: Classes, colours: list[str]) -> NDArray[np.bool_]:
    """bool [N]: True where a picture shows the concept."""
    shown: NDArray[np.bool_] = (
        classes == CLASS_OF[concept] if concept in CLASS_OF else np.asarray([own == concept for own in colours])
    )
    return shown


def _tinted(picture: Pixels, colour: str, share: float, rng: np.random.Generator) -> Pixels:
    """uint8 [32, 32, 3]: mixed with its own brightness in one hue."""
    if not colour:
        return picture
    low, high = HUES[colour]
    hue = (low + (high - low) * rng.random()) % 1
    tone = np.asarray(hsv_to_rgb(hue, rng.uniform(0.8, 1), 1), dtype=np.float32)
    brightness = picture.astype(np.float32) @ LUMINANCE  # [32, 32]
    # The brightest channel carries the brightness, so that a blue picture is no darker than a yellow one.
    mixed = picture + np.float32(share) * (brightness[:, :, None] * tone - picture)
    return mixed.clip(0, 255).round().astype(np.uint8)
