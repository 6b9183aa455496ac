"""Fits the surrogate of `composer_clustering` to what was measured of drawn pairs, and judges it on pairs held out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations_with_replacement

import numpy as np
from clustering_kept import Measured
from clustering_trials import SEEN, Floats, Trials

from composer_clustering.surrogate import Surrogate

UNASKED = tuple(name for name in SEEN if name not in ("explained", "parents", "one_parent"))
"""What is seen where the parents are not asked."""
STRENGTHS = (1e-4, 1e-3, 1e-2, 1e-1, 1.0)
"""Of the ridge, times the number of rows."""


@dataclass(frozen=True)
class Rows:
    """What was seen of the partitions of one target that can be judged [N, names], and their index [N]."""

    names: Sequence[str]
    seen: Floats
    index: Floats


def rows_of(one: Measured, names: Sequence[str] = SEEN) -> Rows:
    trials = [own for of_methods in one.trials.values() for own in of_methods.values()]
    seen = np.concatenate([np.stack([own.seen[name] for name in names], axis=1) for own in trials])
    whole = np.isfinite(seen).all(axis=1)
    return Rows(names, seen[whole], np.concatenate([own.index for own in trials])[whole])


def fitted(pairs: Sequence[Measured], names: Sequence[str] = SEEN) -> Surrogate:
    """Ridge regression of the index on what is seen and its products; its strength is that which serves left-out pairs.

    Every pair counts as much as any other.
    """
    rows = [rows_of(pair, names) for pair in pairs]
    lost = {strength: _lost(rows, strength) for strength in STRENGTHS}
    return _ridge(rows, min(lost, key=lost.__getitem__))


def _lost(rows: Sequence[Rows], strength: float) -> float:
    """Mean squared error on each target of what was fitted to the others."""
    if len(rows) < 2:
        return 0.0
    lost = []
    for number, own in enumerate(rows):
        surrogate = _ridge([*rows[:number], *rows[number + 1 :]], strength)
        lost.append(float(np.mean((_said(surrogate, own.seen) - own.index) ** 2)))
    return float(np.mean(lost))


def _ridge(rows: Sequence[Rows], strength: float) -> Surrogate:
    seen, index = np.concatenate([own.seen for own in rows]), np.concatenate([own.index for own in rows])
    counts = np.concatenate([np.full(len(own.index), 1 / max(len(own.index), 1)) for own in rows]) / len(rows)
    spread = seen.std(axis=0)
    scales = np.where(spread > 0, spread, 1)
    centres = seen.mean(axis=0)
    least, most = seen.min(axis=0), seen.max(axis=0)
    bare = Surrogate(rows[0].names, least.tolist(), most.tolist(), centres.tolist(), scales.tolist(), [], 0.0)
    terms = _terms(bare, seen)
    middle, mean = counts @ terms, float(counts @ index)
    centred = terms - middle
    weighed = centred * counts[:, None]
    slopes = np.linalg.solve(weighed.T @ centred + strength * np.eye(terms.shape[1]), weighed.T @ (index - mean))
    short = [float(f"{slope:.8g}") for slope in slopes]
    return replace(bare, slopes=short, intercept=mean - float(middle @ np.asarray(short)))


def _terms(surrogate: Surrogate, seen: Floats) -> Floats:
    """`Surrogate.terms` of many rows at once."""
    values = (np.clip(seen, surrogate.least, surrogate.most) - surrogate.centres) / surrogate.scales
    first, second = np.asarray(list(combinations_with_replacement(range(len(surrogate.names)), 2))).T
    return np.concatenate([values, values[:, first] * values[:, second]], axis=1)


def _said(surrogate: Surrogate, seen: Floats) -> Floats:
    said: Floats = _terms(surrogate, seen) @ np.asarray(surrogate.slopes) + surrogate.intercept
    return np.clip(said, -1, 1)


def told(one: Measured, surrogate: Surrogate, called: str = "surrogate") -> Measured:
    """The same with what the surrogate says of its trials, as one more objective."""
    trials = {
        name: {method: _told(own, surrogate, called) for method, own in of_methods.items()}
        for name, of_methods in one.trials.items()
    }
    return replace(one, trials=trials)


def _told(own: Trials, surrogate: Surrogate, called: str) -> Trials:
    seen = np.stack([own.seen[name] for name in surrogate.names], axis=1)
    whole = np.isfinite(seen).all(axis=1)
    values = own.worth["stability"].copy()  # what cannot be judged is worth as little by each
    values[whole] = _said(surrogate, seen[whole])
    return replace(own, worth={**own.worth, called: values})


def held_out(pairs: Sequence[Measured]) -> list[Measured]:
    """Each pair with what surrogates say of it that were fitted to those pairs that share no concept with it.

    One sees all, the other does not ask the parents. The pairs as they are where one of them has no such others.
    """
    others = [strangers(pair, pairs) for pair in pairs]
    if not all(others):
        return list(pairs)
    found = []
    for pair, own in zip(pairs, others, strict=True):
        asked = told(pair, fitted(own))
        found.append(told(asked, fitted(own, UNASKED), "surrogate that asks no parent"))
    return found


def strangers(pair: Measured, pairs: Iterable[Measured]) -> list[Measured]:
    own = set(pair.name.split("+"))
    return [other for other in pairs if own.isdisjoint(other.name.split("+"))]
