"""How `benchmarks/rounds.py` works the rounds of a benchmark, and keeps them."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
import rounds
from rounds import Round, even, kept, rounds_of, worked

from composer import ComposerError

PAIR, OTHER = ("black", "cat"), ("white", "dog")


def noted(folder: Path, one: Round, store: Path) -> tuple[str, int]:
    """Leaves a file for each call, and says what it was told of and in which process."""
    with (folder / one.file).open("x", encoding="utf-8"):
        return f"{one.pair} {one.seed} {store.name}", os.getpid()


def trained(concept: str, of: Round, store: Path) -> None:
    """Leaves a file for each parent, in place of its training."""
    with (store / f"{concept}-{of.seed}").open("x", encoding="utf-8"):
        pass


def test_rounds_come_seed_by_seed() -> None:
    assert rounds_of([PAIR, OTHER], 2, first=3) == [Round(pair, seed) for seed in (3, 4) for pair in (PAIR, OTHER)]


def test_only_seeds_that_all_pairs_are_done_with_are_spoken_of() -> None:
    rounds = rounds_of([PAIR, OTHER], 3)
    assert even({}, rounds) == {}
    assert even({Round(OTHER, 2): "x"}, rounds) == {}
    done = {Round(OTHER, 1): "a", Round(PAIR, 2): "b", Round(OTHER, 3): "c"}
    assert list(even(done, rounds)) == [Round(OTHER, 1), Round(OTHER, 3)]
    done[Round(PAIR, 1)] = "d"
    assert list(even(done, rounds)) == [Round(PAIR, 1), Round(OTHER, 1)]


def test_a_round_that_is_kept_is_not_worked_again(tmp_path: Path) -> None:
    calls, keep = tmp_path / "calls", tmp_path / "kept"
    calls.mkdir()
    work = partial(noted, calls)
    first = list(worked(work, rounds_of([PAIR, OTHER], 1), tmp_path / "store", "epochs 2", keep))
    assert [len(done) for done in first] == [1, 2]
    again = list(worked(work, rounds_of([OTHER, PAIR], 2), tmp_path / "store", "epochs 2", keep))
    assert [len(done) for done in again] == [2, 2, 4]
    assert list(again[-1]) == rounds_of([OTHER, PAIR], 2)
    assert {one: said for one, (said, _) in again[-1].items()} == {
        one: f"{one.pair} {one.seed} store" for one in rounds_of([OTHER, PAIR], 2)
    }
    assert kept(keep) == again[-1]


def test_rounds_of_other_settings_are_refused_and_stay(tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    work = partial(noted, tmp_path / "calls")
    list(worked(work, [Round(PAIR, 1)], tmp_path, "epochs 2", tmp_path / "kept"))
    before = (tmp_path / "kept" / "black+cat-1.pickle").read_bytes()
    with pytest.raises(ComposerError, match=r"black\+cat-1.pickle was worked with epochs 2, not with epochs 3"):
        list(worked(work, [Round(PAIR, 1)], tmp_path, "epochs 3", tmp_path / "kept"))
    assert (tmp_path / "kept" / "black+cat-1.pickle").read_bytes() == before


def test_several_processes_train_each_parent_once_and_share_the_rounds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rounds, "train", trained)
    (tmp_path / "calls").mkdir()
    (tmp_path / "store").mkdir()
    pairs = [PAIR, ("black", "dog")]
    *_, done = worked(partial(noted, tmp_path / "calls"), rounds_of(pairs, 1), tmp_path / "store", "", workers=2)
    assert os.getpid() not in {process for _, process in done.values()}
    assert {file.name for file in (tmp_path / "store").iterdir()} == {"black-1", "cat-1", "dog-1"}
