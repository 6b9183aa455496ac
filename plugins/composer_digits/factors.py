"""The words of the tinted digits: every picture shows one digit in one colour."""

from __future__ import annotations

from collections.abc import Sequence

Span = tuple[float, float]

PALETTE: dict[str, tuple[Span, Span, Span]] = {
    "white": ((0.0, 1.0), (0.0, 0.05), (0.92, 1.0)),
    "grey": ((0.0, 1.0), (0.0, 0.07), (0.5, 0.66)),
    "red": ((0.97, 1.01), (0.6, 0.85), (0.8, 1.0)),
    "orange": ((0.065, 0.09), (0.7, 0.9), (0.92, 1.0)),
    "yellow": ((0.14, 0.165), (0.5, 0.8), (0.88, 1.0)),
    "green": ((0.3, 0.39), (0.45, 0.7), (0.7, 0.95)),
    "cyan": ((0.475, 0.52), (0.45, 0.7), (0.8, 1.0)),
    "blue": ((0.59, 0.64), (0.5, 0.75), (0.88, 1.0)),
    "purple": ((0.74, 0.79), (0.4, 0.6), (0.7, 0.95)),
    "pink": ((0.9, 0.95), (0.25, 0.45), (0.93, 1.0)),
}
"""Hue, saturation and value that each colour word covers, each in [0, 1]; hues go on past 1."""

FACTORS: dict[str, tuple[str, ...]] = {
    "digit": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "colour": tuple(PALETTE),
}

FACTOR_OF: dict[str, str] = {value: factor for factor, values in FACTORS.items() for value in values}
"""The factor that a concept is a value of."""


def possible(concepts: Sequence[str]) -> bool:
    """Whether one picture can show all of these: it has one digit and one colour."""
    return len({FACTOR_OF.get(concept, concept) for concept in concepts}) == len(set(concepts))
