"""What a benchmark's judgements amount to: a row per composition, control and reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from composer.judging.gain import Gain, Sampled, gain
from composer.sweeps.benchmark import Benchmark, Judgement

SEED = 0
"""Of the resampling of pairs and seeds."""


@dataclass(frozen=True)
class Row:
    """One entrant over all pairs and seeds: mean AUCs, and composition gain."""

    name: str
    kind: str
    auc: float
    hardest: float
    gain: Gain
    by_pair: dict[tuple[str, ...], Gain]


def leaderboard(found: Benchmark) -> list[Row]:
    """Compositions, then controls, each with the highest gain first; only those judged on every pair."""
    judgements = found.judgements
    names = [name for name in judgements[0].hardest if all(name in one.hardest for one in judgements)]
    controls = {*found.entrants.controls, *(name for name in names if "." in name)}
    rows = [
        Row(
            name,
            "control" if name in controls else "composition",
            float(np.mean([one.auc[name].value for one in judgements])),
            float(np.mean([one.hardest[name].value for one in judgements])),
            pooled_gain(judgements, name),
            {pair: pooled_gain(own, name) for pair, own in by_pair(judgements).items()},
        )
        for name in names
    ]
    return sorted(rows, key=lambda row: (row.kind == "control", -row.hardest))


def by_pair(judgements: Sequence[Judgement]) -> dict[tuple[str, ...], list[Judgement]]:
    """Pair -> its judgements, one a seed."""
    found: dict[tuple[str, ...], list[Judgement]] = {}
    for one in judgements:
        found.setdefault(one.pair, []).append(one)
    return found


def pooled_gain(judgements: Sequence[Judgement], name: str) -> Gain:
    """Gain of the means over pairs and seeds, which one hard pair with a near-zero denominator cannot spoil.

    The interval draws pairs again, within each its seeds, and within each test set the pictures.
    """
    return gain(
        pooled(judgements, lambda one: one.hardest[name]),
        pooled(judgements, lambda one: one.parent),
        pooled(judgements, lambda one: one.oracle),
    )


def pooled(judgements: Sequence[Judgement], of: Callable[[Judgement], Sampled]) -> Sampled:
    """Mean over all, and of hierarchical resamples (the same draws for every `of`): pairs, seeds, pictures."""
    own = [[of(one) for one in seeds] for seeds in by_pair(judgements).values()]
    values = np.asarray([[one.value for one in seeds] for seeds in own])  # [P, S]
    replicates = np.asarray([[one.replicates for one in seeds] for seeds in own])  # [P, S, B]
    pairs, seeds, count = replicates.shape
    rng = np.random.default_rng(SEED)
    pair = rng.integers(0, pairs, (count, pairs, 1))
    seed = rng.integers(0, seeds, (count, pairs, seeds))
    drawn: NDArray[np.float64] = replicates[pair, seed, np.arange(count)[:, None, None]]  # [B, P, S]
    return Sampled(float(values.mean()), drawn.mean(axis=(1, 2)))
