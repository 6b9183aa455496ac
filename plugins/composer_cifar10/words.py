"""The words for what CIFAR-10's pictures show, and for the colours they can be tinted in."""

from __future__ import annotations

CLASSES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")

CLASS_OF: dict[str, int] = {**{word: index for index, word in enumerate(CLASSES)}, "plane": 0, "car": 1}
"""Word -> number of the class in the file."""

HUES: dict[str, tuple[float, float]] = {
    "red": (0.97, 1.015),
    "orange": (0.06, 0.09),
    "yellow": (0.14, 0.165),
    "green": (0.3, 0.39),
    "cyan": (0.475, 0.52),
    "blue": (0.59, 0.645),
    "purple": (0.74, 0.79),
    "pink": (0.9, 0.95),
}
"""Hues that each colour word covers, in [0, 1] and past 1 around red."""
