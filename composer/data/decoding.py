"""Picture files: read one as RGB, or many as pixels of one size."""

from __future__ import annotations

import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from composer.errors import ComposerError

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF")
Alpha = Literal["white", "drop"]
MOST_PIXELS = 2**26
"""A larger picture is refused: 8192 x 8192 pixels take 0.3 GB as JPEG and up to 1.3 GB as WebP with alpha."""
LARGE = 2**23
"""Pictures of more pixels than this are decoded one at a time, so that the memory of several does not add up."""
THREADS = 4
CHUNK = 64

_large = threading.Lock()

# What damaged files raise: the first four were met with flipped bytes in files of every format (Pillow 10.3 and 13),
# the others stand in Pillow's parsers.
_DAMAGE = (
    OSError,
    SyntaxError,
    ValueError,
    Image.DecompressionBombError,
    EOFError,
    IndexError,
    KeyError,
    OverflowError,
    struct.error,
    zlib.error,
)

_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what undoes it."""


class _RefusedError(ValueError):
    """A sound picture of a kind that is not read; the text says why."""


class UnreadablePictureError(ComposerError):
    """A picture file that cannot be read: which, and why."""

    def __init__(self, path: str | Path, reason: str) -> None:
        self.path = str(path)
        self.reason = reason
        super().__init__(f"{printable(path)}: cannot be read as a picture: {reason}")


def printable(path: str | Path) -> str:
    """The path as text that any terminal and JSON file takes: `?` for bytes that are not UTF-8."""
    return str(path).encode("utf-8", "replace").decode("utf-8")


def read_picture(path: str | Path, alpha: Alpha = "white") -> Image.Image:
    """The picture as RGB, upright; of several frames the first.

    alpha: `white` composites transparent pictures over white, `drop` keeps the colours under the transparency.
    Raises UnreadablePictureError (a ComposerError) for a missing, damaged, foreign or too large file.
    """
    with _quiet():
        return _read(path, alpha, None)


def as_rgb(picture: Image.Image, name: str) -> Image.Image:
    """A picture in memory as `read_picture` gives those of files: of several frames the current one.

    Raises UnreadablePictureError, which names it `name`, for a damaged, foreign or too large one.
    """
    try:
        return _upright(picture, "white", None)
    except _DAMAGE as error:
        raise UnreadablePictureError(name, _reason(name, error)) from error


@dataclass(frozen=True)
class FileDecoder:
    """Decodes picture files at any size, all to size x size pixels (bilinear, antialiased)."""

    files: tuple[str, ...]
    alpha: Alpha = "white"

    def __call__(self, size: int) -> Tensor:
        """uint8 [N, 3, size, size]; raises UnreadablePictureError for the first file that cannot be read."""
        pixels = torch.empty((len(self.files), 3, size, size), dtype=torch.uint8)
        for index, picture in enumerate(self.each(size)):
            if isinstance(picture, UnreadablePictureError):
                raise picture
            pixels[index] = picture
        return pixels

    def each(self, size: int) -> Iterator[Tensor | UnreadablePictureError]:
        """For every file in order uint8 [3, size, size], or what is wrong with it."""
        decode = partial(_pixels, alpha=self.alpha, size=size)
        with ThreadPoolExecutor(min(THREADS, os.cpu_count() or 1)) as pool:
            for start in range(0, len(self.files), CHUNK):
                with _quiet():  # not across a yield: the filters belong to the whole process
                    pictures = list(pool.map(decode, self.files[start : start + CHUNK]))
                yield from pictures


@contextmanager
def _quiet() -> Iterator[None]:
    """Without Pillow's warnings: a picture is either read or refused, and _read itself refuses large ones."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _pixels(path: str, alpha: Alpha, size: int) -> Tensor | UnreadablePictureError:
    try:
        return torch.from_numpy(np.array(_read(path, alpha, size))).permute(2, 0, 1)
    except UnreadablePictureError as error:
        return UnreadablePictureError(path, error.reason)  # without the traceback, whose frames hold the picture


def _read(path: str | Path, alpha: Alpha, size: int | None) -> Image.Image:
    try:
        if not Path(path).is_file():  # opening a pipe would wait for ever
            raise UnreadablePictureError(
                path, "no such file" if not os.path.lexists(path) else "not a file, or a dead link"
            )
        return _decode(path, alpha, size)
    except _DAMAGE as error:
        raise UnreadablePictureError(path, _reason(path, error)) from error


def _decode(path: str | Path, alpha: Alpha, size: int | None) -> Image.Image:
    with Image.open(path, formats=FORMATS) as image:
        return _upright(image, alpha, size)


def _upright(image: Image.Image, alpha: Alpha, size: int | None) -> Image.Image:
    """RGB; size: left out, of its own."""
    width, height = image.size
    if width < 1 or height < 1:
        raise _RefusedError(f"it is {width} x {height} pixels")
    if width * height > MOST_PIXELS:
        raise Image.DecompressionBombError  # Pillow's own limit is higher, and it only warns at first
    with _large if width * height > LARGE else nullcontext():
        image.load()
        method = _UPRIGHT.get(_orientation(image))
        picture = _rgb(image, alpha)
        if method is not None:
            picture = picture.transpose(method)
        return picture if size is None else picture.resize((size, size), Image.Resampling.BILINEAR)


def _orientation(image: Image.Image) -> int:
    try:
        orientation = image.getexif().get(0x0112, 1)
    except _DAMAGE:
        return 1  # damaged EXIF data beside sound pixels: shown as it is, as browsers do
    return orientation if isinstance(orientation, int) else 1


def _rgb(image: Image.Image, alpha: Alpha) -> Image.Image:
    if image.mode == "P" and image.palette is None:
        raise ValueError("no palette")
    if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
        image = _eight_bits(image)
    if image.mode in ("I", "F"):
        raise _RefusedError(
            "its pixels are 32-bit numbers, for which no range of brightness is agreed; save it with 8 bits"
        )
    if alpha == "white" and image.has_transparency_data:
        shown = image if image.mode == "RGBA" else image.convert("RGBA")
        paper = Image.new("RGB", image.size, "white")
        paper.paste(shown, mask=shown)
        return paper
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """The high bytes of a 16-bit grey picture; Pillow's own conversion clips at 255 instead."""
    values = np.asarray(image)
    grey = Image.fromarray((values >> 8).astype(np.uint8))
    clear = image.info.get("transparency")
    if clear is None:
        return grey
    return Image.merge("LA", (grey, Image.fromarray(np.where(values == clear, 0, 255).astype(np.uint8))))


def _reason(path: str | Path, error: Exception) -> str:
    if isinstance(error, Image.DecompressionBombError):
        return f"more than {MOST_PIXELS // 10**6} million pixels; shrink it"
    if isinstance(error, UnidentifiedImageError):
        if Path(path).stat().st_size == 0:
            return "the file is empty"
        return "not a JPEG, PNG, WebP, BMP, GIF or TIFF picture, or its first bytes are damaged"
    if isinstance(error, _RefusedError):
        return str(error)
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return f"damaged ({printable(str(error)) or type(error).__name__})"
