"""Published weights: from torch's cache, or downloaded into it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO
from urllib.error import URLError
from urllib.request import urlopen
from uuid import uuid4

import torch

from composer import ComposerError, Run
from composer_torchvision.network import torchvision_models

PIECE = 2**20
PATIENCE = 30
"""Seconds without a byte after which a download is given up."""
HASH = re.compile(r"-([0-9a-f]{8,})\.")
"""Published files are named after the start of their sha256."""


def published_file(model: str, weights: str, run: Run) -> Path:
    """The file in torch's cache; ComposerError that says where to put it where it cannot be downloaded."""
    url: str = torchvision_models().get_model_weights(model)[weights].url
    folder = Path(torch.hub.get_dir()) / "checkpoints"
    file = folder / url.rpartition("/")[2]
    if not file.is_file():
        try:
            folder.mkdir(parents=True, exist_ok=True)
            download(url, file, run)
        except (URLError, OSError) as error:
            reason = getattr(error, "reason", None) or error
            raise ComposerError(
                f"torchvision: weights {weights} of {model} are not here and cannot be downloaded ({reason}); "
                f"fetch {url} elsewhere and put it at {file}, or name another file with `file`"
            ) from error
    return file


def download(url: str, file: Path, run: Run) -> None:
    """Writes the file whole or not at all; OSError where its content is not what its name says."""
    part = file.with_name(f".{file.name}-{uuid4().hex}")
    total = hashlib.sha256()
    try:
        with urlopen(url, timeout=PATIENCE) as source, part.open("wb") as target:
            size = int(source.headers.get("Content-Length") or 0)
            for piece in run.progress(pieces(source), f"downloading {file.name} (MiB)", -(-size // PIECE)):
                target.write(piece)
                total.update(piece)
        wanted = HASH.search(file.name)
        if wanted and not total.hexdigest().startswith(wanted[1]):
            raise OSError(f"what came does not have the sha256 {wanted[1]}... of its name")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def pieces(source: BinaryIO) -> Iterator[bytes]:
    while piece := source.read(PIECE):
        yield piece
