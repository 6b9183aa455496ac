"""Chooses what the pictures of a split show, so that neither factor says anything about the other's label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress, product
from typing import NamedTuple

import numpy as np

from composer import Split
from composer_digits.factors import FACTORS, possible


class Subject(NamedTuple):
    """What one picture shows."""

    digit: str
    colour: str

    def __str__(self) -> str:
        return f"{self.colour} {self.digit}"


Shown = tuple[Subject, tuple[bool, ...]]
"""What a picture shows, and which of the concepts asked about it has."""


def training_subjects(split: Split, concept: str, count: int, rng: np.random.Generator) -> list[Shown]:
    """Half with `concept` and half without, in random order; the recipe's other concept is in neither half."""
    hidden = dict.fromkeys((other for other in split.concepts if other != concept), False)
    halves = ((True, count // 2), (False, count - count // 2))
    shown = [(s, (flag,)) for flag, own in halves for s in _subjects({**hidden, concept: flag}, own, rng)]
    return [shown[i] for i in rng.permutation(count)]


def test_subjects(concepts: Sequence[str], count: int, rng: np.random.Generator) -> list[Shown]:
    """Equally many (to one) of every cell of `concepts` that can be, in random order."""
    return _of_cells(concepts, possible_cells(concepts), count, rng)


def oracle_subjects(split: Split, count: int, rng: np.random.Generator) -> list[Shown]:
    """Half with the target, half from all other cells equally (to one), in random order: the oracle's training."""
    concepts, cells = split.concepts, possible_cells(split.concepts)
    true = dict(zip(product([True, False], repeat=len(concepts)), split.target.cells(concepts), strict=True))
    target, others = ([cell for cell in cells if true[cell] is wanted] for wanted in (True, False))
    shown = _of_cells(concepts, target, count // 2, rng) + _of_cells(concepts, others, count - count // 2, rng)
    return [shown[i] for i in rng.permutation(count)]


def possible_cells(concepts: Sequence[str]) -> list[tuple[bool, ...]]:
    """Which of the concepts each cell shows, in the order of `cell_names`; those that cannot be are left out."""
    cells = product([True, False], repeat=len(concepts))
    return [cell for cell in cells if possible(list(compress(concepts, cell)))]


def _of_cells(
    concepts: Sequence[str], cells: Sequence[tuple[bool, ...]], count: int, rng: np.random.Generator
) -> list[Shown]:
    """`count` subjects, equally many (to one) of each cell, in random order."""
    shown: list[Shown] = []
    for index, flags in enumerate(cells):
        own = count // len(cells) + (index < count % len(cells))
        shown += [(s, flags) for s in _subjects(dict(zip(concepts, flags, strict=True)), own, rng)]
    return [shown[i] for i in rng.permutation(count)]


def evenly(values: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """`count` of the values in random order, each equally often (to one)."""
    first = [values[i] for i in rng.permutation(len(values))]
    repeated = [first[i % len(first)] for i in range(count)]
    return [repeated[i] for i in rng.permutation(count)]


def _subjects(flags: Mapping[str, bool], count: int, rng: np.random.Generator) -> list[Subject]:
    """`count` subjects that show what is flagged True and nothing flagged False, all else evenly."""
    columns = []
    for values in FACTORS.values():
        wanted = [value for value in values if flags.get(value)]
        columns.append(evenly(wanted or [value for value in values if flags.get(value, True)], count, rng))
    return [Subject(*row) for row in zip(*columns, strict=True)]
