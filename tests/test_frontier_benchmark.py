"""The benchmark of one network out of two: benchmarks/frontier.py."""

from __future__ import annotations

from pathlib import Path

import frontier

from composer import ComposedModel
from composer.judging.gain import Gain
from composer.sweeps.leaderboard import Row
from composer_cnn import CNN
from tiny import tiny_population


def rows(**gains: float) -> dict[str, Row]:
    every = dict.fromkeys(frontier.WAYS, 0.5) | gains
    return {name: Row(name, "", 0.9, 0.8, Gain(gain, (gain - 0.05, gain + 0.05)), {}) for name, gain in every.items()}


def costs() -> dict[str, frontier.Cost]:
    return {
        name: frontier.Cost(2000 if name == "product" or "wide" in name else 1000, 5000, 2000, 6, 1.5)
        for name in frontier.WAYS
    }


def test_the_page_says_what_the_numbers_say() -> None:
    found = rows(product=0.95, distil=0.9, pleas=0.8, random=0.6)
    page = " ".join(frontier.page(found, costs(), 4, 1).split())
    assert "| `product`: both parents | 0.95 (0.90 to 1.00) | 0.800 | 2,000 | 5,000 | 2,000 | 1.5 |" in page
    assert (
        "Above every control by intervals that do not overlap: `product`: both parents, `distil` and `pleas`." in page
    )
    assert "The strongest control is *random kernels*, 0.60 (0.55 to 0.65)" in page
    assert "it lies within its parents' product's interval, 0.95 (0.90 to 1.00), at 0.50 of its parameters" in page
    assert "the best of one parent's width is `pleas`, 0.80" in page
    assert "It covers 4 of 16 drawn pairs" in page
    lost = " ".join(frontier.page(rows(product=0.95, random=0.6), costs(), 4, 1).split())
    assert "Above every control by intervals that do not overlap: `product`: both parents." in lost
    assert "it lies below the product" in lost


def test_multiply_adds_count_a_shared_body_once() -> None:
    part = tiny_population("black", 1, 0, CNN(filters=(2, 3), size=16))
    convolutions = 12 * 12 * 2 * 75 + 2 * 2 * 3 * 50
    both = ComposedModel((part, tiny_population("cat", 1, 1, part.architecture)), part.members)
    assert frontier.multiply_adds(ComposedModel((part,), part.members)) == convolutions + 6
    assert frontier.multiply_adds(both) == 2 * (convolutions + 6)
    assert frontier.multiply_adds(ComposedModel((part, part), part.members)) == convolutions + 12


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    frontier.draw(rows(), costs(), tmp_path / "frontier.png")
    assert (tmp_path / "frontier.png").read_bytes().startswith(b"\x89PNG")
