"""Pictures that students may learn from in place of the parents' own: those of a folder, or made ones."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from composer import ComposerError, FileDecoder, Images, Run, Split, UnreadablePictureError, picture_files

LEAVES = 60
"""Shapes that are laid on each other in one picture; below them is one colour."""
RADII = 0.04, 0.6
"""Smallest and largest half of a shape's width, as shares of the picture's side."""
AT_ONCE = 256
SMALLEST, LARGEST = 16, 128
"""Pixels a side that are drawn; for networks that look at fewer or more, the pictures are made smaller or larger."""


def of_folder(folder: Path) -> Images:
    """The pictures of a folder, whatever they show; ComposerError for one that cannot be read."""
    files = picture_files(folder)
    decode = FileDecoder(tuple(map(str, files)))

    def at(size: int) -> Tensor:
        try:
            return decode(size)
        except UnreadablePictureError as error:
            raise ComposerError(f"distil: folder: {error}") from None

    return Images([str(path.relative_to(folder)) for path in files], {}, at)


def dead_leaves(count: int, size: int, generator: torch.Generator) -> Images:
    """Pictures of discs and rectangles that hide each other, with sizes, edges and colours much as photographs have.

    Their radii r have a density of r to the power of -3, which makes the pictures look alike at any scale (Lee, Mumford
    and Huang 2001); networks learn from them nearly what they learn from photographs (Baradad et al. 2021,
    arXiv:2106.05963). They show no concept.
    """
    side = min(size, LARGEST)
    drawn = [_drawn(min(AT_ONCE, count - start), side, generator) for start in range(0, count, AT_ONCE)]
    return Images([str(number) for number in range(count)], {}, torch.cat(drawn))


def drawings(count: int, size: int, run: Run) -> Images:
    """Pictures of drawn things of any kind, colour, pattern and size, as the image source of that name draws them."""
    from composer_drawings import Drawings  # for this alone

    side = min(max(size, SMALLEST), LARGEST)
    return Drawings(size=side, test=count).load(Split(()), run)


def _drawn(count: int, side: int, generator: torch.Generator) -> Tensor:
    """uint8 [count, 3, side, side]."""

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator)

    low, high = RADII
    radii = (low**-2 - uniform(count, LEAVES, 2) * (low**-2 - high**-2)) ** -0.5
    centres = uniform(count, LEAVES, 2) * 1.2 - 0.1
    round_ones = uniform(count, LEAVES) < 0.5
    colours = (uniform(count, LEAVES + 1, 3) * 256).to(torch.uint8)
    place = (torch.arange(side) + 0.5) / side
    pixels = colours[:, LEAVES, :, None, None].expand(-1, -1, side, side).clone()
    for leaf in range(LEAVES):
        across, down = (place - centres[:, leaf, axis, None] for axis in (0, 1))  # [count, side]
        wide, tall = (radii[:, leaf, axis, None] for axis in (0, 1))
        box = ((down / tall).abs() < 1)[:, :, None] & ((across / wide).abs() < 1)[:, None, :]
        disc = (down / wide).square()[:, :, None] + (across / wide).square()[:, None, :] < 1
        inside = torch.where(round_ones[:, leaf, None, None], disc, box)
        pixels = torch.where(inside[:, None], colours[:, leaf, :, None, None], pixels)
    return pixels
