"""What a sweep goes through: `models.members=4,8,16` and `seed=1..3` are axes, and their points changes to a recipe."""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from math import prod

import yaml

from composer.errors import Problem, RecipeError

SEED = "seed"
"""The key whose values are repetitions of all else."""
MOST = 10_000
"""Points of a grid that are listed; more are drawn from with `--random`, or are a mistake."""
RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")


@dataclass(frozen=True)
class Axis:
    """A recipe's key and the values it takes, each as `--set` would have it."""

    key: str
    values: tuple[str, ...]


def axes(settings: Sequence[str]) -> list[Axis]:
    """The axes of `key=1,2,3`, `key=1..5` and `key=[1, 2],[3, 4]`; RecipeError with everything that is wrong."""
    found: dict[str, Axis] = {}
    problems = []
    for text in settings:
        key, equals, written = text.partition("=")
        key = key.strip()
        try:
            if not equals or not key:
                raise ValueError("write it as key=value,value, for example models.members=4,8")
            if key in found:
                raise ValueError(f"{key} is there twice; give all its values at once, with commas between them")
            found[key] = Axis(key, _values(written))
        except ValueError as error:
            problems.append(Problem(f"--set {text}", "", str(error)))
    if problems:
        raise RecipeError(problems)
    return list(found.values())


def _values(written: str) -> tuple[str, ...]:
    if whole := RANGE.fullmatch(written.strip()):
        first, last = int(whole[1]), int(whole[2])
        if not 0 <= last - first < MOST:
            raise ValueError(f"{first}..{last} is no range of 1 to {MOST:,} whole numbers, the lower one first")
        return tuple(str(number) for number in range(first, last + 1))
    values = _parted(written)
    if not values or not all(values):
        raise ValueError("a value is empty; write it as key=value,value")
    if twice := [value for value in dict.fromkeys(values) if values.count(value) > 1]:
        raise ValueError(f"{twice[0]} is there twice")
    return values


def _parted(written: str) -> tuple[str, ...]:
    """At the commas that stand in no brackets, braces or quotes."""
    try:
        found = yaml.compose(f"[{written}]", Loader=yaml.SafeLoader)
    except yaml.YAMLError:
        found = None
    if not isinstance(found, yaml.SequenceNode):
        raise ValueError(f"{written!r} is no list of values as YAML writes them")
    return tuple(written[item.start_mark.index - 1 : item.end_mark.index - 1].strip() for item in found.value)


def points(over: Sequence[Axis], at_random: int | None = None, seed: int = 0) -> list[Mapping[str, str]]:
    """Key -> value of every point of the grid, the last axis the quickest; or of so many drawn from it, each once.

    All values of `seed` belong to a point that is drawn. RecipeError where there are too many to list.
    """
    settings = [axis for axis in over if axis.key != SEED]
    seeds = [axis for axis in over if axis.key == SEED]
    count = prod(len(axis.values) for axis in settings)
    if at_random is None or at_random >= count:
        if count * prod(len(axis.values) for axis in seeds) > MOST:
            said = f"{count:,} settings are more than a sweep goes through; give fewer values, or --random N"
            raise RecipeError([Problem("--set", "", said)])
        chosen = list(product(*(axis.values for axis in settings)))
    else:
        numbers = sorted(random.Random(seed).sample(range(count), at_random))
        chosen = [_at(settings, number) for number in numbers]
    return [
        dict(zip([axis.key for axis in (*settings, *seeds)], (*values, *repeated), strict=True))
        for values in chosen
        for repeated in product(*(axis.values for axis in seeds))
    ]


def _at(settings: Sequence[Axis], number: int) -> tuple[str, ...]:
    """The values of the point of that number, without listing all of them."""
    values = []
    for axis in reversed(settings):
        number, place = divmod(number, len(axis.values))
        values.append(axis.values[place])
    return tuple(reversed(values))
