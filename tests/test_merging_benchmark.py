"""The benchmark of merging published networks: benchmarks/merging.py."""

from __future__ import annotations

import merging
import numpy as np
import pytest


def test_no_network_is_in_two_pairs_but_the_first() -> None:
    names = [name for pair in merging.PAIRS for name in pair]
    assert (len(merging.PAIRS), len(set(names))) == (10, 19)
    assert [name for name in set(names) if names.count(name) > 1] == ["resnet20/run02"]


def test_the_interval_covers_pairs_and_pictures() -> None:
    """Against the formula for a two-way layout without noise beside the two."""
    rng = np.random.default_rng(1)
    pairs, pictures = rng.normal(0, 0.2, (10, 1)), rng.normal(0, 1, (1, 400))
    mean, low, high = merging.interval([*(0.5 + pairs + pictures)])
    half = 1.96 * (pairs.var() / 10 + pictures.var() / 400) ** 0.5
    assert mean == pytest.approx(0.5 + pairs.mean() + pictures.mean())
    assert [low, high] == pytest.approx([mean - half, mean + half], abs=0.15 * half)


def test_the_page_says_what_the_numbers_say() -> None:
    def told(share: float) -> np.ndarray:
        return np.arange(100) < 100 * share

    def found(plain: float, best: float) -> dict[str, np.ndarray]:
        made = {merging.PARENT: np.stack([told(0.9), told(0.8)]), merging.BOTH: told(0.9)}
        for title in merging.WAYS:
            made |= {title: told(plain), title + merging.ANEW: told(best)}
        return made

    page = " ".join(merging.page([found(0.1, 0.6)] * 10, [found(0.85, 0.85)] * 2, 0.12, "the block").split())
    assert "The plain mean of networks from different starts is at chance: 10.0" in page
    assert "The plain mean of an easy pair loses nothing that shows: 0.0 (" in page
    assert "still lies 25.0" in page
    assert "| run02 + run03 | 90.0, 80.0 | 90.0 | 10.0 | 60.0 | 10.0 | 60.0 | 10.0 | 60.0 |" in page
    page = " ".join(merging.page([found(0.5, 0.6)] * 10, [found(0.5, 0.85)] * 2, 0.12, "").split())
    assert "is not at chance: 50.0" in page
    assert "differs clearly from its parents: -35.0" in page


def test_the_block_of_units_says_what_the_numbers_say() -> None:
    def told(share: float) -> np.ndarray:
        return np.arange(100) < 100 * share

    shares = {title: 0.6 + 0.01 * number for number, title in enumerate(merging.UNITS)}
    found = {merging.PARENT: np.stack([told(0.9), told(0.8)]), **{title: told(own) for title, own in shares.items()}}
    block = " ".join(merging.unit_block([found] * 3).split())
    assert "the first 3 of the pairs above" in block
    assert "the best, `channel_choice`, lies 21.0 (" in block
    assert "the best, `channel_choice`, width 1.25, 18.0 (" in block
    assert block.startswith(merging.BEGIN.strip())
    assert block.endswith(merging.END.strip())
