"""Closed outlines made of points, from which the kinds are drawn: x goes right, y goes down."""

from __future__ import annotations

from collections.abc import Sequence
from math import cos, hypot, pi, sin

Point = tuple[float, float]
Outline = tuple[Point, ...]


def oval(x: float, y: float, width: float, height: float | None = None, turn: float = 0.0, points: int = 20) -> Outline:
    """An ellipse about (x, y) with half-axes `width` and `height` (default: a circle), turned by `turn` radians."""
    height = width if height is None else height
    angles = [2 * pi * i / points for i in range(points)]
    return tuple(
        (
            x + width * cos(a) * cos(turn) - height * sin(a) * sin(turn),
            y + width * cos(a) * sin(turn) + height * sin(a) * cos(turn),
        )
        for a in angles
    )


def box(left: float, top: float, right: float, bottom: float, corner: float = 0.0) -> Outline:
    """A rectangle with corners rounded to the radius `corner`."""
    if corner == 0:
        return (left, top), (right, top), (right, bottom), (left, bottom)
    centres = [
        (right - corner, bottom - corner),
        (left + corner, bottom - corner),
        (left + corner, top + corner),
        (right - corner, top + corner),
    ]
    return tuple(
        (x + corner * cos((quarter + i / 4) * pi / 2), y + corner * sin((quarter + i / 4) * pi / 2))
        for quarter, (x, y) in enumerate(centres)
        for i in range(5)
    )


def curve(*points: Point, steps: int = 5) -> Outline:
    """A smooth closed outline through `points` (a Catmull-Rom spline)."""
    count = len(points)
    return tuple(
        _spline(points[i - 1], points[i], points[(i + 1) % count], points[(i + 2) % count], step / steps)
        for i in range(count)
        for step in range(steps)
    )


def stroke(*points: Point, width: float, tip: float | None = None, steps: int = 4) -> Outline:
    """Outline of a smooth line through `points`, `width` wide at its start and `tip` (default: `width`) at its end."""
    tip = width if tip is None else tip
    path = _through(points, steps)
    left: list[Point] = []
    right: list[Point] = []
    for i, (x, y) in enumerate(path):
        (x0, y0), (x1, y1) = path[max(i - 1, 0)], path[min(i + 1, len(path) - 1)]
        length = hypot(x1 - x0, y1 - y0)
        half = (width + (tip - width) * i / (len(path) - 1)) / 2
        across = (-(y1 - y0) / length * half, (x1 - x0) / length * half)
        left.append((x + across[0], y + across[1]))
        right.append((x - across[0], y - across[1]))
    return (*left, *reversed(right))


def mirrored(outline: Outline) -> Outline:
    """The outline on the other side of the line x = 0."""
    return tuple((-x, y) for x, y in outline)


def _through(points: Sequence[Point], steps: int) -> list[Point]:
    if len(points) == 2:
        return list(points)
    ends = [points[0], *points, points[-1]]
    path = [
        _spline(ends[i], ends[i + 1], ends[i + 2], ends[i + 3], step / steps)
        for i in range(len(points) - 1)
        for step in range(steps)
    ]
    return [*path, points[-1]]


def _spline(a: Point, b: Point, c: Point, d: Point, t: float) -> Point:
    return _blend(a[0], b[0], c[0], d[0], t), _blend(a[1], b[1], c[1], d[1], t)


def _blend(a: float, b: float, c: float, d: float, t: float) -> float:
    return b + 0.5 * t * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))
