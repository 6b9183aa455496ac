"""Draws one picture: background, clutter, the object with its shadow and pattern, light and noise.

Everything is drawn several times too large and then averaged down, so that edges are smooth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import ceil, cos, pi, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from composer_drawings.kinds import KINDS
from composer_drawings.palette import Colour, Tones, any_colour, draw_tones, mix
from composer_drawings.parts import Paint

Flat = list[float]
"""A polygon as Pillow takes it: x, y, x, y, ..."""

HALF_EXTENT = {"small": (0.27, 0.31), "large": (0.39, 0.46)}
"""Half of an object's longer side, as a share of the picture's side."""
CONTOUR = 0.026
"""Width of the contour, as a share of the picture's side; half of it lies outside the object."""


@dataclass(frozen=True)
class Subject:
    """What one picture shows."""

    kind: str
    colour: str
    pattern: str
    size: str

    def __str__(self) -> str:
        return f"{self.colour} {self.pattern} {self.size} {self.kind}"


def draw_picture(subject: Subject, size: int, rng: np.random.Generator) -> NDArray[np.uint8]:
    """uint8 [size, size, 3]; all that the subject leaves open is drawn from `rng`."""
    scale = 4 if size <= 32 else 3 if size <= 64 else 2
    return _lit(draw_scene(subject, size * scale, rng).reduce(scale), rng)


def draw_scene(subject: Subject, side: int, rng: np.random.Generator) -> Image.Image:
    """The scene, `side` pixels wide and high, before light and noise; a pattern is the last to use `rng`."""
    picture = _background(side, rng)
    brush = ImageDraw.Draw(picture)
    _clutter(brush, side, rng)
    _object(picture, brush, subject, rng)
    return picture


def _background(side: int, rng: np.random.Generator) -> Image.Image:
    """Blotches or a gradient of any colours, half of the time with bands or dots of another."""
    colours = np.array([any_colour(rng) for _ in range(3)], dtype=np.float64)
    if rng.random() < 0.5:  # a gradient between two colours, in any direction
        corners = rng.random((2, 2, 1))
    else:
        cells = int(rng.integers(3, 6))
        corners = rng.random((cells, cells, 1)) * rng.uniform(0.2, 0.9)
    grid = (colours[0] + (colours[1] - colours[0]) * corners).astype(np.uint8)
    background = Image.fromarray(grid).resize((side, side), Image.Resampling.BICUBIC)
    texture = rng.random()
    if texture < 0.4:
        ink = mix(_bytes(colours[0]), _bytes(colours[2]), float(rng.uniform(0.15, 0.5)))
        brush = ImageDraw.Draw(background)
        for polygon in _stripes(side, rng) if texture < 0.2 else _spots(side, rng):
            brush.polygon(polygon, fill=ink)
    return background


def _stripes(side: int, rng: np.random.Generator) -> list[Flat]:
    period = side * rng.uniform(0.12, 0.3)
    return _bands(side, period, period * float(rng.uniform(0.25, 0.5)), float(rng.uniform(0, pi)), float(rng.random()))


def _spots(side: int, rng: np.random.Generator) -> list[Flat]:
    spacing = side * rng.uniform(0.14, 0.3)
    return _dots(side, spacing, spacing * float(rng.uniform(0.15, 0.3)), float(rng.uniform(0, pi)), rng)


def _bands(side: int, period: float, width: float, angle: float, phase: float) -> list[Flat]:
    """Parallel bands over a square of `side` pixels, across the direction `angle`."""
    reach = ceil(0.75 * side / period)
    along, across = (-sin(angle) * side, cos(angle) * side), (cos(angle), sin(angle))
    bands: list[Flat] = []
    for i in range(-reach, reach + 1):
        corners = []
        for offset, end in ((0.0, -1), (width, -1), (width, 1), (0.0, 1)):
            distance = (i + phase) * period + offset
            corners += [
                side / 2 + across[0] * distance + along[0] * end,
                side / 2 + across[1] * distance + along[1] * end,
            ]
        bands.append(corners)
    return bands


_ROUND = np.array([(cos(2 * pi * i / 10), sin(2 * pi * i / 10)) for i in range(10)])


def _dots(side: int, spacing: float, radius: float, angle: float, rng: np.random.Generator) -> list[Flat]:
    """Dots on a turned grid over a square of `side` pixels, every second row shifted, each a little out of place."""
    reach = ceil(0.75 * side / spacing)
    steps = np.arange(-reach, reach + 1)
    x, y = np.meshgrid(steps.astype(np.float64), steps.astype(np.float64))
    centres = np.stack([x + 0.5 * (steps[:, None] % 2), y * 0.87], axis=-1).reshape(-1, 2) * spacing
    centres += rng.uniform(-0.12, 0.12, centres.shape) * spacing + rng.uniform(0, spacing, 2)
    turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    centres = centres @ turn + side / 2
    seen = centres[((centres > -radius) & (centres < side + radius)).all(axis=1)]
    polygons: list[Flat] = (seen[:, None] + radius * _ROUND).reshape(len(seen), -1).tolist()
    return polygons


def _clutter(brush: ImageDraw.ImageDraw, side: int, rng: np.random.Generator) -> None:
    """Up to four small shapes of any colour, anywhere."""
    for _ in range(int(rng.integers(0, 5))):
        corners = int(rng.choice((2, 3, 4, 5, 12)))
        radius = side * rng.uniform(0.03, 0.075)
        angles = 2 * pi * (np.arange(corners) / corners + rng.random())
        points = rng.uniform(0, side, 2) + radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)
        flat = points.ravel().tolist()
        colour = any_colour(rng)
        if corners == 2 or rng.random() < 0.25:
            brush.line(flat + flat[:2], fill=colour, width=max(1, side // 40))
        else:
            brush.polygon(flat, fill=colour)


def _object(picture: Image.Image, brush: ImageDraw.ImageDraw, subject: Subject, rng: np.random.Generator) -> None:
    side = picture.width
    tones = draw_tones(subject.colour, rng)
    parts = [
        (paint, edge, polygon)
        for (paint, edge), polygon in zip(_paints(subject.kind), _posed(subject, side, rng), strict=True)
    ]
    silhouette = [(paint, polygon) for paint, edge, polygon in parts if edge]

    _shadow(picture, [polygon for _, polygon in silhouette], rng)
    for _, polygon in silhouette:
        brush.line(polygon + polygon[:4], fill=tones.contour, width=max(1, round(CONTOUR * side)))
    for paint, polygon in silhouette:
        brush.polygon(polygon, fill=tones.of(paint))
    if subject.pattern != "plain":
        _pattern(picture, subject, silhouette, tones, rng)
    for paint, edge, polygon in parts:
        if not edge:
            brush.polygon(polygon, fill=tones.of(paint))


def _pattern(
    picture: Image.Image,
    subject: Subject,
    silhouette: list[tuple[Paint, Flat]],
    tones: Tones,
    rng: np.random.Generator,
) -> None:
    """Stripes or spots on those parts of the object that have its colour."""
    side = picture.width
    extent = side * sum(HALF_EXTENT[subject.size])  # the longer side of a middling object
    angle = float(rng.uniform(-0.3, 0.3))
    if subject.pattern == "striped":
        period = extent * float(rng.uniform(0.22, 0.27))
        polygons = _bands(side, period, 0.35 * period, angle, float(rng.random()))
    else:
        spacing = extent * float(rng.uniform(0.24, 0.29))
        polygons = _dots(side, spacing, 0.29 * spacing, angle, rng)
    mask = Image.new("L", picture.size)
    on_mask = ImageDraw.Draw(mask)
    for paint, polygon in silhouette:
        on_mask.polygon(polygon, fill=255 if paint == "base" else 0)
    patterned = picture.copy()
    on_copy = ImageDraw.Draw(patterned)
    for polygon in polygons:
        on_copy.polygon(polygon, fill=tones.pattern)
    picture.paste(patterned, mask=mask)


def _shadow(picture: Image.Image, silhouette: list[Flat], rng: np.random.Generator) -> None:
    """Half of the objects throw a shadow on what is behind them."""
    if rng.random() < 0.5:
        return
    strength = int(rng.integers(40, 130))
    shift = (rng.uniform(-0.05, 0.05, 2) + np.array([0.0, 0.03])) * picture.width
    mask = Image.new("L", picture.size)
    brush = ImageDraw.Draw(mask)
    for polygon in silhouette:
        moved = (np.array(polygon).reshape(-1, 2) + shift).ravel().tolist()
        brush.polygon(moved, fill=strength)
    picture.paste((0, 0, 0), mask=mask)


@cache
def _paints(kind: str) -> list[tuple[Paint, bool]]:
    return [(part.paint, part.edge) for part in KINDS[kind]]


@cache
def _points(kind: str) -> tuple[NDArray[np.float64], list[int]]:
    """All points [P, 2] of a kind, its box centred and its longer side 2; and where each part ends."""
    points = np.array([point for part in KINDS[kind] for point in part.outline])
    ends = np.cumsum([len(part.outline) for part in KINDS[kind]]).tolist()
    low, high = points.min(axis=0), points.max(axis=0)
    return (points - (low + high) / 2) / (high - low).max() * 2, ends


def _posed(subject: Subject, side: int, rng: np.random.Generator) -> list[Flat]:
    """The parts' polygons in pixels: flipped, sheared, turned, scaled and placed within the picture."""
    points, ends = _points(subject.kind)
    flip = 1.0 if rng.random() < 0.5 else -1.0
    angle = float(np.clip(rng.normal(0, 0.1), -0.25, 0.25))
    shear, stretch = float(rng.uniform(-0.12, 0.12)), float(rng.uniform(0.92, 1.08))
    turn = np.array([[cos(angle), sin(angle)], [-sin(angle), cos(angle)]])
    points = points @ np.array([[flip * stretch, 0.0], [shear, 1 / stretch]]) @ turn
    low, high = points.min(axis=0), points.max(axis=0)
    extent = float(rng.uniform(*HALF_EXTENT[subject.size]))
    scale = 2 * extent / (high - low).max()
    room = 0.5 - (high - low) / 2 * scale - 0.015
    centre = 0.5 + rng.uniform(-1, 1, 2) * np.minimum(room, 0.1)
    flat: Flat = (((points - (low + high) / 2) * scale + centre) * side).ravel().tolist()
    return [flat[2 * start : 2 * end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def _lit(picture: Image.Image, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The picture under light that falls off in some direction, with a camera's noise."""
    size = picture.width
    angle, fall = float(rng.uniform(0, 2 * pi)), float(rng.uniform(0, 0.22))
    steps = np.linspace(-1, 1, size, dtype=np.float32)
    light = np.float32(rng.uniform(0.86, 1.08)) + fall * (cos(angle) * steps + sin(angle) * steps[:, None])
    noise = rng.standard_normal((size, size, 3), dtype=np.float32) * np.float32(rng.uniform(2, 8))
    lit = np.asarray(picture, dtype=np.float32) * light[:, :, None].astype(np.float32) + noise
    return lit.clip(0, 255).round().astype(np.uint8)


def _bytes(colour: NDArray[np.float64]) -> Colour:
    red, green, blue = (int(part) for part in colour)
    return red, green, blue
