"""What translated kernels are worth beside the controls that answer the known questions: writes docs/translation.md.

    python benchmarks/translation.py --workers 2 --keep rounds

Parents, pictures, oracles and gain are those of `composer bench`. Every row is a set of kernels put into the parents'
architecture by `refit`: biases set anew and a head fitted in closed form on the parents' pictures. The rows of `taught`
come of one training: the members held out, the same with their weights shuffled, the mean of the training members, the
parents' member nearest to each result, and that member plus noise as long as the change.
"""

from __future__ import annotations

import argparse
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from statistics import mean, median
from typing import Any

from rounds import Round, kept, rounds_of, worked

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

    def add(self, other: Seen) -> None:
        """Takes in what another round saw."""
        self.distances += other.distances
        self.dead += other.dead
        self.members += other.members
        self.seconds += other.seconds
        self.failed += other.failed


@dataclass(frozen=True)
class Settings:
    """What a round is worked with."""

    cyclegan: int
    """Epochs; 0 leaves it out."""
    steps: int
    """Of `taught`."""

    def entrants(self) -> Entrants:
        """The rows that come of recipes."""
        slots: dict[str, Mapping[str, Any]] = {
            name: {"translator": {**slot, **({"epochs": self.cyclegan} if slot["use"] == "cyclegan" else {})}, **REFIT}
            for name, slot in TRANSLATORS.items()
            if self.cyclegan or slot["use"] != "cyclegan"
        }
        slots |= {"product": {"assembler": "product"}, "aligned_mean": {"assembler": "aligned_mean"}}
        return Entrants(slots, (), CONTROLS, {})


def measured(settings: Settings, one: Round, store: Path) -> tuple[Judgement, dict[str, Seen]]:
    """What a pair with a seed says of all rows."""
    registry, entrants, seen = load_registry(), settings.entrants(), dict[str, Seen]()
    with StageCache(store) as stages:
        engine = Engine(stages, "cpu", registry)
        recipe = pair_recipe(one.pair, one.seed, entrants, (), registry, DRAWINGS)
        judgement = judge(engine, recipe, Benchmark(entrants), FeaturePool())
        return with_taught(engine, recipe, judgement, settings.steps, seen), seen


def together(
    entrants: Entrants, done: Mapping[Round, tuple[Judgement, dict[str, Seen]]]
) -> tuple[Benchmark, dict[str, Seen]]:
    """What several rounds say."""
    seen: dict[str, Seen] = {}
    for _, rows in done.values():
        for name, own in rows.items():
            seen.setdefault(name, Seen()).add(own)
    return Benchmark(entrants, [judgement for judgement, _ in done.values()]), seen


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


def gains(found: Benchmark) -> dict[str, float]:
    """Row -> gain, of those that have one."""
    return {row.name: row.gain.value for row in leaderboard(found) if row.gain.value is not None}


def alone(found: Benchmark, beside: Sequence[Mapping[Round, tuple[Judgement, Any]]]) -> list[list[dict[str, float]]]:
    """Gains to hold beside each other: of each seed alone; and of each other run with these of the same pairs."""
    seeds = sorted({one.seed for one in found.judgements})
    each = [[gains(Benchmark(found.entrants, [one for one in found.judgements if one.seed == seed])) for seed in seeds]]
    for other in beside:
        theirs = [judgement for judgement, _ in other.values()]
        own = [one for one in found.judgements if one.pair in {same.pair for same in theirs}]
        theirs = [one for one in theirs if one.pair in {same.pair for same in own}]
        if own:
            each.append([gains(Benchmark(found.entrants, run)) for run in (own, theirs)])
    return each


def unstable(runs: Sequence[Sequence[Mapping[str, float]]]) -> dict[str, list[str]]:
    """Row -> the controls that it is above in one run and below in another of those that are held beside each other."""
    found: dict[str, list[str]] = {}
    for control in SIDES:
        for name in dict.fromkeys(name for beside in runs for run in beside for name in run if name != control):
            if any(
                len({run[name] > run[control] for run in beside if name in run and control in run}) > 1
                for beside in runs
            ):
                found.setdefault(name, []).append(control)
    return found


def said(
    found: Benchmark,
    seen: Mapping[str, Seen],
    command: str,
    beside: Sequence[Mapping[Round, tuple[Judgement, Any]]] = (),
) -> str:
    """What the document says of the pairs that are done. beside: rounds of other runs."""
    rows = leaderboard(found)
    runs = alone(found, beside)
    changing = unstable(runs)
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
        *stability(changing, runs),
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


def stability(changing: Mapping[str, Sequence[str]], runs: Sequence[Sequence[Mapping[str, float]]]) -> Iterator[str]:
    """Which rows change sides from seed to seed or from run to run; nothing where there is only one."""
    seeds, others = len(runs[0]), len(runs) - 1
    asked = [f"{seeds} seeds alone"] if seeds > 1 else []
    if others:
        asked.append(f"{others} run{'s' if others > 1 else ''} with other seeds or threads")
    if not asked:
        return
    told = "; ".join(f"`{name}` beside {' and '.join(map('`{}`'.format, of))}" for name, of in changing.items())
    yield f"- Of {' and '.join(asked)}: " + (f"these rows change sides: {told}." if told else "no row changes sides.")


def write(text: str, document: Path) -> None:
    """Puts the text between its marks in the document."""
    before, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    document.write_text(f"{before}{BEGIN}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--pairs", type=int, default=len(PAIRS), help="how many of the benchmark's pairs")
    parser.add_argument("--seeds", type=int, default=3, help="how many")
    parser.add_argument("--first", type=int, default=1, help="the first of the seeds")
    parser.add_argument("--cyclegan", type=int, default=150, help="epochs of cyclegan; 0 leaves it out")
    parser.add_argument("--steps", type=int, default=Taught().steps, help="steps of taught")
    parser.add_argument("--store", type=Path, default=None, help="where stages are kept")
    parser.add_argument("--workers", type=int, default=1, help="processes, each with its own pair")
    parser.add_argument(
        "--threads",
        type=int,
        default=None,
        help="of each process (default: torch's own choice, and 1 of several workers); use another --store for each "
        "choice, as what a store has stays",
    )
    parser.add_argument("--keep", type=Path, default=None, help="folder of rounds that are done, to go on from")
    parser.add_argument(
        "--beside",
        type=Path,
        nargs="*",
        default=[],
        help="such folders of other runs: rows that change sides are marked",
    )
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args()
    if not 1 <= options.pairs <= len(PAIRS):
        raise ComposerError(f"--pairs: say 1 to {len(PAIRS)}")
    settings = Settings(options.cyclegan, options.steps)
    said_of = f"--seeds {options.seeds} --cyclegan {options.cyclegan} --steps {options.steps}"
    beside = [kept(folder) for folder in options.beside]
    for done in worked(
        partial(measured, settings),
        rounds_of(PAIRS[: options.pairs], options.seeds, options.first),
        options.store or default_store(),
        str(settings),
        options.keep,
        options.workers,
        options.threads,
    ):
        found, seen = together(settings.entrants(), done)
        pairs = len({one.pair for one in done})
        command = f"python benchmarks/translation.py --pairs {pairs} {said_of}"
        write(said(found, seen, command, beside), options.document)
        print(f"{', '.join(one.file for one in list(done)[-1:])}: {len(done)} done", flush=True)


if __name__ == "__main__":
    main()
