"""What a handful of labelled target pictures is worth beside the composition: writes the table of docs/few.md.

    python benchmarks/few.py                  # trains what it needs; some minutes on one core
    python benchmarks/few.py --store FOLDER   # takes what `composer bench` left in its store
    python benchmarks/few.py --data FOLDER    # photographs: catdog, clothing and grocery_brand in it

Parents, test pictures and oracles are those of `composer bench` with seed 1; labelled pictures of the target are drawn
from the oracle's, k that show it and k that do not, some draws for each k. Each draw moves the heads of another member.
Nothing is chosen here: the options of `few_shot` were chosen on the pairs in CHOSEN_ON, which are not among these.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import few_curves
import numpy as np
import torch
from few_curves import interval
from few_photographs import Case, Known, of_catdog, of_cells
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor

from composer import ComposedModel, Expression, Images
from composer.recipes.recipe_reader import read_data
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.plan import make_plan
from composer.running.store_folder import default_store
from composer.sweeps.benchmark import MODELS, PAIRS, PICTURES
from composer_few.moving import Shown, moved

Floats = NDArray[np.float64]

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "few.md"
BEGIN, END = "<!-- begin: benchmarks/few.py -->\n", "<!-- end -->"
CHOSEN_ON = {
    ("black", "car"),
    ("striped", "car"),
    ("white", "fish"),
    ("striped", "cat"),
    ("white", "car"),
    ("black", "dog"),
}
"""Pairs on which the options of `few_shot` were chosen: nothing is measured on them."""
LABELS = (0, 1, 2, 5, 10, 20, 50)
"""Pictures of each kind."""
SETS = ("catdog", "clothing", "grocery_brand")
MEASURES = ("AUC", "hardest cell")
ROWS = ("few_shot", "few_alone", "product", "oracle")


@dataclass(frozen=True)
class Pair:
    """One target: the parents on labelled and on test pictures, and the oracle's log-odds of these [M, N]."""

    concepts: tuple[str, ...]
    labelled: Known
    shown: NDArray[np.bool_]
    tested: Known
    test: Images
    oracle: Tensor

    @property
    def target(self) -> Expression:
        return Expression.all_of(self.concepts)


def recipe_of(concepts: Sequence[str]) -> dict[str, Any]:
    """What `composer bench` trains with seed 1: both parents, and the oracle."""
    return {
        "name": "_".join(concepts),
        "seed": 1,
        "concepts": list(concepts),
        "images": dict(PICTURES),
        "models": dict(MODELS),
        "compositions": {"product": {"assembler": "product"}},
        "evaluators": ["recognition"],
        "oracle": True,
    }


def pair_of(concepts: tuple[str, str], engine: Engine) -> Pair:
    """The parents and pictures that `composer bench` judges with seed 1; computed where its store has none."""
    plan = make_plan(read_data(recipe_of(concepts), "few", engine.registry))
    assert plan.test is not None, "drawings have test pictures"
    assert plan.oracle is not None, "and labelled ones of the target"
    test, labelled = (engine.result(step) for step in (plan.test, plan.oracle.population.pictures[0]))
    parents = [engine.result(plan.populations[concept]) for concept in concepts]
    oracle = ComposedModel(
        (engine.result(plan.oracle.population),), tuple(map(str, range(len(engine.result(plan.oracle.population)))))
    )
    return Pair(
        concepts,
        Known.of(parents, labelled),
        labelled.target,
        Known.of(parents, test),
        test,
        oracle.log_odds(test),
    )


def moved_log_odds(pair: Pair, member: int, chosen: NDArray[np.int64], *, alone: bool) -> Tensor:
    """Log-odds of the target on the test pictures [N] after the chosen pictures were learned from."""
    index = torch.from_numpy(chosen)
    before, tested = pair.labelled.log_odds[:, member], pair.tested.log_odds[:, member]
    if alone:
        before, tested = torch.zeros_like(before), torch.zeros_like(tested)
    if len(chosen):
        said = torch.from_numpy(pair.shown[chosen]).double()
        features = [own[member][index] for own in pair.labelled.features]
        step = moved(Shown(pair.concepts, pair.target, features, before[:, index], said), stay=not alone)
        added = [own[member] @ slope for own, slope in zip(pair.tested.features, step.slopes, strict=True)]
        tested = tested + torch.stack(added) + step.shifts[:, None]
    return pair.target.log_odds(dict(zip(pair.concepts, tested, strict=True)))


def scores(test: Images, log_odds: Tensor) -> tuple[float, float]:
    """AUC on all test pictures, and beside the cell that is most easily taken for the target."""
    values, target, cells = log_odds.numpy(), test.target, np.asarray(test.cells)
    of_cells = []
    for cell in sorted(set(cells[~target])):
        kept = target | (cells == cell)
        of_cells.append(roc_auc_score(target[kept], values[kept]))
    return float(roc_auc_score(target, values)), float(min(of_cells))


def curves(pair: Pair, labels: Sequence[int], draws: int) -> dict[str, Floats]:
    """Row of the table -> scores [labels, draws, measures]."""
    found = {row: np.zeros((len(labels), draws, len(MEASURES))) for row in ROWS}
    for draw in range(draws):
        member = draw % pair.tested.log_odds.shape[1]
        rng = np.random.default_rng(draw)
        orders = [rng.permutation(np.flatnonzero(pair.shown == kind)) for kind in (True, False)]
        product = scores(pair.test, moved_log_odds(pair, member, np.asarray([], dtype=np.int64), alone=False))
        oracle = scores(pair.test, pair.oracle[member])
        for place, count in enumerate(labels):
            chosen = np.concatenate([order[:count] for order in orders])
            found["product"][place, draw] = product
            found["oracle"][place, draw] = oracle
            for row in ("few_shot", "few_alone"):
                log_odds = moved_log_odds(pair, member, chosen, alone=row == "few_alone")
                found[row][place, draw] = scores(pair.test, log_odds)
    return found


def table(found: Sequence[dict[str, Floats]], labels: Sequence[int]) -> Iterable[str]:
    """Markdown: a row for each number of labels, for each measure."""
    whole = {row: np.stack([one[row] for one in found]) for row in ROWS}  # [pairs, labels, draws, measures]
    for measure, title in enumerate(MEASURES):
        yield f"\n| {title}: labels of each kind | {' | '.join(f'`{row}`' for row in ROWS[:2])} | product | oracle "
        yield "| `few_shot` above product | `few_alone` above product |\n| ---: |" + " ---: |" * 6 + "\n"
        for place, count in enumerate(labels):
            means = [f"{whole[row][:, place, :, measure].mean():.3f}" for row in ROWS]
            said = []
            for row in ("few_shot", "few_alone"):
                mean, low, high = interval((whole[row] - whole["product"])[:, place, :, measure])
                said.append(f"{mean:+.3f} ({low:+.3f} to {high:+.3f})")
            yield f"| {count} | {' | '.join([*means, *said])} |\n"
    yield "\n"
    yield from verdicts(whole, labels)


def verdicts(whole: dict[str, Floats], labels: Sequence[int]) -> Iterable[str]:
    """From how many labels on training alone is as good, and whether labels ever harm."""
    for measure, title in enumerate(MEASURES):
        better = [
            {row: interval((whole[row] - whole["product"])[:, place, :, measure]) for row in ROWS[:2]}
            for place in range(len(labels))
        ]
        against = [
            interval((whole["few_shot"] - whole["few_alone"])[:, place, :, measure]) for place in range(len(labels))
        ]
        worth = [count for count, one in zip(labels, better, strict=True) if one["few_alone"][0] >= 0]
        equal = [count for count, one in zip(labels, against, strict=True) if one[1] <= 0]
        harmed = [count for count, one in zip(labels, better, strict=True) if one["few_shot"][2] < 0]
        most = labels[-1]
        yield (
            f"- {title}: "
            + (
                f"the composition is worth {worth[0]} labels of each kind"
                if worth
                else f"the composition is worth more than {most} labels of each kind"
            )
            + " (where `few_alone` reaches the product). "
            + (
                f"`few_shot` is no longer clearly better than `few_alone` from {equal[0]} on."
                if equal
                else f"`few_shot` is clearly better than `few_alone` at every number up to {most}."
            )
            + (
                f" `few_shot` is clearly below the product at {', '.join(map(str, harmed))}."
                if harmed
                else " At no number is `few_shot` clearly below the product."
            )
            + "\n"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", type=Path, default=None, help="store of a finished `composer bench`")
    parser.add_argument("--data", type=Path, default=None, help="folder with catdog, clothing and grocery_brand")
    parser.add_argument("--keep", type=Path, default=None, help="with --data: where features and heads are kept")
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS, help="with --data: which of them")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--draws", type=int, default=5)
    parser.add_argument("--labels", type=int, nargs="+", default=list(LABELS))
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args()
    if options.data is not None:
        photographs(options)
        return
    pairs = [pair for pair in PAIRS if pair not in CHOSEN_ON][: options.pairs]
    found = []
    with StageCache(options.store or default_store()) as store:
        engine = Engine(store, "cpu", load_registry())
        for pair in pairs:
            found.append(curves(pair_of(pair, engine), options.labels, options.draws))
            text = said(pairs[: len(found)], found, options.labels, options.draws)
            write(text, options.document)
            print(f"{'+'.join(pair)}: {len(found)} of {len(pairs)}", flush=True)
    print(text)


def photographs(options: argparse.Namespace) -> None:
    """Measures and writes the tables of each set of photographs, one case after the other."""
    given = f" --labels {' '.join(map(str, options.labels))}" if options.labels != list(LABELS) else ""
    with TemporaryDirectory() as folder:
        for name in options.sets:
            command = f"python benchmarks/few.py --data ../shared/data --sets {name} --draws {options.draws}{given}"
            cases = (of_catdog if name == "catdog" else of_cells)(options.data / name, options.keep or Path(folder))
            done: list[tuple[Case, Floats]] = []
            for case in islice(cases, options.pairs):
                done.append((case, few_curves.curves(case, options.labels, options.draws)))
                text = few_curves.text_of(done, options.labels, command)
                write(text, options.document, few_curves.PHOTOGRAPHS.format(name))
                print(f"{name}: {'+'.join(case.concepts)}", flush=True)


def said(
    pairs: Sequence[tuple[str, str]], found: Sequence[dict[str, Floats]], labels: Sequence[int], draws: int
) -> str:
    """What the document says of the pairs that are done."""
    names = ", ".join("+".join(pair) for pair in pairs)
    heading = (
        f"Mean over {len(pairs)} pairs ({names}) and {draws} draws; in brackets 95 % intervals over pairs and draws."
    )
    heading = textwrap.fill(heading, 120)
    lines = "".join(table(found, labels)).splitlines()
    wrapped = [line if line.startswith("|") else textwrap.fill(line, 120, subsequent_indent="  ") for line in lines]
    return "\n".join([heading, *wrapped]) + "\n"


def write(text: str, document: Path, begin: str = BEGIN) -> None:
    """Puts the text between its marks in the document."""
    before, _, rest = document.read_text(encoding="utf-8").partition(begin)
    document.write_text(f"{before}{begin}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
