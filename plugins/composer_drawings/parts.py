"""What a kind is made of: painted outlines."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from composer_drawings.outlines import Outline, mirrored

Paint = Literal["base", "shade", "line", "dark", "pale", "wood", "glass", "leaf", "warm", "rose"]
"""`base` has the object's colour and pattern, `shade` a darker tone of it, `line` stands out against both;
the others have a colour of their own."""


@dataclass(frozen=True)
class Part:
    """One outline and its paint. `edge`: belongs to the silhouette, so it gets a contour."""

    paint: Paint
    outline: Outline
    edge: bool = False


def body(paint: Paint, *outlines: Outline) -> tuple[Part, ...]:
    """Parts of the silhouette, all in one paint."""
    return tuple(Part(paint, outline, edge=True) for outline in outlines)


def detail(paint: Paint, *outlines: Outline) -> tuple[Part, ...]:
    """Parts drawn inside the silhouette, all in one paint."""
    return tuple(Part(paint, outline) for outline in outlines)


def both(outline: Outline) -> tuple[Outline, Outline]:
    """An outline and its mirror image."""
    return outline, mirrored(outline)
