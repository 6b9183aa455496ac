"""What students gain by a handful of labels and by pictures of the target's domain: writes its block of docs/few.md.

    python benchmarks/few_students.py --pairs 4 --draws 2

Parents and test pictures are those of `composer bench` with seed 1, and the labelled pictures those that its oracle is
trained on: the first 100 that show the target and the first 100 that do not are what labels are drawn from, all others
are pictures of the domain, of which nobody looks at a label. Each draw is another student. Nothing is chosen here.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from few import CHOSEN_ON, DOCUMENT, MEASURES, recipe_of, scores, write
from few_curves import interval
from numpy.typing import NDArray
from PIL import Image

from composer import Images, Population, Run
from composer.recipes.recipe_reader import read_data
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.plan import make_plan
from composer.running.store_folder import default_store
from composer.sweeps.benchmark import PAIRS
from composer_training import Distil

Floats = NDArray[np.float64]

BEGIN = "<!-- begin: benchmarks/few_students.py -->\n"
LABELS = (0, 5, 20, 50)
"""Pictures of each kind."""
POOL = 100
"""Pictures of each kind that labels are drawn from."""
ROWS: Mapping[str, str] = {"parents": "the parents' pictures", "folder": "pictures of the domain"}
"""Of `pictures`: what the table calls them."""


@dataclass(frozen=True)
class Case:
    """One target: its parents, what they were trained on, test pictures, and labelled ones of its domain."""

    concepts: tuple[str, ...]
    parents: Sequence[Population]
    shown: Sequence[Images]
    test: Images
    domain: Images


def case_of(concepts: tuple[str, ...], engine: Engine) -> Case:
    """The parents and pictures that `composer bench` judges with seed 1; computed where the store has none."""
    plan = make_plan(read_data(recipe_of(concepts), "few", engine.registry))
    assert plan.test is not None, "drawings have test pictures"
    assert plan.oracle is not None, "and labelled ones of the target"
    steps = [plan.populations[concept] for concept in concepts]
    return Case(
        concepts,
        [engine.result(step) for step in steps],
        [engine.result(step.pictures[0]) for step in steps],
        engine.result(plan.test),
        engine.result(plan.oracle.population.pictures[0]),
    )


def laid_out(domain: Images, size: int, home: Path, pool: int = POOL) -> tuple[Path, Path]:
    """The folder of labelled pictures, and that of all others, as `distil` takes them."""
    pixels = domain.at(size).permute(0, 2, 3, 1).numpy()
    labelled, others = home / "labels", home / "pictures"
    for folder in (labelled / "yes", labelled / "no", others):
        folder.mkdir(parents=True)
    taken = {True: 0, False: 0}
    for number, (picture, target) in enumerate(zip(pixels, domain.target.tolist(), strict=True)):
        taken[target] += 1
        folder = labelled / ("yes" if target else "no") if taken[target] <= pool else others
        Image.fromarray(picture).save(folder / f"{number:05d}.png")
    return labelled, others


def curves(case: Case, labels: Sequence[int], draws: int, steps: int, pool: int = POOL) -> dict[str, Floats]:
    """Row of the table -> scores [labels, draws, measures]."""
    found = {row: np.zeros((len(labels), draws, len(MEASURES))) for row in ROWS}
    with TemporaryDirectory() as home:
        labelled, others = laid_out(case.domain, case.parents[0].preprocessing.size, Path(home), pool)
        for row in ROWS:
            folder = {"folder": others} if row == "folder" else {}
            for place, count in enumerate(labels):
                options = {"pictures": row, "labels": labelled, "labels_most": count, "members": 1, "steps": steps}
                method = Distil.model_validate({**options, **folder})
                for draw in range(draws):
                    pictures = () if row == "folder" else tuple(case.shown)
                    model = method.assemble(None, case.parents, Run(seed=draw, pictures=pictures))
                    found[row][place, draw] = scores(case.test, model.log_odds(case.test)[0].double())
    return found


def text_of(
    pairs: Sequence[Sequence[str]], found: Sequence[Mapping[str, Floats]], labels: Sequence[int], command: str
) -> str:
    """In Markdown: a row for each number of labels, for each measure, and what the numbers say."""
    whole = {row: np.stack([one[row] for one in found]) for row in ROWS}  # [pairs, labels, draws, measures]
    draws = whole["parents"].shape[2]
    names = ", ".join(map("+".join, pairs))
    lines = [
        f"Written by `{command}`: mean over {len(pairs)} of the pairs above ({names}) and {draws} draws, each another "
        "student; in brackets 95 % intervals over pairs and draws of what the labels add to the same student."
    ]
    for measure, title in enumerate(MEASURES):
        lines += ["", f"| {title}: labels of each kind | " + " | ".join(f"{row} | by labels" for row in ROWS.values())]
        lines[-1] += " |"
        lines.append("| ---: |" + " ---: |" * 2 * len(ROWS))
        for place, count in enumerate(labels):
            cells = []
            for row in ROWS:
                mean, low, high = gained(whole[row], place, measure)
                cells += [f"{whole[row][:, place, :, measure].mean():.3f}", f"{mean:+.3f} ({low:+.3f} to {high:+.3f})"]
            lines.append(f"| {count} | {' | '.join(cells)} |")
    lines += ["", *verdicts(whole, labels)]
    filled = [line if line.startswith("|") else _wrapped(line) for line in lines]
    return "\n".join(filled) + "\n"


def _wrapped(line: str) -> str:
    return textwrap.fill(line, 120, subsequent_indent="  " if line.startswith("- ") else "")


def gained(scored: Floats, place: int, measure: int) -> tuple[float, float, float]:
    """What labels add to the student without, and its interval. scored: [pairs, labels, draws, measures]."""
    return interval(scored[:, place, :, measure] - scored[:, 0, :, measure])


def verdicts(whole: Mapping[str, Floats], labels: Sequence[int]) -> Iterator[str]:
    """From how many labels on a student is clearly better, and where it is clearly worse."""
    for row, title in ROWS.items():
        said = []
        for measure, score in enumerate(MEASURES):
            by = {count: gained(whole[row], place, measure) for place, count in enumerate(labels) if count}
            better = [str(count) for count, (_, low, _) in by.items() if low > 0]
            worse = [str(count) for count, (_, _, high) in by.items() if high < 0]
            said.append(
                f"{score} is clearly better with {', '.join(better) or 'none'} of {', '.join(map(str, by))} labels of "
                f"each kind" + (f", and clearly worse with {', '.join(worse)}" if worse else "")
            )
        yield f"- Students on {title}: {'; '.join(said)}."


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=None, help="store of a finished `composer bench`")
    parser.add_argument("--pairs", type=int, default=8)
    parser.add_argument("--draws", type=int, default=2)
    parser.add_argument("--steps", type=int, default=Distil().steps, help="of each student")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args()
    pairs = [pair for pair in PAIRS if pair not in CHOSEN_ON][: options.pairs]
    found: list[dict[str, Floats]] = []
    with StageCache(options.store or default_store()) as store:
        engine = Engine(store, "cpu", load_registry())
        for pair in pairs:
            found.append(curves(case_of(pair, engine), LABELS, options.draws, options.steps))
            steps = "" if options.steps == Distil().steps else f" --steps {options.steps}"
            command = f"python benchmarks/few_students.py --pairs {len(found)} --draws {options.draws}{steps}"
            write(text_of(pairs[: len(found)], found, LABELS, command), options.document, BEGIN)
            print(f"{'+'.join(pair)}: {len(found)} of {len(pairs)}", flush=True)


if __name__ == "__main__":
    main()
