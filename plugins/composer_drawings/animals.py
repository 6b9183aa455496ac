"""Animals. Each kind is a few painted outlines, the body first and its details on top."""

from __future__ import annotations

from composer_drawings.outlines import box, curve, oval, stroke
from composer_drawings.parts import Part, body, both, detail


def cat() -> tuple[Part, ...]:
    """Sits, seen from the front: pointed ears, whiskers, the tail at its side."""
    return (
        *body("base", stroke((0.3, 0.88), (0.72, 0.86), (0.86, 0.5), (0.7, 0.2), (0.82, -0.02), width=0.2, tip=0.14)),
        *body(
            "base",
            curve((0, -0.3), (0.36, 0.1), (0.5, 0.62), (0.4, 0.98), (0, 1), (-0.4, 0.98), (-0.5, 0.62), (-0.36, 0.1)),
        ),
        *body("base", *both(((-0.6, -1.02), (-0.62, -0.36), (-0.06, -0.74)))),
        *body("base", oval(0, -0.42, 0.62, 0.46)),
        *detail("shade", *both(((-0.51, -0.86), (-0.53, -0.6), (-0.28, -0.74)))),
        *detail("shade", oval(0, 0.42, 0.2, 0.28)),
        *detail("warm", *both(oval(-0.26, -0.48, 0.15, 0.14))),
        *detail("dark", *both(oval(-0.26, -0.48, 0.06, 0.13))),
        *detail("rose", ((-0.09, -0.3), (0.09, -0.3), (0, -0.2))),
        *detail("line", *both(stroke((0, -0.2), (0.07, -0.13), (0.16, -0.15), width=0.035))),
        *detail("line", *both(stroke((0.3, -0.25), (0.66, -0.32), width=0.03))),
        *detail("line", *both(stroke((0.3, -0.18), (0.66, -0.13), width=0.03))),
        *detail("line", *both(stroke((0.17, 0.62), (0.17, 0.97), width=0.04))),
    )


def dog() -> tuple[Part, ...]:
    """Stands, seen from its side: four legs, a long snout, a hanging ear, the tail up."""
    return (
        *body("base", stroke((-0.6, -0.08), (-0.85, -0.3), (-0.88, -0.62), width=0.2, tip=0.1)),
        *body("shade", box(-0.44, 0.1, -0.2, 0.78, 0.1), box(0.1, 0.1, 0.34, 0.78, 0.1)),
        *body("base", box(-0.7, 0.1, -0.44, 0.84, 0.1), box(0.32, 0.1, 0.58, 0.84, 0.1)),
        *body(
            "base",
            curve(
                (-0.72, 0),
                (-0.5, -0.2),
                (0, -0.16),
                (0.3, -0.55),
                (0.62, -0.5),
                (0.6, 0.1),
                (0.4, 0.36),
                (-0.1, 0.26),
                (-0.6, 0.36),
            ),
        ),
        *body(
            "base",
            curve((0.26, -0.62), (0.5, -0.84), (0.76, -0.66), (1.06, -0.5), (1.06, -0.3), (0.76, -0.22), (0.4, -0.26)),
        ),
        *detail("shade", curve((0.3, -0.78), (0.48, -0.7), (0.5, -0.3), (0.36, -0.1), (0.22, -0.24), (0.2, -0.56))),
        *detail("line", stroke((0.76, -0.34), (1.02, -0.36), width=0.035)),
        *detail("dark", oval(1.02, -0.46, 0.09, 0.08)),
        *detail("pale", oval(0.64, -0.58, 0.085)),
        *detail("dark", oval(0.66, -0.57, 0.055)),
        *detail("rose", stroke((0.3, -0.14), (0.48, -0.06), (0.66, -0.12), width=0.1)),
        *detail("line", stroke((0.34, 0.3), (0.28, 0.5), width=0.035), stroke((-0.44, 0.3), (-0.4, 0.5), width=0.035)),
    )


def bird() -> tuple[Part, ...]:
    """Perches, seen from its side: round belly, wing, beak, long tail."""
    return (
        *body("warm", stroke((0.0, 0.5), (0.02, 0.94), width=0.08), stroke((0.24, 0.5), (0.28, 0.94), width=0.08)),
        *body("warm", ((0.72, -0.6), (1.1, -0.44), (0.72, -0.32))),
        *body("base", ((-0.4, 0.02), (-1.08, 0.22), (-1.0, 0.5), (-0.3, 0.42))),
        *body(
            "base",
            curve(
                (-0.6, 0.16),
                (-0.2, -0.2),
                (0.16, -0.66),
                (0.5, -0.84),
                (0.82, -0.58),
                (0.72, -0.2),
                (0.62, 0.26),
                (0.2, 0.62),
                (-0.3, 0.52),
            ),
        ),
        *detail("pale", curve((0.34, 0.5), (0.5, 0.1), (0.66, -0.1), (0.6, 0.24))),
        *detail("shade", curve((-0.72, 0.3), (-0.3, -0.1), (0.12, -0.2), (0.3, 0.06), (0.08, 0.3), (-0.3, 0.36))),
        *detail("line", stroke((-0.5, 0.24), (-0.1, 0.18), (0.12, 0.02), width=0.035)),
        *detail("line", stroke((-0.94, 0.36), (-0.6, 0.3), width=0.035)),
        *detail("pale", oval(0.52, -0.54, 0.11)),
        *detail("dark", oval(0.54, -0.54, 0.065)),
    )


def fish() -> tuple[Part, ...]:
    """Swims, seen from its side: forked tail, fins, gills."""
    return (
        *body("shade", curve((-0.3, -0.4), (0.0, -0.78), (0.34, -0.6), (0.3, -0.34))),
        *body("shade", curve((-0.1, 0.38), (-0.16, 0.66), (0.2, 0.56), (0.24, 0.34))),
        *body("base", curve((-0.5, 0), (-0.8, -0.34), (-1.08, -0.56), (-0.94, 0), (-1.08, 0.56), (-0.8, 0.34))),
        *body(
            "base",
            curve(
                (-0.62, 0),
                (-0.3, -0.36),
                (0.3, -0.52),
                (0.76, -0.3),
                (1.0, 0.02),
                (0.76, 0.3),
                (0.3, 0.48),
                (-0.3, 0.34),
            ),
        ),
        *detail("line", stroke((0.46, -0.36), (0.34, 0), (0.46, 0.34), width=0.05)),
        *detail("shade", curve((0.22, 0.04), (-0.16, -0.04), (-0.2, 0.26), (0.1, 0.2))),
        *detail(
            "line",
            stroke((-0.66, -0.08), (-0.92, -0.26), width=0.035),
            stroke((-0.66, 0.08), (-0.92, 0.26), width=0.035),
        ),
        *detail("line", stroke((0.78, 0.2), (0.94, 0.12), width=0.04)),
        *detail("pale", oval(0.68, -0.1, 0.13)),
        *detail("dark", oval(0.7, -0.1, 0.075)),
    )


def butterfly() -> tuple[Part, ...]:
    """Seen from above: four wings, a thin body, feelers."""
    upper = curve((0.05, -0.1), (0.3, -0.66), (0.8, -0.88), (1.04, -0.6), (0.86, -0.12), (0.4, 0.08))
    lower = curve((0.05, 0.04), (0.5, 0.06), (0.8, 0.3), (0.7, 0.74), (0.4, 0.8), (0.14, 0.44))
    return (
        *body("line", *both(stroke((0.03, -0.3), (0.12, -0.66), (0.28, -0.86), width=0.05))),
        *body("base", *both(lower), *both(upper)),
        *detail("shade", *both(curve((0.3, -0.16), (0.5, -0.54), (0.82, -0.64), (0.74, -0.24)))),
        *detail("shade", *both(oval(0.46, 0.44, 0.17, 0.2, turn=0.5))),
        *detail("line", *both(stroke((0.1, -0.06), (0.86, -0.3), width=0.03))),
        *detail("dark", oval(0, 0.06, 0.09, 0.5), oval(0, -0.42, 0.11)),
    )
