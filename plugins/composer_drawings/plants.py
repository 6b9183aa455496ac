"""What grows. Each kind is a few painted outlines, the body first and its details on top."""

from __future__ import annotations

from math import cos, pi, sin

from composer_drawings.outlines import box, curve, oval, stroke
from composer_drawings.parts import Part, body, both, detail


def flower() -> tuple[Part, ...]:
    """Six petals on a stem with two leaves."""
    petals = [
        oval(0.44 * cos(a), -0.36 + 0.44 * sin(a), 0.3, 0.23, turn=a)
        for a in (pi / 2 + 2 * pi * i / 6 for i in range(6))
    ]
    folds = [
        stroke((0.2 * cos(a), -0.36 + 0.2 * sin(a)), (0.54 * cos(a), -0.36 + 0.54 * sin(a)), width=0.04)
        for a in (pi / 2 + 2 * pi * i / 6 for i in range(6))
    ]
    return (
        *body("leaf", stroke((0, 0.1), (0.03, 0.55), (0, 1), width=0.11)),
        *body(
            "leaf",
            curve((0.02, 0.86), (0.24, 0.5), (0.56, 0.42), (0.44, 0.72)),
            curve((0, 0.92), (-0.2, 0.6), (-0.5, 0.56), (-0.36, 0.84)),
        ),
        *body("base", *petals),
        *detail("base", oval(0, -0.36, 0.34)),
        *detail("line", *folds),
        *detail("warm", oval(0, -0.36, 0.21)),
        *detail("dark", oval(-0.06, -0.4, 0.04), oval(0.07, -0.36, 0.04), oval(-0.02, -0.28, 0.04)),
    )


def tree() -> tuple[Part, ...]:
    """A conifer: three tiers on a trunk."""
    return (
        *body("wood", box(-0.13, 0.6, 0.13, 1.02)),
        *body("base", ((0, -0.2), (0.7, 0.68), (-0.7, 0.68))),
        *body("base", ((0, -0.66), (0.56, 0.2), (-0.56, 0.2))),
        *body("base", ((0, -1.06), (0.4, -0.3), (-0.4, -0.3))),
        *detail(
            "shade",
            ((-0.4, -0.3), (0.4, -0.3), (0.28, -0.2), (-0.28, -0.2)),
            ((-0.56, 0.2), (0.56, 0.2), (0.4, 0.31), (-0.4, 0.31)),
        ),
        *detail("line", stroke((-0.18, -0.52), (0, -0.46), (0.2, -0.56), width=0.04)),
        *detail("line", stroke((-0.32, 0.02), (0, 0.1), (0.34, -0.02), width=0.04)),
        *detail("line", stroke((-0.44, 0.48), (0, 0.56), (0.46, 0.44), width=0.04)),
    )


def mushroom() -> tuple[Part, ...]:
    """A domed cap on a pale stem."""
    return (
        *body("pale", curve((-0.2, 0), (-0.2, 0.5), (-0.34, 0.9), (0, 1), (0.34, 0.9), (0.2, 0.5), (0.2, 0))),
        *body(
            "base",
            curve(
                (-0.98, 0.06),
                (-0.84, -0.46),
                (-0.36, -0.84),
                (0.36, -0.84),
                (0.84, -0.46),
                (0.98, 0.06),
                (0.5, 0.2),
                (-0.5, 0.2),
            ),
        ),
        *detail("shade", curve((-0.72, 0.1), (-0.3, 0.03), (0.3, 0.03), (0.72, 0.1), (0.4, 0.17), (-0.4, 0.17))),
        *detail("line", *both(stroke((0.2, 0.05), (0.22, 0.16), width=0.03))),
        *detail("wood", stroke((-0.22, 0.42), (0, 0.5), (0.22, 0.42), width=0.08)),
    )


def apple() -> tuple[Part, ...]:
    """Round, with a dip, a stalk and a leaf."""
    return (
        *body("wood", stroke((0, -0.5), (0.02, -0.74), (0.14, -0.98), width=0.11)),
        *body("leaf", curve((0.08, -0.66), (0.3, -0.98), (0.66, -0.94), (0.46, -0.66))),
        *body(
            "base",
            curve(
                (0, -0.52),
                (0.4, -0.68),
                (0.82, -0.4),
                (0.86, 0.14),
                (0.56, 0.76),
                (0.2, 0.94),
                (0, 0.86),
                (-0.2, 0.94),
                (-0.56, 0.76),
                (-0.86, 0.14),
                (-0.82, -0.4),
                (-0.4, -0.68),
            ),
        ),
        *detail("line", stroke((-0.16, -0.46), (0, -0.38), (0.16, -0.46), width=0.045)),
        *detail("shade", curve((0.5, -0.3), (0.72, 0), (0.6, 0.44), (0.3, 0.74), (0.46, 0.3))),
        *detail("pale", oval(-0.5, -0.24, 0.09, 0.2, turn=0.4)),
    )
