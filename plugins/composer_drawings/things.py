"""What people make, and a star. Each kind is a few painted outlines, the body first and its details on top."""

from __future__ import annotations

from math import cos, pi, sin

from composer_drawings.outlines import box, curve, oval, stroke
from composer_drawings.parts import Part, body, both, detail


def car() -> tuple[Part, ...]:
    """Seen from its side: cabin with two windows, two wheels."""
    return (
        *body("base", ((-0.62, -0.02), (-0.4, -0.52), (0.24, -0.52), (0.56, -0.02))),
        *body(
            "base",
            curve(
                (-1.0, 0.06),
                (-0.6, -0.06),
                (0.5, -0.06),
                (0.94, 0.06),
                (1.04, 0.4),
                (0.8, 0.48),
                (-0.9, 0.48),
                (-1.06, 0.3),
            ),
        ),
        *body("dark", oval(-0.54, 0.46, 0.26), oval(0.54, 0.46, 0.26)),
        *detail("pale", oval(-0.54, 0.46, 0.12), oval(0.54, 0.46, 0.12)),
        *detail(
            "glass",
            ((-0.48, -0.06), (-0.34, -0.42), (-0.1, -0.42), (-0.1, -0.06)),
            ((0, -0.06), (0, -0.42), (0.2, -0.42), (0.42, -0.06)),
        ),
        *detail(
            "line", stroke((-0.05, -0.04), (-0.05, 0.36), width=0.035), stroke((0.04, 0.12), (0.18, 0.12), width=0.045)
        ),
        *detail("warm", oval(0.92, 0.16, 0.09, 0.08)),
        *detail("rose", box(-1.02, 0.1, -0.92, 0.24)),
    )


def boat() -> tuple[Part, ...]:
    """A hull under two sails, with a pennant."""
    return (
        *body("wood", box(-0.04, -1.0, 0.04, 0.5)),
        *body("rose", ((0.02, -1.04), (0.3, -0.95), (0.02, -0.86))),
        *body("base", ((0.08, -0.78), (0.84, 0.32), (0.08, 0.32))),
        *body("shade", ((-0.08, -0.62), (-0.08, 0.32), (-0.66, 0.32))),
        *body(
            "base",
            curve(
                (-0.98, 0.44),
                (-0.5, 0.44),
                (0.5, 0.44),
                (1.0, 0.4),
                (0.74, 0.84),
                (0.3, 0.96),
                (-0.4, 0.96),
                (-0.8, 0.82),
            ),
        ),
        *detail("line", stroke((-0.84, 0.58), (0.86, 0.56), width=0.04), stroke((0.1, 0.0), (0.6, 0.0), width=0.03)),
        *detail("glass", oval(-0.34, 0.74, 0.08), oval(0, 0.74, 0.08), oval(0.34, 0.74, 0.08)),
    )


def house() -> tuple[Part, ...]:
    """A door, two windows, a pitched roof and a chimney."""
    return (
        *body("wood", box(0.36, -0.92, 0.58, -0.3)),
        *body("base", box(-0.74, -0.2, 0.74, 0.92)),
        *body("shade", ((0, -1.0), (0.98, -0.16), (-0.98, -0.16))),
        *detail(
            "line", stroke((-0.6, -0.34), (0.6, -0.34), width=0.03), stroke((-0.36, -0.56), (0.36, -0.56), width=0.03)
        ),
        *detail("wood", box(-0.18, 0.3, 0.18, 0.92)),
        *detail("warm", oval(0.1, 0.62, 0.05)),
        *detail("glass", box(-0.6, 0.06, -0.3, 0.4), box(0.3, 0.06, 0.6, 0.4)),
        *detail("line", box(-0.47, 0.06, -0.43, 0.4), box(0.43, 0.06, 0.47, 0.4)),
    )


def chair() -> tuple[Part, ...]:
    """Seen from its side, a little from the front: slatted back, seat, four legs."""
    return (
        *body("shade", stroke((-0.24, 0.3), (-0.2, 0.86), width=0.15), stroke((0.6, 0.3), (0.74, 0.86), width=0.15)),
        *body("base", stroke((-0.5, 0.3), (-0.56, 1.0), width=0.17), stroke((0.32, 0.3), (0.36, 1.0), width=0.17)),
        *body("base", curve((-0.66, -0.96), (-0.2, -1.02), (-0.04, -0.9), (-0.14, 0.1), (-0.4, 0.2), (-0.58, 0.1))),
        *body("base", ((-0.6, 0.12), (-0.2, 0.0), (0.74, 0.06), (0.5, 0.24), (0.5, 0.42), (-0.6, 0.38))),
        *detail(
            "line", stroke((-0.42, -0.8), (-0.42, 0.0), width=0.05), stroke((-0.24, -0.8), (-0.26, 0.0), width=0.05)
        ),
        *detail("shade", ((-0.6, 0.25), (0.5, 0.28), (0.5, 0.42), (-0.6, 0.38))),
    )


def mug() -> tuple[Part, ...]:
    """A handle, a rim one looks into, steam."""
    return (
        *body("pale", stroke((-0.4, -0.66), (-0.5, -0.82), (-0.34, -0.94), (-0.42, -1.1), width=0.07)),
        *body("pale", stroke((0.02, -0.66), (-0.08, -0.82), (0.08, -0.94), (0, -1.1), width=0.07)),
        *body("base", stroke((0.4, -0.3), (0.84, -0.36), (0.98, 0.1), (0.8, 0.46), (0.36, 0.5), width=0.17)),
        *body(
            "base",
            curve((-0.8, -0.46), (-0.78, 0.5), (-0.66, 0.84), (-0.16, 0.94), (0.34, 0.84), (0.46, 0.5), (0.48, -0.46)),
        ),
        *body("shade", oval(-0.16, -0.48, 0.64, 0.17)),
        *detail("wood", oval(-0.16, -0.44, 0.52, 0.11)),
        *detail("line", stroke((-0.68, 0.64), (-0.16, 0.76), (0.36, 0.64), width=0.04)),
        *detail("pale", stroke((-0.62, -0.16), (-0.6, 0.4), width=0.08)),
    )


def umbrella() -> tuple[Part, ...]:
    """Open: a scalloped dome, ribs, a hooked handle."""
    dome = curve(
        (-1.0, 0.06),
        (-0.84, -0.46),
        (-0.4, -0.8),
        (0, -0.88),
        (0.4, -0.8),
        (0.84, -0.46),
        (1.0, 0.06),
        (0.66, -0.04),
        (0.34, 0.08),
        (0, -0.04),
        (-0.34, 0.08),
        (-0.66, -0.04),
    )
    ribs = [stroke((0, -0.84), (x * 0.62, -0.5), (x, 0.0), width=0.04) for x in (-0.34, 0.34)]
    return (
        *body("wood", stroke((0, -0.1), (0, 0.76), (0.12, 0.96), (0.3, 0.94), (0.36, 0.76), width=0.11)),
        *body("dark", stroke((0, -1.02), (0, -0.8), width=0.08)),
        *body("base", dome),
        *detail(
            "shade",
            curve((0.36, 0.04), (0.28, -0.4), (0.06, -0.8), (0.5, -0.66), (0.8, -0.36), (0.92, 0), (0.66, -0.06)),
        ),
        *detail("line", *ribs),
    )


def star() -> tuple[Part, ...]:
    """Five points, one half of each in shade, a smile."""
    corners = [
        (radius * sin(pi * i / 5), -radius * cos(pi * i / 5))
        for i in range(10)
        for radius in [1.04 if i % 2 == 0 else 0.46]
    ]
    facets = [((0.0, 0.0), corners[i], corners[i + 1]) for i in range(0, 10, 2)]
    return (
        *body("base", tuple(corners)),
        *detail("shade", *facets),
        *detail("dark", *both(oval(-0.15, -0.06, 0.055, 0.09))),
        *detail("dark", stroke((-0.16, 0.14), (0, 0.23), (0.16, 0.14), width=0.05)),
    )
