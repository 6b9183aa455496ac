"""Chooses what the pictures of a split show, so that no factor but the label's own says anything about the label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import compress, product

import numpy as np

from composer import Split
from composer_drawings.apart import giving_way, kept_apart
from composer_drawings.factors import FACTOR_OF, FACTORS, possible
from composer_drawings.scene import Subject

Shown = tuple[Subject, tuple[bool, ...]]
"""What a picture shows, and which of the concepts asked about it has."""


def training_subjects(
    split: Split, concept: str, count: int, rng: np.random.Generator, held_out: Sequence[str] = ()
) -> list[Shown]:
    """Half with `concept` and half without, in random order.

    In neither half does an attribute's picture show the recipe's object, nor the object's picture all of
    the recipe's attributes: so the target never appears, and its absence gives nothing away. What is
    `held_out` is kept apart in the same way.
    """
    apart, never = kept_apart(split, concept, held_out)
    hidden = dict.fromkeys(never, False)
    with_concept = _subjects({**hidden, concept: True}, apart, count // 2, rng)
    without = _subjects({**hidden, concept: False}, apart, count - count // 2, rng)
    return _shuffled([*((s, (True,)) for s in with_concept), *((s, (False,)) for s in without)], rng)


def test_subjects(concepts: Sequence[str], count: int, rng: np.random.Generator) -> list[Shown]:
    """Equally many (to one) of every cell of `concepts` that can be, in random order."""
    return _of_cells(concepts, possible_cells(concepts), count, rng)


def oracle_subjects(split: Split, count: int, rng: np.random.Generator) -> list[Shown]:
    """Half with the target, half from all other cells equally (to one), in random order: the oracle's training."""
    concepts, cells = split.concepts, possible_cells(split.concepts)
    true = dict(zip(product([True, False], repeat=len(concepts)), split.target.cells(concepts), strict=True))
    target, others = ([cell for cell in cells if true[cell] is wanted] for wanted in (True, False))
    shown = _of_cells(concepts, target, count // 2, rng) + _of_cells(concepts, others, count - count // 2, rng)
    return _shuffled(shown, rng)


def possible_cells(concepts: Sequence[str]) -> list[tuple[bool, ...]]:
    """Which of the concepts each cell shows, in the order of `cell_names`; those that no object can be are left out."""
    cells = product([True, False], repeat=len(concepts))
    return [cell for cell in cells if possible(list(compress(concepts, cell)))]


def _of_cells(
    concepts: Sequence[str], cells: Sequence[tuple[bool, ...]], count: int, rng: np.random.Generator
) -> list[Shown]:
    """`count` subjects, equally many (to one) of each cell, in random order."""
    shown: list[Shown] = []
    for index, flags in enumerate(cells):
        own = count // len(cells) + (index < count % len(cells))
        shown += [(s, flags) for s in _subjects(dict(zip(concepts, flags, strict=True)), [], own, rng)]
    return _shuffled(shown, rng)


def _subjects(
    flags: Mapping[str, bool], apart: Sequence[Sequence[str]], count: int, rng: np.random.Generator
) -> list[Subject]:
    """`count` subjects with what is flagged True, nothing flagged False and never all of a group; the rest evenly."""
    columns = {}
    for factor, values in FACTORS.items():
        wanted = [value for value in values if flags.get(value)]
        columns[factor] = _evenly(wanted or [value for value in values if flags.get(value, True)], count, rng)
    for group in apart:
        yields = giving_way(group)
        others = [concept for concept in group if concept != yields]
        rows = [i for i in range(count) if all(columns[FACTOR_OF[other]][i] == other for other in others)]
        factor, taken = FACTOR_OF[yields], set(map(giving_way, apart))
        free = [value for value in FACTORS[factor] if value not in taken and flags.get(value, True)]
        for i, value in zip(rows, _evenly(free, len(rows), rng), strict=True):
            columns[factor][i] = value
    return [Subject(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def _evenly(values: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """`count` of the values in random order, each equally often (to one)."""
    first = [values[i] for i in rng.permutation(len(values))]
    repeated = [first[i % len(first)] for i in range(count)]
    return [repeated[i] for i in rng.permutation(count)]


def _shuffled(shown: Sequence[Shown], rng: np.random.Generator) -> list[Shown]:
    return [shown[i] for i in rng.permutation(len(shown))]
