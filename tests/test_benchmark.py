"""The benchmark: a tiny one, interrupted and gone on with, and the arithmetic of its leaderboard."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from composer.command_line.cli import main
from composer.judging.gain import Gain, Sampled
from composer.registry import load_registry
from composer.sweeps import leaderboard_text
from composer.sweeps.benchmark import ATTRIBUTES, OBJECTS, PAIRS, Benchmark, Entrants, Judgement, benchmark
from composer.sweeps.leaderboard import Row, leaderboard, pooled

TINY = (
    "images.size=16",
    "images.train=40",
    "images.test=40",
    "models={use: train, architecture: {use: cnn, filters: [2, 3], size: 16}, members: 2, epochs: 1}",
    "compositions.cyclegan-refit.translator.epochs=1",
    "compositions.cyclegan-transplant.translator.epochs=1",
    "compositions.distil.assembler.steps=10",
    *(
        f"compositions.{name}-{assembler}.translator.steps=2"
        for name in ("taught", "flow")
        for assembler in ("refit", "transplant")
    ),
)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Benchmark, list[str]]:
    """Two pairs and a seed, stopped after the first pair and gone on with."""
    folder = tmp_path_factory.mktemp("bench")
    said: list[str] = []

    def stop(line: str) -> None:
        said.append(line)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        benchmark(folder, 2, 1, TINY, load_registry(), stop, folder / "stages")
    before = written(folder)
    found = benchmark(folder, 2, 1, TINY, load_registry(), said.append, folder / "stages")
    assert before, "the first pair was kept"
    assert {name: written(folder)[name] for name in before} == before, "nothing of it was computed again"
    return folder, found, said


def written(folder: Path) -> dict[str, int]:
    """When each stage was stored."""
    return {file.parent.name: file.stat().st_mtime_ns for file in folder.glob("stages/*/stage.json")}


def test_an_interrupted_benchmark_goes_on_where_it_was(tiny: tuple[Path, Benchmark, list[str]]) -> None:
    folder, found, said = tiny
    assert said == ["black+cat, seed 1: 1 of 2", "black+cat, seed 1: 1 of 2", "white+dog, seed 1: 2 of 2"]
    assert [one.pair for one in found.judgements] == [("black", "cat"), ("white", "dog")]
    assert set(found.seconds) == set(written(folder)), "the time of what was kept counts too"


def test_everything_installed_takes_part(tiny: tuple[Path, Benchmark, list[str]]) -> None:
    _, found, _ = tiny
    judged = set(found.judgements[0].hardest)
    assert {"product", "cyclegan-refit", "random-refit", "parents.attribute", "parents.object"} <= judged
    assert {"ridge-refit", "transport-refit", "flow-refit", "taught-refit"} <= judged
    assert found.judgements[1].failed["cyclegan-transplant"] == "it gives no log-odds"
    assert {"random-refit", "shuffled-refit", "mean-refit", "untouched-refit"} <= found.entrants.controls
    assert not {"product", "cyclegan-refit"} & found.entrants.controls
    why = found.entrants.left_out["study_generators-refit"]
    assert why.startswith("it reads files that the benchmark does not have (study_generators: conv1_to_a, ")
    assert str(Path.cwd()) not in why


def test_each_population_is_trained_once_for_all_pairs_it_serves(tmp_path: Path) -> None:
    from composer.running.plan import make_plan
    from composer.sweeps.benchmark import pair_recipe

    registry = load_registry()
    entrants = Entrants({"product": {"assembler": {"use": "product"}}}, (), frozenset(), {})
    plans = [make_plan(pair_recipe(pair, 1, entrants, TINY[:4], registry)) for pair in PAIRS]
    keys = {step.key for plan in plans for step in plan.populations.values()}
    assert len(keys) == len(ATTRIBUTES) + len(OBJECTS) == 8
    assert len({plan.test.key for plan in plans if plan.test is not None}) == len(set(PAIRS)) == 16
    for first in range(0, 16, 4):
        some = PAIRS[first : first + 4]
        assert {pair[0] for pair in some} == set(ATTRIBUTES)
        assert {pair[1] for pair in some} == set(OBJECTS)


def test_the_document_says_what_it_covers_and_on_which_machine(tiny: tuple[Path, Benchmark, list[str]]) -> None:
    _, found, _ = tiny
    text = leaderboard_text.document(found, "composer bench --pairs 2 --seeds 1", TINY)
    assert "`composer bench --pairs 2 --seeds 1`" in text
    assert "It covers 2 of 16 pairs, 1 seed (less than the default 16 pairs and 3 seeds)." in text
    assert leaderboard_text.processor() in text
    for name in ("torch", "python", "composer"):
        assert name in text.lower()
    rows = [line for line in text.splitlines() if line.startswith("| ")]
    assert any(line.startswith("| product | composition | ") for line in rows)
    assert any(line.startswith("| white+dog | ") for line in rows)
    assert any(line.startswith("| oracle | oracle: has seen the target | ") for line in rows)
    assert "`cyclegan-transplant`" in text


def judgement(pair: tuple[str, str], seed: int, ours: float, parent: float, oracle: float) -> Judgement:
    flat = {value: Sampled(value, np.full(200, value)) for value in (ours, parent, oracle)}
    hardest = {"product": flat[ours], "random-refit": flat[parent]}
    auc = {"product": flat[ours], "random-refit": flat[parent], "oracle": flat[oracle], "better parent": flat[parent]}
    return Judgement(pair, seed, auc, hardest, flat[parent], flat[oracle], {})


def test_the_leaderboards_gain_is_that_of_the_means() -> None:
    entrants = Entrants({}, (), frozenset({"random-refit"}), {})
    judgements = [
        judgement(("black", "cat"), 1, 0.8, 0.5, 0.9),
        judgement(("black", "cat"), 2, 0.7, 0.5, 0.9),
        judgement(("white", "dog"), 1, 0.6, 0.5, 0.7),
        judgement(("white", "dog"), 2, 0.6, 0.5, 0.7),
    ]
    product, control = leaderboard(Benchmark(entrants, judgements))
    assert (product.name, product.kind, control.kind) == ("product", "composition", "control")
    assert product.hardest == pytest.approx(0.675)
    assert product.gain.value == pytest.approx((0.675 - 0.5) / (0.8 - 0.5))
    assert product.by_pair["black", "cat"].value == pytest.approx(0.25 / 0.4)
    assert product.by_pair["white", "dog"].interval == pytest.approx((0.5, 0.5)), "its seeds agree"
    assert product.gain.interval == pytest.approx((0.5, 0.6875)), "0.75, always the best seed, is one draw in 64"
    assert control.gain.value == pytest.approx(0)


def test_a_composition_is_said_to_be_above_controls_only_where_intervals_do_not_overlap() -> None:
    def row(name: str, kind: str, low: float, high: float) -> Row:
        return Row(name, kind, 0.9, 0.8, Gain((low + high) / 2, (low, high)), {})

    rows = [
        row("product", "composition", 0.9, 1.0),
        row("cyclegan-refit", "composition", 0.3, 0.6),
        row("random-refit", "control", 0.4, 0.8),
    ]
    assert leaderboard_text.verdict(rows) == (
        "By intervals that do not overlap: `product` is better than each control. "
        "`cyclegan-refit` is not clearly above `random-refit`."
    )
    assert leaderboard_text.verdict(rows[:2]) == leaderboard_text.NO_VERDICT


def test_resamples_draw_pairs_and_their_seeds_with_replacement() -> None:
    judgements = [
        judgement((pair, "cat"), seed, 0.1 * seed + one, 0.5, 0.9) for one, pair in enumerate("abc") for seed in (1, 2)
    ]
    drawn = pooled(judgements, lambda one: one.hardest["product"])
    assert drawn.value == pytest.approx(1.15)
    assert drawn.replicates.min() >= 0.1
    assert drawn.replicates.max() <= 2.2
    assert np.std(drawn.replicates) == pytest.approx(np.sqrt(2 / 3 / 3 + 0.05**2 / 6), rel=0.15)


def test_a_pair_that_an_entrant_failed_on_keeps_it_from_the_table() -> None:
    whole = judgement(("black", "cat"), 1, 0.8, 0.5, 0.9)
    partial = Judgement(
        ("white", "dog"),
        1,
        whole.auc,
        {"random-refit": whole.hardest["random-refit"]},
        whole.parent,
        whole.oracle,
        {"product": "why"},
    )
    found = Benchmark(Entrants({}, (), frozenset({"random-refit"}), {}), [whole, partial])
    assert [row.name for row in leaderboard(found)] == ["random-refit"]
    assert leaderboard_text.absent(found) == "- `product`: why"


def test_the_command_writes_the_document_and_goes_on(tiny: tuple[Path, Benchmark, list[str]], tmp_path: Path) -> None:
    folder, _, _ = tiny
    file = tmp_path / "docs" / "benchmark.md"
    options = [word for change in TINY for word in ("--set", change)]
    before = written(folder)
    done = CliRunner().invoke(
        main, ["bench", "--pairs", "2", "--seeds", "1", "--output", str(folder), "--document", str(file), *options]
    )
    assert done.exit_code == 0, done.output
    assert written(folder) == before
    assert file.read_text(encoding="utf-8").startswith("# The benchmark\n")
    assert "product" in done.output


def test_an_unknown_change_is_refused_before_any_work(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["bench", "--output", str(tmp_path / "none"), "--set", "models.mebers=3"])
    assert done.exit_code == 2
    assert "did you mean 'members'" in done.output
    assert not (tmp_path / "none").exists()
