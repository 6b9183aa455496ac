"""All kinds of objects, and how each looks."""

from __future__ import annotations

from composer_drawings import animals, plants, things
from composer_drawings.parts import Part

KINDS: dict[str, tuple[Part, ...]] = {
    "cat": animals.cat(),
    "dog": animals.dog(),
    "bird": animals.bird(),
    "fish": animals.fish(),
    "butterfly": animals.butterfly(),
    "flower": plants.flower(),
    "tree": plants.tree(),
    "mushroom": plants.mushroom(),
    "apple": plants.apple(),
    "car": things.car(),
    "boat": things.boat(),
    "house": things.house(),
    "chair": things.chair(),
    "mug": things.mug(),
    "umbrella": things.umbrella(),
    "star": things.star(),
}
"""The parts of each kind, in the order in which they are painted, within about [-1, 1] x [-1, 1]."""
