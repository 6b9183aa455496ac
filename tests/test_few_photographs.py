"""What `benchmarks/few.py --data` measures on photographs, and what it writes of that."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import few_curves
import numpy as np
import pytest
import torch
from few_curves import MEASURES, ROWS, Floats
from few_photographs import Case, Known, drawn_from

import photos
from composer import Run, Split

LABELS = (0, 1, 5)


def case(pictures: int = 60, easy: float = 3.0) -> Case:
    """Parents that know little, on a body that tells the target well."""
    generator = torch.Generator().manual_seed(0)

    def part(count: int) -> tuple[Known, np.ndarray, tuple[str, ...]]:
        black = torch.rand(count, generator=generator) > 0.5
        cat = torch.rand(count, generator=generator) > 0.5
        features = torch.randn(1, count, 6, generator=generator).double()
        features[0, :, 0] += easy * black
        features[0, :, 1] += easy * cat
        said = torch.stack([black, cat])[:, None] + 2 * torch.randn(2, 1, count, generator=generator).double()
        shows = [[name for name, own in (("black", black), ("cat", cat)) if own[row]] for row in range(count)]
        return Known([features, features], said), (black & cat).numpy(), tuple("+".join(own) or "none" for own in shows)

    labelled, shown, _ = part(pictures)
    tested, target, cells = part(200)
    oracle = torch.from_numpy(np.where(target, 1.0, -1.0))[None]
    return Case("heaps", ("black", "cat"), labelled, shown, tested, target, cells, oracle)


def row(scores: Floats, name: str) -> Floats:
    return scores[..., ROWS.index(name), :]


def test_without_labels_all_is_the_product_or_knows_nothing() -> None:
    (((scores,),),) = [few_curves.curves(case(), [0], 1)]
    for name in ("few_shot", "spread", "threshold"):
        assert row(scores, name).tolist() == row(scores, "product").tolist()
    for name in ("few_alone", "head"):
        assert row(scores, name).tolist() == [0.5, 0.5, 0.5]
    assert row(scores, "oracle").tolist() == [1, 1, 1]


def test_labels_make_heads_better_and_never_those_who_have_none() -> None:
    found = few_curves.curves(case(), [1, 10], 2)
    for name in ("head", "few_alone"):
        few, more = row(found[0], name)[:, 0].mean(), row(found[1], name)[:, 0].mean()
        assert more > few + 0.02, name
    assert (row(found[0], "product") == row(found[1], "product")).all()
    assert (row(found, "threshold")[..., :2] == row(found, "product")[..., :2]).all(), "a threshold orders nothing"


def test_more_labels_than_there_are_are_not_measured() -> None:
    few = case(pictures=20)
    there = min(int(few.shown.sum()), int((~few.shown).sum()))
    found = few_curves.curves(few, [1, there + 1], 1)
    assert not np.isnan(found[0]).any()
    assert np.isnan(found[1]).all()


def test_a_threshold_parts_what_can_be_parted() -> None:
    log_odds, yes = np.asarray([3.0, 5.0, 4.0, 1.0, 2.0]), np.asarray([True, True, True, False, False])
    assert few_curves.threshold(log_odds, yes) == 2.5
    assert few_curves.balanced(log_odds - 2.5, yes) == 1
    assert few_curves.balanced(log_odds, yes) == 0.5


def test_a_case_that_was_kept_is_read_as_it_was(tmp_path: Path) -> None:
    made = case()
    made.save(tmp_path / "kept" / "one.pt")
    read = Case.read(tmp_path / "kept" / "one.pt")
    assert (read.group, read.concepts, read.cells) == (made.group, made.concepts, made.cells)
    for name in ("shown", "target"):
        assert np.array_equal(getattr(read, name), getattr(made, name))
    assert torch.equal(read.labelled.log_odds, made.labelled.log_odds)
    assert torch.equal(read.tested.features[1], made.tested.features[1])


@pytest.mark.parametrize(
    ("few_shot", "head", "verdicts"),
    [
        (
            (0.9, 0.88, 0.95),
            (0.5, 0.7, 0.8),
            (
                "worth more than 5 of each kind",
                "clearly better than `head` at every number up to 5.",
                "`few_shot` is clearly above the product at 5, clearly below it at 1.",
            ),
        ),
        (
            (0.9, 0.91, 0.95),
            (0.5, 0.9, 0.96),
            (
                "worth 1 of each kind",
                "no longer clearly better than `head` from 5 on.",
                "`few_shot` is clearly above the product at 1, 5, clearly below it nowhere.",
            ),
        ),
    ],
)
def test_verdicts_are_those_of_the_curves(
    few_shot: tuple[float, ...], head: tuple[float, ...], verdicts: tuple[str, ...]
) -> None:
    curve = np.full((3, 2, len(ROWS), len(MEASURES)), 0.9)
    for name, values in (("few_shot", few_shot), ("head", head)):
        curve[:, :, ROWS.index(name)] = np.asarray(values)[:, None, None]
    short = curve.copy()
    short[2] = np.nan
    text = few_curves.text_of([(case(), curve), (case(), short)], LABELS, "python x")
    told = " ".join(text.split())
    for verdict in verdicts:
        assert told.count(verdict) == len(MEASURES), verdict
    assert "| 5 | 1 |" in text, "one pair alone has so many"
    low = few_shot[1] - 0.9
    assert f"| {low:+.4f} ({low:+.4f} to {low:+.4f}) |" in text


def test_labels_are_drawn_from_pictures_that_no_parent_learns_from(tmp_path: Path) -> None:
    root = photos.write(tmp_path, photos.rows_of())
    source = photos.source(root)
    split = Split(("black", "tshirt"))
    every = source.load(replace(split, labelled=True), Run())
    drawn = drawn_from(source, every)
    assert drawn[every.target].all(), "no parent may see the target"
    others = ~every.target
    assert 0 < drawn[others].mean() < 0.6
    test = source.load(split, Run())
    assert not set(test.names) & set(every.names)
