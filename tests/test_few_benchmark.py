"""What `benchmarks/few.py` writes of the curves that it measured."""

from __future__ import annotations

from pathlib import Path

import few
import numpy as np
import pytest

from composer.sweeps.benchmark import PAIRS

LABELS = (1, 5, 10)


def curves(few_shot: tuple[float, ...], few_alone: tuple[float, ...]) -> dict[str, few.Floats]:
    """The same of each draw and measure, with a product of 0.9."""
    rows = {"few_shot": few_shot, "few_alone": few_alone, "product": (0.9,) * 3, "oracle": (0.99,) * 3}
    return {row: np.tile(np.asarray(own)[:, None, None], (1, 2, 2)) for row, own in rows.items()}


@pytest.mark.parametrize(
    ("few_shot", "few_alone", "verdicts"),
    [
        (
            (0.88, 0.9, 0.95),
            (0.6, 0.7, 0.8),
            (
                "worth more than 10 labels of each kind",
                "clearly better than `few_alone` at every number up to 10.",
                "`few_shot` is clearly below the product at 1.",
            ),
        ),
        (
            (0.91, 0.92, 0.93),
            (0.6, 0.9, 0.95),
            (
                "worth 5 labels of each kind",
                "no longer clearly better than `few_alone` from 10 on.",
                "At no number is `few_shot` clearly below the product.",
            ),
        ),
    ],
)
def test_verdicts_are_those_of_the_curves(
    few_shot: tuple[float, ...], few_alone: tuple[float, ...], verdicts: tuple[str, ...]
) -> None:
    text = few.said(PAIRS[:2], [curves(few_shot, few_alone)] * 2, LABELS, 2)
    told = " ".join(text.split())
    for verdict in verdicts:
        assert told.count(verdict) == 2, "of both measures"
    low = few_alone[0] - 0.9
    interval = f"{low:+.3f} ({low:+.3f} to {low:+.3f})"
    assert f"| 1 | {few_shot[0]:.3f} | {few_alone[0]:.3f} | 0.900 | 0.990 |" in text
    assert text.count(f"{interval} |\n") == 2


def test_pairs_that_options_were_chosen_on_are_not_measured() -> None:
    measured = [pair for pair in PAIRS if pair not in few.CHOSEN_ON]
    assert len(measured) == len(PAIRS) - len(few.CHOSEN_ON)
    names = ", ".join("+".join(pair) for pair in measured[:8])
    assert names in " ".join(few.DOCUMENT.read_text(encoding="utf-8").split()), "as the document has it"


def test_only_what_stands_between_the_marks_is_written(tmp_path: Path) -> None:
    document = tmp_path / "few.md"
    document.write_text(f"before\n{few.BEGIN}old\n{few.END}\nafter\n", encoding="utf-8")
    few.write("new\n", document)
    assert document.read_text(encoding="utf-8") == f"before\n{few.BEGIN}new\n{few.END}\nafter\n"
