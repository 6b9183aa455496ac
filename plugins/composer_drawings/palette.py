"""Colours: what each colour word covers, and the tones that go with a colour."""

from __future__ import annotations

from colorsys import hsv_to_rgb
from dataclasses import dataclass

import numpy as np

from composer_drawings.parts import Paint

Colour = tuple[int, int, int]
Span = tuple[float, float]

PALETTE: dict[str, tuple[Span, Span, Span]] = {
    "black": ((0.0, 1.0), (0.0, 0.35), (0.05, 0.16)),
    "white": ((0.0, 1.0), (0.0, 0.05), (0.92, 1.0)),
    "grey": ((0.0, 1.0), (0.0, 0.07), (0.42, 0.62)),
    "red": ((0.97, 1.015), (0.8, 0.97), (0.68, 0.92)),
    "orange": ((0.06, 0.09), (0.85, 1.0), (0.9, 1.0)),
    "yellow": ((0.14, 0.165), (0.65, 0.92), (0.88, 1.0)),
    "green": ((0.3, 0.39), (0.55, 0.9), (0.45, 0.75)),
    "cyan": ((0.475, 0.52), (0.55, 0.85), (0.75, 0.92)),
    "blue": ((0.59, 0.645), (0.65, 0.92), (0.55, 0.9)),
    "purple": ((0.74, 0.79), (0.5, 0.75), (0.48, 0.75)),
    "pink": ((0.9, 0.95), (0.3, 0.5), (0.93, 1.0)),
    "brown": ((0.05, 0.08), (0.55, 0.75), (0.36, 0.5)),
}
"""Hue, saturation and value that each colour word covers, each in [0, 1]; hues go on past 1."""

FIXED: dict[Paint, Colour] = {
    "dark": (32, 32, 38),
    "pale": (244, 242, 234),
    "wood": (122, 84, 52),
    "glass": (176, 216, 236),
    "leaf": (84, 142, 66),
    "warm": (246, 190, 70),
    "rose": (222, 96, 110),
}
"""Paints whose colour does not follow the object's."""


@dataclass(frozen=True)
class Tones:
    """The colours of one drawn object."""

    base: Colour
    shade: Colour
    line: Colour
    contour: Colour
    pattern: Colour

    def of(self, paint: Paint) -> Colour:
        """The colour of a paint."""
        if paint == "base":
            return self.base
        if paint == "shade":
            return self.shade
        return self.line if paint == "line" else FIXED[paint]


def draw_colour(word: str, rng: np.random.Generator) -> Colour:
    """One of the colours that `word` covers."""
    hue, saturation, value = (
        low + (high - low) * share for (low, high), share in zip(PALETTE[word], rng.random(3), strict=True)
    )
    return _bytes(hsv_to_rgb(hue % 1.0, saturation, value))


def any_colour(rng: np.random.Generator) -> Colour:
    """Any colour at all, for what is not the object."""
    hue, saturation, value = rng.random(3)
    return _bytes(hsv_to_rgb(hue, 0.9 * saturation, 0.12 + 0.88 * value))


def draw_tones(word: str, rng: np.random.Generator) -> Tones:
    """The colours of an object of the colour `word`; a dark object gets lighter details, any other darker ones."""
    base = draw_colour(word, rng)
    brightness = luminance(base)
    away: Colour = (255, 255, 255) if brightness < 0.2 else (0, 0, 0)
    others = [other for other in PALETTE if other != word]
    pattern = max(
        (draw_colour(others[i], rng) for i in rng.integers(0, len(others), 3)),
        key=lambda c: abs(luminance(c) - brightness),
    )
    if abs(luminance(pattern) - brightness) < 0.35:  # too like the base to be seen in a small picture
        pattern = mix(base, (255, 255, 255) if brightness < 0.5 else (0, 0, 0), 0.7)
    return Tones(
        base=base,
        shade=mix(base, away, 0.14 if brightness < 0.2 else 0.22),
        line=mix(base, away, 0.5),
        contour=mix(base, away, 0.42 if brightness < 0.2 else 0.6),
        pattern=pattern,
    )


def luminance(colour: Colour) -> float:
    """How bright a colour looks, in [0, 1] (ITU-R BT.601 weights)."""
    red, green, blue = colour
    return (0.299 * red + 0.587 * green + 0.114 * blue) / 255


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`first` with a `share` of `second` in it."""
    red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _bytes(colour: tuple[float, float, float]) -> Colour:
    red, green, blue = (round(255 * float(part)) for part in colour)
    return red, green, blue
