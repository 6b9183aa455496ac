"""What a scorer that learned on a zoo is worth for pairs that share no concept with it: a block of docs/translation.md.

    python benchmarks/zoo_learning.py --workers 2 --keep rounds

For each pair of the drawn world a scorer learns from the nine pairs of the other concepts, on the parents' own pictures
alone, and chooses the units of this pair in `learned_choice`. Beside it stand the choice by regression that it starts
from, choice by chance, the aligned mean and the product. Parents, pictures, oracles and gain are those of
`composer bench`.
"""

from __future__ import annotations

import argparse
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

from rounds import NOTHING, Round, rounds_of, worked

from composer import ComposerError, Run
from composer.data.expressions import cell_name
from composer.data.pooling import FeaturePool
from composer.registry import Registry, load_registry
from composer.results.gain_table import gain_cells
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.plan import make_plan
from composer.running.store_folder import default_store
from composer.sweeps.benchmark import DRAWINGS, PAIRS, Benchmark, Entrants, Judgement, judge, pair_recipe
from composer.sweeps.leaderboard import Row, leaderboard
from composer_merging import Learning, learn_scorer

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "translation.md"
BEGIN, END = "<!-- begin: benchmarks/zoo_learning.py -->\n", "<!-- end: zoo -->"
LEARNED, REGRESSION, CHANCE = "learned_choice", "channel_choice", "by chance"
CONTROLS = frozenset({CHANCE})


def entrants(scorer: Path) -> Entrants:
    """All rows of one pair."""
    slots: Mapping[str, Mapping[str, Any]] = {
        LEARNED: {"assembler": {"use": "learned_choice", "scorer": str(scorer)}},
        REGRESSION: {"assembler": "channel_choice"},
        CHANCE: {"assembler": {"use": "learned_choice", "choice": "random"}},
        "aligned_mean": {"assembler": "aligned_mean"},
        "product": {"assembler": "product"},
    }
    return Entrants(slots, (), CONTROLS, {})


def unseen_by(pair: tuple[str, ...]) -> list[tuple[str, str]]:
    """All pairs that share no concept with this one."""
    return [other for other in PAIRS if not set(other) & set(pair)]


def learn(one: Round, file: Path, engine: Engine, registry: Registry) -> float:
    """Seconds of the processor that a scorer took for this pair, once the zoo's networks were at hand."""
    zoo = []
    for other in unseen_by(one.pair):
        plan = make_plan(pair_recipe(other, one.seed, NOTHING, (), registry))
        zoo.append(
            (
                [engine.result(plan.populations[concept]) for concept in other],
                [engine.result(plan.training[concept]) for concept in other],
            )
        )
    started = time.process_time()
    learn_scorer(zoo, file, Learning(), Run(one.seed))
    return time.process_time() - started


def measured(folder: Path, one: Round, store: Path) -> tuple[Judgement, float]:
    """What a pair with a seed says of all rows, and the seconds that its scorer took."""
    registry = load_registry()
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{Path(one.file).stem}.safetensors"
    with StageCache(store) as stages:
        engine = Engine(stages, "cpu", registry)
        seconds = learn(one, file, engine, registry)
        recipe = pair_recipe(one.pair, one.seed, entrants(file), (), registry, DRAWINGS)
        return judge(engine, recipe, Benchmark(entrants(file)), FeaturePool()), seconds


def said(found: Benchmark, seconds: Sequence[float], command: str) -> str:
    """What the document says of the pairs that are done."""
    rows = leaderboard(found)
    done = list(dict.fromkeys(cell_name(one.pair) for one in found.judgements))
    seeds = len({one.seed for one in found.judgements})
    about = (
        f"Written by `{command}`. {len(done)} of {len(PAIRS)} pairs ({', '.join(done)}), {seeds} "
        f"seed{'s' if seeds > 1 else ''}; to learn took {mean(seconds):.0f} s of the processor for each."
    )
    lines = [
        textwrap.fill(about, 120),
        "",
        "| | kind | AUC | hardest cell | gain | 95 % interval |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        gain, interval = gain_cells({"value": row.gain.value, "interval": row.gain.interval, "why": row.gain.why})
        lines.append(f"| {row.name} | {row.kind} | {row.auc:.3f} | {row.hardest:.3f} | {gain} | {interval} |")
    failed = {name: why for one in found.judgements for name, why in one.failed.items()}
    return "\n".join([*lines, "", *verdict(rows), *(f"- `{name}` failed: {why}" for name, why in failed.items()), ""])


def verdict(rows: Sequence[Row]) -> Iterator[str]:
    """How the learned choice stands beside the one that it starts from, and beside chance, by their intervals."""
    known = {row.name: row.gain for row in rows}
    own = known.get(LEARNED)
    if own is None or own.interval is None or own.value is None:
        yield f"- `{LEARNED}` was not judged on every pair."
        return
    for name in (REGRESSION, CHANCE):
        other = known.get(name)
        if other is None or other.interval is None or other.value is None:
            continue
        word = "is not clearly apart from"
        if own.interval[0] > other.interval[1]:
            word = "is above"
        elif own.interval[1] < other.interval[0]:
            word = "is below"
        yield f"- `{LEARNED}`, with gain {own.value:.2f}, {word} `{name}` with {other.value:.2f}."


def write(text: str, document: Path) -> None:
    """Puts the text between its marks in the document. ComposerError where there are none."""
    before, mark, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    if not mark or END not in rest:
        raise ComposerError(f"{document}: the marks {BEGIN.strip()!r} and {END!r} are missing")
    document.write_text(f"{before}{BEGIN}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="how many of the benchmark's pairs")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--scorers", type=Path, default=Path("scorers"), help="folder for the scorers' files")
    parser.add_argument("--store", type=Path, default=None, help="where stages are kept")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with its own pair")
    parser.add_argument("--keep", type=Path, default=None, help="folder of rounds that are done, to go on from")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args()
    if not 1 <= options.pairs <= len(PAIRS):
        raise ComposerError(f"--pairs: say 1 to {len(PAIRS)}")
    rounds = rounds_of(PAIRS[: options.pairs], options.seeds)
    work = partial(measured, options.scorers)
    store = options.store or default_store()
    for done in worked(work, rounds, store, "learned", options.keep, options.workers):
        pairs = len({one.pair for one in done})
        command = f"python benchmarks/zoo_learning.py --pairs {pairs} --seeds {options.seeds}"
        found = Benchmark(entrants(options.scorers), [judgement for judgement, _ in done.values()])
        write(said(found, [seconds for _, seconds in done.values()], command), options.document)
        print(f"{len(done)} of {len(rounds)} done", flush=True)


if __name__ == "__main__":
    main()
