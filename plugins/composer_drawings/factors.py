"""The words of the drawn world: every drawn object has one value of each factor."""

from __future__ import annotations

from collections.abc import Sequence

FACTORS: dict[str, tuple[str, ...]] = {
    "kind": (
        "cat",
        "dog",
        "bird",
        "fish",
        "butterfly",
        "flower",
        "tree",
        "mushroom",
        "apple",
        "car",
        "boat",
        "house",
        "chair",
        "mug",
        "umbrella",
        "star",
    ),
    "colour": (
        "black",
        "white",
        "grey",
        "red",
        "orange",
        "yellow",
        "green",
        "cyan",
        "blue",
        "purple",
        "pink",
        "brown",
    ),
    "pattern": ("plain", "striped", "spotted"),
    "size": ("small", "large"),
}

FACTOR_OF: dict[str, str] = {value: factor for factor, values in FACTORS.items() for value in values}
"""The factor that a concept is a value of."""


def possible(concepts: Sequence[str]) -> bool:
    """Whether one object can have all of these values: it has only one of each factor."""
    return len({FACTOR_OF.get(concept, concept) for concept in concepts}) == len(set(concepts))
