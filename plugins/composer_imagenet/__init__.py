"""Names of ImageNet's 1000 classes and of common groups of them, for the plugins whose networks know them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

__all__ = ["class_groups", "class_names"]

GROUPS: Mapping[str, Sequence[int | tuple[int, int]]] = {
    "airplane": (404, 895),
    "animal": ((0, 397),),
    "ape": ((365, 369),),
    "bear": ((294, 297),),
    "beetle": ((300, 307),),
    "bicycle": (444, 671),
    "big cat": ((286, 293),),
    "bird": ((7, 24), (80, 100), (127, 146)),
    "boat": (472, 484, 554, 576, 625, 780, 814, 871, 914),
    "bus": (654, 779, 874),
    "butterfly": ((321, 326),),
    "car": (407, 436, 468, 511, 609, 627, 656, 661, 751, 817),
    "cat": ((281, 285),),
    "chair": (423, 559, 765, 857),
    "crab": ((118, 121), 125),
    "dog": ((151, 268),),
    "elephant": (101, 385, 386),
    "fish": ((0, 6), (389, 397)),
    "flower": (985, 986),
    "fox": ((277, 280),),
    "frog": ((30, 32),),
    "fruit": ((948, 957),),
    "fungus": (947, (991, 997)),
    "insect": ((300, 326),),
    "lizard": ((38, 48),),
    "monkey": ((370, 382),),
    "mug": (504, 968),
    "primate": ((365, 384),),
    "rabbit": ((330, 332),),
    "salamander": ((25, 29),),
    "shark": ((2, 4),),
    "ship": (403, 510, 628, 724),
    "snake": ((52, 68),),
    "spider": ((72, 77),),
    "train": (466, 547, 820),
    "truck": (555, 569, 675, 717, 734, 864, 867),
    "turtle": ((33, 37),),
    "whale": (147, 148),
    "wolf": ((269, 272),),
}
"""Name -> classes, as numbers and as (first, last): hyponyms in WordNet, which ImageNet's order follows for animals."""


@cache
def class_names() -> tuple[str, ...]:
    """The 1000 short names in the order of the outputs of networks trained on ILSVRC 2012; no two are alike."""
    return tuple(Path(__file__).with_name("imagenet.txt").read_text(encoding="utf-8").splitlines())


@cache
def class_groups() -> Mapping[str, tuple[int, ...]]:
    """`cat` -> (281, 282, 283, 284, 285) and others. No group has the name of a class."""
    return {name: tuple(index for part in parts for index in _expand(part)) for name, parts in GROUPS.items()}


def _expand(part: int | tuple[int, int]) -> Sequence[int]:
    return [part] if isinstance(part, int) else range(part[0], part[1] + 1)
