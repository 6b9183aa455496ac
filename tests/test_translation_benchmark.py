"""What `benchmarks/translation.py` writes of the rows that it measured."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import translation

from composer.judging.gain import Sampled
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.plan import make_plan
from composer.sweeps.benchmark import PAIRS, Benchmark, Entrants, Judgement, pair_recipe

PARENT, ORACLE = (Sampled(value, np.full(41, value)) for value in (0.5, 1.0))


def sampled(value: float) -> Sampled:
    return Sampled(value, value + np.linspace(-0.01, 0.01, 41))


def found(**rows: float) -> Benchmark:
    values = {name.replace("_", " "): sampled(value) for name, value in rows.items()}
    judgement = Judgement(PAIRS[0], 1, values, values, PARENT, ORACLE, {})
    return Benchmark(Entrants({}, (), translation.CONTROLS, {}), [judgement])


def test_the_sentence_says_what_taught_is_above_and_what_it_is_not() -> None:
    rows = found(taught=0.95, random=0.8, shuffled=0.81, untouched=0.945, mean_aligned=0.9)
    seen = {"taught": translation.Seen([0.5, 0.7], 1, 4, [30.0])}
    text = " ".join(translation.said(rows, seen, "the command").split())
    assert "Written by `the command`. It covers 1 of 16 pairs (black+cat) and 1 seed" in text
    assert (
        "has gain 0.90; by intervals it is above `random`, `shuffled`, `mean aligned`; it is not clearly above "
        "`untouched`."
    ) in text
    assert "| taught | composition | 0.950 | 0.950 | 0.90 | 0.88 to 0.92 | 0.60 | 1 of 4 | 30.0 |" in text
    assert "| random | control | 0.800 |" in text


def test_a_generator_that_does_as_well_on_shuffled_members_is_said_not_to_need_them() -> None:
    said = [translation.said(found(taught=0.95, taught_condition_shuffled=one), {}, "c") for one in (0.945, 0.9)]
    told = [" ".join(text.split()) for text in said]
    assert "the same generator has gain 0.89: it has learned what networks of this target look like" in told[0]
    assert "the same generator" not in told[1]
    assert "above `taught condition shuffled`" in told[1]


def test_rows_that_another_run_puts_on_the_other_side_of_a_control_are_marked() -> None:
    rows = found(taught=0.95, random=0.8, mean_aligned=0.9, flow=0.85)
    own = {"taught": 0.9, "random": 0.6, "mean aligned": 0.8, "flow": 0.7}
    assert translation.unstable(own, [own, {"flow": 0.9}]) == {}
    changed = {**own, "flow": 0.85}
    assert translation.unstable(own, [own, changed]) == {"flow": ["mean aligned"]}
    text = " ".join(translation.said(rows, {}, "the command", [own, changed]).split())
    assert "| flow | composition, unstable |" in text
    assert "| taught | composition | " in text
    assert "2 other runs, under other threads or seeds, these rows change sides: `flow` beside `mean aligned`." in text
    assert "1 other run, under other threads or seeds, no row changes sides." in " ".join(
        translation.said(rows, {}, "the command", [own]).split()
    )
    assert "other run" not in translation.said(rows, {}, "the command")


def test_without_taught_nothing_is_said_of_it() -> None:
    assert "`taught` was not judged on every pair." in translation.said(found(random=0.8), {}, "the command")


def test_every_control_is_a_row() -> None:
    rows = {*translation.TRANSLATORS, *translation.TAUGHT_ROWS}
    assert rows >= translation.CONTROLS
    ways = {"taught", "cyclegan", "cyclegan aligned", "cyclegan normed", "cyclegan pca", "ridge", "transport", "flow"}
    assert rows - translation.CONTROLS == ways
    assert set(translation.ABOVE) <= rows


@pytest.mark.parametrize("members", [6, 5])
def test_networks_are_taken_from_another_store_only_where_options_and_seed_agree(tmp_path: Path, members: int) -> None:
    entrants = Entrants({"product": {"assembler": "product"}}, (), frozenset(), {})
    recipe = pair_recipe(PAIRS[0], 1, entrants, (), load_registry())
    with StageCache(tmp_path / "store") as store:
        engine = Engine(store, "cpu", load_registry())
        step = make_plan(recipe).populations["black"]
        identity = json.loads(json.dumps(step.identity))
        assert translation._same(step, {**identity, "code": "older", "composer": "older"})
        identity["options"]["members"] = members
        assert translation._same(step, identity) == (members == 6)
        translation.take(engine, recipe, tmp_path / "nowhere")
        assert not engine.results


def test_only_what_stands_between_the_marks_is_written(tmp_path: Path) -> None:
    document = tmp_path / "translation.md"
    document.write_text(f"before\n{translation.BEGIN}old\n{translation.END}\nafter\n", encoding="utf-8")
    translation.write("new\n", document)
    assert document.read_text(encoding="utf-8") == f"before\n{translation.BEGIN}new\n{translation.END}\nafter\n"
