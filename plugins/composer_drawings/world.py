"""Chooses what the pictures of a split show, so that no factor but the label's own says anything about the label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import product

import numpy as np

from composer import Split
from composer_drawings.apart import kept_apart
from composer_drawings.factors import FACTOR_OF, FACTORS
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
    """Equally many (to one) of every cell of `concepts`, in random order."""
    return _of_cells(concepts, list(product([True, False], repeat=len(concepts))), count, rng)


def oracle_subjects(concepts: Sequence[str], count: int, rng: np.random.Generator) -> list[Shown]:
    """Half with the target, half from all other cells equally (to one), in random order: the oracle's training."""
    target, *others = product([True, False], repeat=len(concepts))
    shown = _of_cells(concepts, [target], count // 2, rng) + _of_cells(concepts, others, count - count // 2, rng)
    return _shuffled(shown, rng)


def _of_cells(
    concepts: Sequence[str], cells: Sequence[tuple[bool, ...]], count: int, rng: np.random.Generator
) -> list[Shown]:
    """`count` subjects, equally many (to one) of each cell, in random order."""
    shown: list[Shown] = []
    for index, flags in enumerate(cells):
        own = count // len(cells) + (index < count % len(cells))
        shown += [(s, flags) for s in _subjects(dict(zip(concepts, flags, strict=True)), [], own, rng)]
    return _shuffled(shown, rng)


def _subjects(flags: Mapping[str, bool], apart: Sequence[str], count: int, rng: np.random.Generator) -> list[Subject]:
    """`count` subjects with what is flagged True, nothing flagged False and never all of `apart`; the rest evenly."""
    columns = {}
    for factor, values in FACTORS.items():
        wanted = [value for value in values if flags.get(value)]
        columns[factor] = _evenly(wanted or [value for value in values if flags.get(value, True)], count, rng)
    if apart:  # where all the others of `apart` are shown, the one with the most alternatives gives way
        yields = max(apart, key=lambda concept: len(FACTORS[FACTOR_OF[concept]]))
        others = [concept for concept in apart if concept != yields]
        rows = [i for i in range(count) if all(columns[FACTOR_OF[other]][i] == other for other in others)]
        factor = FACTOR_OF[yields]
        for i, value in zip(rows, _evenly([v for v in FACTORS[factor] if v != yields], len(rows), rng), strict=True):
            columns[factor][i] = value
    return [Subject(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def _evenly(values: Sequence[str], count: int, rng: np.random.Generator) -> list[str]:
    """`count` of the values in random order, each equally often (to one)."""
    first = [values[i] for i in rng.permutation(len(values))]
    repeated = [first[i % len(first)] for i in range(count)]
    return [repeated[i] for i in rng.permutation(count)]


def _shuffled(shown: Sequence[Shown], rng: np.random.Generator) -> list[Shown]:
    return [shown[i] for i in rng.permutation(len(shown))]
