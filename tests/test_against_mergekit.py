"""The benchmark beside mergekit: benchmarks/against_mergekit.py, without mergekit itself."""

from __future__ import annotations

from pathlib import Path

import against_mergekit
import merging
import pytest
import torch
from against_mergekit import Found
from safetensors.torch import save_file


def found(ours: float, mebibytes: float) -> Found:
    memory = {"ours": {"beyond": mebibytes, "whole": 900.0}, "theirs": {"beyond": 120.0, "whole": 800.0}}
    return Found({"ours": [ours, ours, 9.0], "theirs": [1.0, 1.0, 1.0]}, memory, 1e-7, 3)


def test_the_verdict_follows_from_the_numbers() -> None:
    said = against_mergekit.verdict({"mean": found(1.1, 100), "ties": found(0.5, 130)})
    assert "slower in mean and takes more memory to merge in TIES, 25 % of every tensor kept." in said
    assert "differ by 1e-07 at most, but for 6 weights" in said
    said = against_mergekit.verdict({"mean": found(0.9, 100)})
    assert "slower in none and takes more memory to merge in none." in said
    row = [*against_mergekit.table({"mean": found(0.5, 100)})][-1]
    assert row == "| mean | 0.500 | 1.000 | 0.50 (0.50 to 9.00) | 100 (900) | 120 (800) | 1e-07 |"


def test_weights_at_the_border_of_what_is_kept_are_counted_and_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of four changes of one size half is kept: any two of them are right, and a larger one is not to be missed."""
    changes = torch.tensor([1.0, 0.0, 2.0, 1.0])
    states = {"base": torch.zeros(4), "first": changes, "second": torch.tensor([0.0, 0.0, 5.0, 6.0])}
    for name, tensor in states.items():
        save_file({"weight": tensor}, tmp_path / f"{name}.safetensors")
    ours, theirs = {"weight": changes}, {"weight": torch.tensor([1.0, 0.0, 2.0, 0.0])}
    monkeypatch.setattr(against_mergekit, "KEEP", 0.5)
    assert against_mergekit.differences({"ours": ours, "theirs": theirs}, "ties", tmp_path) == (0.0, 1)
    theirs["weight"][1] = 0.5
    assert against_mergekit.differences({"ours": ours, "theirs": theirs}, "ties", tmp_path) == (0.5, 1)
    assert against_mergekit.differences({"ours": ours, "theirs": theirs}, "mean", tmp_path) == (1.0, 0)


def test_a_block_of_another_command_stays_on_the_page(tmp_path: Path) -> None:
    begin, end = merging.OTHER
    page = merging.replaced("# Merging\n", f"{begin}old\n{end}", begin, end)
    assert page == f"# Merging\n\n{begin}old\n{end}"
    assert merging.replaced(page, f"{begin}new\n{end}", begin, end) == f"# Merging\n\n{begin}new\n{end}"
    file = tmp_path / "merging.md"
    assert merging.block_of(file, begin, end) == ""
    file.write_text(page + "after\n", encoding="utf-8")
    assert merging.block_of(file, begin, end) == f"\n{begin}old\n{end}"
