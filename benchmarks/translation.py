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
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
from rounds import Round, kept, rounds_of, worked
from translation_rows import Seen, Settings, measured, together

from composer import ComposerError
from composer.data.expressions import cell_name
from composer.judging.gain import Sampled
from composer.results.gain_table import gain_cells
from composer.running.store_folder import default_store
from composer.sweeps.benchmark import PAIRS, Benchmark, Judgement
from composer.sweeps.leaderboard import leaderboard, pooled
from composer_translation import Taught

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "translation.md"
BEGIN, END = "<!-- begin: benchmarks/translation.py -->\n", "<!-- end -->"
FEW = 8
"""Pairs below which the document says that they are few."""
BLIND = "taught condition shuffled"
ABOVE = ("random", "shuffled", "untouched", "mean aligned", BLIND)
"""Controls that the sentence compares `taught` with."""
SIDES = ("random", "mean aligned")
"""Controls that a row stands above or below; it is unstable where another run says otherwise."""


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
        *verdict(found),
        *stability(changing, runs),
        *(f"- `{name}` failed: {why[0]}" for name, why in failed.items()),
        "",
    ]
    wrapped = [
        line if line.startswith("|") else textwrap.fill(line, 120, subsequent_indent="  " * line.startswith("- "))
        for line in lines
    ]
    return "\n".join(wrapped)


def verdict(found: Benchmark) -> Iterator[str]:
    """What `taught` is clearly above, and what it is not, by the 95 % interval of the paired difference."""
    known = {row.name: row.gain for row in leaderboard(found)}
    taught = known.get("taught")
    if taught is None or taught.value is None:
        yield "- `taught` was not judged on every pair."
        return
    told: dict[str, list[str]] = {}
    for name in (name for name in ABOVE if name in known):
        value, low, high = further(found, "taught", name)
        word = "above" if low > 0 else "below" if high < 0 else "not clearly apart from"
        told.setdefault(word, []).append(f"`{name}` by {value:.2f} ({low:.2f} to {high:.2f})")
    beside = "; ".join(f"{word} {', '.join(names)}" for word, names in told.items())
    yield (
        f"- `taught`, on members that its training never saw, has gain {taught.value:.2f}. By paired differences of "
        f"gain, with their 95 % intervals, it is {beside}."
    )
    blind = known.get(BLIND)
    if blind is not None and blind.value is not None and further(found, "taught", BLIND)[1] <= 0:
        yield (
            f"- Applied to members whose weights are shuffled, the same generator has gain {blind.value:.2f}: it "
            "has learned what networks of this target look like, and that its members add to it is not shown."
        )


def further(found: Benchmark, one: str, other: str) -> tuple[float, float, float]:
    """By how much the gain of one row is higher than that of another, and the 95 % interval of the difference.

    Both are judged on the same pictures of the same pairs, which are drawn anew for both at once. It is in units of the
    way from the better parent to the oracle.
    """
    rows = found.judgements
    lead = pooled(rows, lambda each: each.oracle).value - pooled(rows, lambda each: each.parent).value
    own, theirs = (pooled(rows, partial(_hardest, name)) for name in (one, other))
    low, high = np.quantile(own.replicates - theirs.replicates, (0.025, 0.975)) / lead
    return (own.value - theirs.value) / lead, float(low), float(high)


def _hardest(name: str, judgement: Judgement) -> Sampled:
    return judgement.hardest[name]


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
