"""Drawings that stand for pictures without a concept, where somebody has none."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from composer.data.files import picture_files
from composer.registry import Registry

SOURCE = "drawings"
"""The image source that draws, and the folder in `no` that its pictures lie in."""
SIZE = 64
FEWEST, MOST = 20, 200
"""Drawings: as many as there are pictures of the concept, within these."""


def draw_without(concept: str, yes: Path, no: Path, registry: Registry) -> int:
    """Draws pictures that do not show a concept into a new folder in `no`; returns how many."""
    from PIL import Image

    from composer.data.run import Run
    from composer.interfaces import ImageSource, Split
    from composer.recipes.slots import read_component

    count = min(max(len(picture_files(yes)), FEWEST), MOST)
    options = {"use": SOURCE, "size": SIZE, "train": 2 * count}  # half of them show the concept that is asked for
    source = read_component(registry.find("images", SOURCE), options, registry)
    assert isinstance(source, ImageSource)
    asked, other = _pair(concept, source.vocabulary() or {})
    images = source.load(Split((asked, other), asked), Run())
    pixels = images.at(SIZE)[~images.labels[asked]][:count]  # [N, 3, S, S]
    home = no / SOURCE
    home.mkdir(parents=True)
    for number, picture in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        Image.fromarray(picture).save(home / f"{number:03}.png")
    return len(pixels)


def drawn_here(file: Path) -> bool:
    """Whether a file in a folder of links is one of these drawings."""
    return file.suffix == ".png" and file.parent.name == SOURCE and file.parent.parent.name == "no"


def _pair(concept: str, known: Mapping[str, str]) -> tuple[str, str]:
    """The concept, or what can be drawn in its place where it cannot, and one of the other kind."""
    asked = concept if concept in known else next(iter(known))
    return asked, next(name for name, kind in known.items() if kind != known[asked])
