"""What `benchmarks/translation.py` writes of the rows that it measured."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import translation
from rounds import Round
from translation_rows import CONTROLS, TAUGHT_ROWS, TRANSLATORS, Seen, together

from composer.judging.gain import Sampled
from composer.sweeps.benchmark import PAIRS, Benchmark, Entrants, Judgement

PARENT, ORACLE = (Sampled(value, np.full(41, value)) for value in (0.5, 1.0))


def sampled(value: float) -> Sampled:
    return Sampled(value, value + np.linspace(-0.01, 0.01, 41))


def wider(value: float) -> Sampled:
    """As a score whose resamples move twice as much with the pictures."""
    return Sampled(value, value + 2 * np.linspace(-0.01, 0.01, 41))


def found(**rows: float) -> Benchmark:
    values = {name.replace("_", " "): sampled(value) for name, value in rows.items()}
    judgement = Judgement(PAIRS[0], 1, values, values, PARENT, ORACLE, {})
    return Benchmark(Entrants({}, (), CONTROLS, {}), [judgement])


def test_the_sentence_says_what_taught_is_above_and_what_it_is_not() -> None:
    rows = found(taught=0.95, random=0.8, shuffled=0.81, untouched=0.945, mean_aligned=0.9)
    rows.judgements[0].hardest["untouched"] = wider(0.945)  # type: ignore[index]
    seen = {"taught": Seen([0.5, 0.7], 1, 4, [30.0])}
    text = " ".join(translation.said(rows, seen, "the command").split())
    assert "Written by `the command`. It covers 1 of 16 pairs (black+cat) and 1 seed" in text
    assert (
        "has gain 0.90. By paired differences of gain, with their 95 % intervals, it is above `random` by 0.30 (0.30 "
        "to 0.30), `shuffled` by 0.28 (0.28 to 0.28), `mean aligned` by 0.10 (0.10 to 0.10); not clearly apart from "
        "`untouched` by 0.01 (-0.01 to 0.03)."
    ) in text
    assert "| taught | composition | 0.950 | 0.950 | 0.90 | 0.88 to 0.92 | 0.60 | 1 of 4 | 30.0 |" in text
    assert "| random | control | 0.800 |" in text


def test_a_generator_that_does_as_well_on_shuffled_members_is_said_not_to_need_them() -> None:
    benchmarks = [found(taught=0.95, taught_condition_shuffled=one) for one in (0.945, 0.9)]
    benchmarks[0].judgements[0].hardest[translation.BLIND] = wider(0.945)  # type: ignore[index]
    said = [translation.said(one, {}, "c") for one in benchmarks]
    told = [" ".join(text.split()) for text in said]
    assert "the same generator has gain 0.89: it has learned what networks of this target look like" in told[0]
    assert "the same generator" not in told[1]
    assert "above `taught condition shuffled`" in told[1]


def test_rows_that_another_run_puts_on_the_other_side_of_a_control_are_marked() -> None:
    rows = {"taught": 0.95, "random": 0.8, "mean_aligned": 0.9, "flow": 0.85}
    own = found(**rows)
    changed = found(**{**rows, "flow": 0.95}).judgements[0]
    first: dict[Round, tuple[Judgement, None]] = {Round(PAIRS[0], 1): (own.judgements[0], None)}
    assert translation.unstable(translation.alone(own, [first])) == {}
    other = replace(found(random=0.99).judgements[0], pair=PAIRS[1])
    elsewhere: dict[Round, tuple[Judgement, None]] = {
        Round(PAIRS[0], 1): (changed, None),
        Round(PAIRS[1], 1): (other, None),
    }
    assert translation.unstable(translation.alone(own, [first, elsewhere])) == {"flow": ["mean aligned"]}
    text = " ".join(translation.said(own, {}, "the command", [first, elsewhere]).split())
    assert "| flow | composition, unstable |" in text
    assert "| taught | composition | " in text
    assert "Of 2 runs with other seeds or threads: these rows change sides: `flow` beside `mean aligned`." in text
    said = " ".join(translation.said(own, {}, "the command", [first]).split())
    assert "Of 1 run with other seeds or threads: no row changes sides." in said
    assert "change" not in translation.said(own, {}, "the command")


def test_rows_that_another_seed_puts_on_the_other_side_are_marked() -> None:
    first = found(taught=0.95, random=0.8, flow=0.85)
    second = replace(found(taught=0.95, random=0.8, flow=0.75).judgements[0], seed=2)
    both = Benchmark(first.entrants, [*first.judgements, second])
    text = " ".join(translation.said(both, {}, "the command").split())
    assert "Of 2 seeds alone: these rows change sides: `flow` beside `random`." in text


def test_what_several_rounds_saw_is_put_together() -> None:
    own = found(taught=0.9).judgements[0]
    seen = {"taught": Seen([0.5], 1, 4, [30.0], [])}
    rounds = {Round(PAIRS[0], seed): (replace(own, seed=seed), seen) for seed in (1, 2)}
    whole, rows = together(Entrants({}, (), CONTROLS, {}), rounds)
    assert [one.seed for one in whole.judgements] == [1, 2]
    assert rows["taught"] == Seen([0.5, 0.5], 2, 8, [30.0, 30.0], [])
    assert seen["taught"].members == 4


def test_without_taught_nothing_is_said_of_it() -> None:
    assert "`taught` was not judged on every pair." in translation.said(found(random=0.8), {}, "the command")


def test_every_control_is_a_row() -> None:
    rows = {*TRANSLATORS, *TAUGHT_ROWS}
    assert rows >= CONTROLS
    ways = {"taught", "cyclegan", "cyclegan aligned", "cyclegan normed", "cyclegan pca", "ridge", "transport", "flow"}
    assert rows - CONTROLS == ways
    assert set(translation.ABOVE) <= rows


def test_only_what_stands_between_the_marks_is_written(tmp_path: Path) -> None:
    document = tmp_path / "translation.md"
    document.write_text(f"before\n{translation.BEGIN}old\n{translation.END}\nafter\n", encoding="utf-8")
    translation.write("new\n", document)
    assert document.read_text(encoding="utf-8") == f"before\n{translation.BEGIN}new\n{translation.END}\nafter\n"
