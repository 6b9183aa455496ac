"""What translated kernels are worth beside the controls that answer the known questions: writes docs/translation.md.

    python benchmarks/translation.py --pairs 16 --seeds 3

Parents, pictures, oracles and gain are those of `composer bench`. Every row is a set of kernels put into the parents'
architecture by `refit`: biases set anew and a head fitted in closed form on the parents' pictures. The rows of `taught`
come of one training: the members held out, the same with their weights shuffled, the mean of the training members, the
parents' member nearest to each result, and that member plus noise as long as the change.
"""

from __future__ import annotations

import argparse
import json
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import mean, median
from typing import Any

import torch

from composer import ComposerError, Evaluator, KernelSet, Population, Run, tells_apart
from composer.data.expressions import cell_name
from composer.data.pooling import FeaturePool
from composer.judging import picking
from composer.judging.gain import Sampled
from composer.recipes.recipe import Recipe
from composer.registry import load_registry
from composer.results.gain_table import gain_cells
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.plan import make_plan
from composer.running.step import Step
from composer.running.storage import load
from composer.running.store_folder import default_store
from composer.sweeps.benchmark import DRAWINGS, PAIRS, Benchmark, Entrants, Judgement, judge, pair_recipe
from composer.sweeps.leaderboard import Row, leaderboard
from composer_assembly import Refit
from composer_controls.kernels import nearest, noise
from composer_study.novelty import novelty
from composer_translation import Taught
from composer_translation.taught import teach

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "translation.md"
BEGIN, END = "<!-- begin: benchmarks/translation.py -->\n", "<!-- end -->"
FEW = 8
"""Pairs below which the document says that they are few."""
REFIT = {"assembler": "refit"}
TRANSLATORS: Mapping[str, Mapping[str, Any]] = {
    "cyclegan": {"use": "cyclegan"},
    "cyclegan aligned": {"use": "cyclegan", "align": True, "identity_weight": 5.0},
    "cyclegan normed": {"use": "cyclegan", "align": True, "identity_weight": 5.0, "spectral_norm": True},
    "cyclegan pca": {
        "use": "cyclegan",
        "align": True,
        "identity_weight": 5.0,
        "spectral_norm": True,
        "space": "pca",
    },
    "ridge": {"use": "ridge"},
    "transport": {"use": "transport"},
    "flow": {"use": "flow"},
    "mean": {"use": "mean"},
    "mean aligned": {"use": "mean", "align": True},
    "untouched": {"use": "untouched"},
    "random": {"use": "random"},
    "shuffled": {"use": "shuffled"},
    "untrained": {"use": "untrained"},
}
"""Row -> translator. Those before `mean` translate; it and the others are controls."""
TAUGHT_ROWS = (
    "taught",
    "taught condition shuffled",
    "taught condition the mean",
    "nearest to taught",
    "noise as far as taught",
)
CONTROLS = frozenset([*list(TRANSLATORS)[list(TRANSLATORS).index("mean") :], *TAUGHT_ROWS[1:]])
ABOVE = ("random", "shuffled", "untouched", "mean aligned", "taught condition shuffled")
"""Controls that the sentence compares `taught` with."""
SIDES = ("random", "mean aligned")
"""Controls that a row stands above or below; it is unstable where another run says otherwise."""


@dataclass
class Seen:
    """Of one row what the gain does not say, over all pairs and seeds."""

    distances: list[float] = field(default_factory=list)
    """Median distance of kernels to the nearest parent, in units of that between parents."""
    dead: int = 0
    members: int = 0
    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def measured(
    pairs: Sequence[tuple[str, str]], seeds: int, cyclegan: int, steps: int, store: Path, trained: Path | None
) -> Iterator[tuple[Benchmark, dict[str, Seen]]]:
    """What is known after each pair with each seed."""
    registry = load_registry()
    compositions: dict[str, Mapping[str, Any]] = {
        name: {"translator": {**slot, **({"epochs": cyclegan} if slot["use"] == "cyclegan" else {})}, **REFIT}
        for name, slot in TRANSLATORS.items()
        if cyclegan or slot["use"] != "cyclegan"
    }
    compositions |= {"product": {"assembler": "product"}, "aligned_mean": {"assembler": "aligned_mean"}}
    found = Benchmark(Entrants(compositions, (), CONTROLS, {}))
    seen: dict[str, Seen] = {}
    pool = FeaturePool()
    with StageCache(store) as stages:
        engine = Engine(stages, "cpu", registry)
        for seed in range(1, seeds + 1):
            for pair in pairs:
                recipe = pair_recipe(pair, seed, found.entrants, (), registry, DRAWINGS)
                take(engine, recipe, trained)
                judgement = judge(engine, recipe, found, pool)
                take(engine, recipe, trained)
                found.judgements.append(with_taught(engine, recipe, judgement, steps, seen))
                yield found, seen


def take(engine: Engine, recipe: Recipe, trained: Path | None) -> None:
    """Takes pictures and populations out of another store, of any version of composer, rather than make them anew."""
    if trained is None:
        return
    for step in make_plan(recipe).steps():
        if step.name.startswith(("images.", "population.")) and step.key not in engine.results:
            for folder in sorted(trained.glob(f"{step.name}-*")):
                if _same(step, json.loads((folder / "stage.json").read_text(encoding="utf-8"))["identity"]):
                    engine.results[step.key] = load(folder)
                    break


def _same(step: Step, identity: Mapping[str, Any]) -> bool:
    """Whether a stage was made with the same options and seed; its code may be older."""
    own = json.loads(json.dumps(step.identity))
    return all(own[part] == identity.get(part) for part in ("stage", "options", "about", "seed"))


def with_taught(engine: Engine, recipe: Recipe, judgement: Judgement, steps: int, seen: dict[str, Seen]) -> Judgement:
    """The judgement with the rows of `taught`; what is seen of all rows is added to `seen`."""
    plan = make_plan(recipe)
    assert plan.test is not None, "drawings have test pictures"
    test = engine.result(plan.test)
    arms = {arm.composition.name: arm for arm in plan.arms}
    auc, hardest = dict(judgement.auc), dict(judgement.hardest)
    for name in (name for name in TRANSLATORS if name in arms):
        own = seen.setdefault(name, Seen())
        step = arms[name].kernels
        if name in judgement.failed or step is None:
            own.failed.append(judgement.failed.get(name, ""))
            continue
        facts = engine.cache.facts(step.name, step.key) or {}
        own.seconds.append(facts["seconds"])
        _look(own, engine.result(step), [engine.result(other) for other in step.inputs], recipe.seed)
        log_odds = engine.result(arms[name].model).log_odds(test).numpy()
        own.dead += int((~tells_apart(log_odds)).sum())
        own.members += len(log_odds)
    aligned = arms["mean aligned"].kernels
    assert aligned is not None, "it has a translator"
    kernels = [engine.result(step) for step in aligned.inputs]
    parents = [engine.result(step.inputs[0]) for step in aligned.inputs]
    pictures = tuple(engine.result(plan.training[parent.concept]) for parent in parents)
    for name, (made, seconds) in _taught(kernels, parents, pictures, steps, recipe.seed).items():
        own = seen.setdefault(name, Seen())
        model = Refit().assemble(made, parents, Run(recipe.seed, pictures=pictures)).answering(recipe.target)
        run = Run(recipe.seed)
        pick = picking.pick_member(recipe.pick, model, test, run)
        (evaluator,) = recipe.evaluators.values()
        assert isinstance(evaluator, Evaluator)
        report = evaluator.evaluate(model, test, replace(run, picked=pick.member))
        scores = {key: pick.completed(score) for key, score in report.scores.items()}
        auc[name], hardest[name] = Sampled.of(scores["auc"]), Sampled.of(scores["auc_hardest_cell"])
        own.seconds.append(seconds)
        own.members += len(made)
        own.dead += int((~tells_apart(model.log_odds(test).numpy())).sum())
        _look(own, made, kernels, recipe.seed)
    return replace(judgement, auc=auc, hardest=hardest)


def _taught(
    kernels: Sequence[KernelSet], parents: Sequence[Population], pictures: Any, steps: int, seed: int
) -> dict[str, tuple[KernelSet, float]]:
    """Row -> kernels, and the seconds that it took beyond those that it is made of."""
    run = Run(seed, pictures=pictures, parents=tuple(parents))
    started = time.process_time()
    lesson = teach(Taught(steps=steps), kernels, run)
    made = lesson.applied(kernels, "members", run)
    seconds = time.process_time() - started
    rows = (
        made,
        lesson.applied(kernels, "shuffled", run),
        lesson.applied(kernels, "mean", run),
        nearest(made, kernels),
        noise(made, kernels, run),
    )
    return {
        name: (own, seconds if index == 0 else 0.0)
        for index, (name, own) in enumerate(zip(TAUGHT_ROWS, rows, strict=True))
    }


def _look(own: Seen, made: KernelSet, parents: Sequence[KernelSet], seed: int) -> None:
    distances = novelty(made, parents, Run(seed))
    own.distances.append(
        float(median(distances.of_members["nearest"].tolist()) / median(distances.between_parents.tolist()))
    )


def gains(rows: Sequence[Row]) -> dict[str, float]:
    """Row -> gain, of those that have one."""
    return {row.name: row.gain.value for row in rows if row.gain.value is not None}


def unstable(own: Mapping[str, float], others: Sequence[Mapping[str, float]]) -> dict[str, list[str]]:
    """Row -> the controls that it is above in one run and below in another, of other threads or seeds."""
    found: dict[str, list[str]] = {}
    for name in own:
        for control in (control for control in SIDES if control != name):
            runs = [run for run in (own, *others) if name in run and control in run]
            if len({run[name] > run[control] for run in runs}) > 1:
                found.setdefault(name, []).append(control)
    return found


def said(found: Benchmark, seen: Mapping[str, Seen], command: str, others: Sequence[Mapping[str, float]] = ()) -> str:
    """What the document says of the pairs that are done. others: what other runs said, row -> gain."""
    rows = leaderboard(found)
    changing = unstable(gains(rows), others)
    done = list(dict.fromkeys(cell_name(one.pair) for one in found.judgements))
    seeds = len({one.seed for one in found.judgements})
    lines = [
        f"Written by `{command}`. It covers {len(done)} of {len(PAIRS)} pairs ({', '.join(done)}) and "
        f"{seeds} seed{'s' if seeds > 1 else ''}"
        + ("; of so few it says little of others." if len(done) < FEW else "."),
        "",
        "| | kind | AUC | hardest cell | gain | 95 % interval | novelty | dead | seconds |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        own = seen.get(row.name, Seen())
        gain, interval = gain_cells({"value": row.gain.value, "interval": row.gain.interval, "why": row.gain.why})
        distance = f"{mean(own.distances):.2f}" if own.distances else ""
        dead = f"{own.dead} of {own.members}" if own.members else ""
        seconds = f"{mean(own.seconds):.1f}" if own.seconds else ""
        kind = f"{row.kind}, unstable" if row.name in changing else row.kind
        cells = [row.name, kind, f"{row.auc:.3f}", f"{row.hardest:.3f}", gain, interval, distance, dead, seconds]
        lines.append(f"| {' | '.join(cells)} |")
    failed = {name: own.failed for name, own in seen.items() if own.failed}
    lines += [
        "",
        *verdict(rows),
        *stability(changing, len(others)),
        *(f"- `{name}` failed: {why[0]}" for name, why in failed.items()),
        "",
    ]
    wrapped = [
        line if line.startswith("|") else textwrap.fill(line, 120, subsequent_indent="  " * line.startswith("- "))
        for line in lines
    ]
    return "\n".join(wrapped)


def verdict(rows: Sequence[Row]) -> Iterator[str]:
    """What `taught` is clearly above, and what it is not, by intervals that do not overlap."""
    known = {row.name: row for row in rows}
    taught = known.get("taught")
    if taught is None or taught.gain.interval is None or taught.gain.value is None:
        yield "- `taught` was not judged on every pair."
        return
    low = taught.gain.interval[0]
    above: list[str] = []
    other: list[str] = []
    for name in (name for name in ABOVE if name in known):
        interval = known[name].gain.interval
        (above if interval is not None and low > interval[1] else other).append(f"`{name}`")
    yield (
        f"- `taught`, on members that its training never saw, has gain {taught.gain.value:.2f}"
        + (f"; by intervals it is above {', '.join(above)}" if above else "")
        + (f"; it is not clearly above {', '.join(other)}" if other else "")
        + "."
    )
    blind = known.get("taught condition shuffled")
    if blind is not None and blind.gain.value is not None and "`taught condition shuffled`" in other:
        yield (
            f"- Applied to members whose weights are shuffled, the same generator has gain {blind.gain.value:.2f}: it "
            "has learned what networks of this target look like, and that its members add to it is not shown."
        )


def stability(changing: Mapping[str, Sequence[str]], others: int) -> Iterator[str]:
    """Which rows change sides from run to run; nothing where there is only one."""
    if not others:
        return
    runs = f"{others} other run{'s' if others > 1 else ''}, under other threads or seeds,"
    told = "; ".join(f"`{name}` beside {' and '.join(map('`{}`'.format, of))}" for name, of in changing.items())
    yield f"- Beside {runs} " + (f"these rows change sides: {told}." if told else "no row changes sides.")


def write(text: str, document: Path) -> None:
    """Puts the text between its marks in the document."""
    before, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    document.write_text(f"{before}{BEGIN}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="how many of the benchmark's pairs")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--cyclegan", type=int, default=150, help="epochs of cyclegan; 0 leaves it out")
    parser.add_argument("--steps", type=int, default=Taught().steps, help="steps of taught")
    parser.add_argument("--store", type=Path, default=None, help="where stages are kept")
    parser.add_argument("--trained", type=Path, default=None, help="a store of any version to take networks from")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    parser.add_argument(
        "--threads",
        type=int,
        default=None,
        help="of the processor (default: torch's own choice); with a --store of its own, as what a store has stays",
    )
    parser.add_argument("--keep", type=Path, default=None, help="file to keep the gains in, for --beside of other runs")
    parser.add_argument(
        "--beside", type=Path, nargs="*", default=[], help="such files: rows that change sides are marked"
    )
    options = parser.parse_args()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    others = [json.loads(file.read_text(encoding="utf-8")) for file in options.beside]
    if not 1 <= options.pairs <= len(PAIRS):
        raise ComposerError(f"--pairs: say 1 to {len(PAIRS)}")
    settings = f"--seeds {options.seeds} --cyclegan {options.cyclegan} --steps {options.steps}"
    if options.threads is not None:
        settings += f" --threads {options.threads}"
    store = options.store or default_store()
    rounds = measured(PAIRS[: options.pairs], options.seeds, options.cyclegan, options.steps, store, options.trained)
    for found, seen in rounds:
        pairs = len({one.pair for one in found.judgements})
        command = f"python benchmarks/translation.py --pairs {pairs} {settings}"
        write(said(found, seen, command, others), options.document)
        if options.keep is not None:
            options.keep.write_text(json.dumps(gains(leaderboard(found)), indent=1), encoding="utf-8")
        print(f"{cell_name(found.judgements[-1].pair)}: {len(found.judgements)} done", flush=True)


if __name__ == "__main__":
    main()
