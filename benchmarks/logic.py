"""What AND, OR and NOT need: calibration, priors and dependence compared. Writes the tables of docs/logic.md.

    python benchmarks/logic.py                                      # drawings
    python benchmarks/logic.py --root FOLDER --catdog FOLDER        # and photographs, as docs/photographs.md has them

Parents are those of `composer bench`: eight concepts of drawings, no two of which any training picture shows together,
and all 16 pairs of them; each is trained once with as many pictures that show it as do not (even), and once with one
in five (uneven). The test pictures show all cells equally often. Choices are compared with the product as it is by
default, on the same pictures; intervals draw pairs anew. The default is chosen on drawings alone.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain, product
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score
from torch import Tensor
from torch.nn.functional import logsigmoid

from composer import Dependence, Expression, Images, Population, Run, Split
from composer.data.dependence import bounds
from composer.data.pooling import FeaturePool
from composer.pipeline import load_pictures
from composer.recipes.recipe_reader import read_data, read_recipe
from composer.running.storage import load, save
from composer.sweeps.benchmark import PAIRS, PICTURES
from composer_assembly.calibration import calibrated
from composer_assembly.dependence import mean_correlation
from composer_drawings import Drawings
from composer_training import Train

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "logic.md"
BEGIN, END = "<!-- begin: benchmarks/logic.py -->\n", "<!-- end -->"
TRIPLES = (
    ("striped", "black", "cat"),
    ("striped", "red", "dog"),
    ("striped", "white", "fish"),
    ("striped", "black", "car"),
)
TWO = ("{0} and {1}", "{0} or {1}", "{1} and not {0}", "({0} and not {1}) or ({1} and not {0})")
THREE = ("{0} and {1} and {2}", "({0} or {1}) and {2}", "{1} and {2} and not {0}")
GROUPS = ("even", "uneven")
DRAWN = tuple(f"drawings, {group}" for group in GROUPS)
UNEVEN = 0.2
"""Share of the training pictures that show the concept, where parents are trained unevenly."""
BINS = 15
RESAMPLES = 2000
MEASURES = ("AUC", "hardest cell", "ECE", "Brier", "log loss")


@dataclass(frozen=True)
class Choice:
    """A way to make a product. nodes: baselines that go through the formula's tree node by node, as
    Santa Cruz et al. 2018 (arXiv:1801.08676) combine classifiers that they take to be independent.
    """

    calibrate: str = "none"
    prior: str = "kept"
    dependence: Literal["independent", "minimum", "copula"] = "independent"
    nodes: Literal["", "independent", "De Morgan"] = ""

    def __str__(self) -> str:
        if self.nodes:
            return f"node by node, {self.nodes}"
        parts = [
            *([self.calibrate] if self.calibrate != "none" else []),
            *(["prior out"] if self.prior == "out" else []),
        ]
        return ", ".join([*parts, *([self.dependence] if self.dependence != "independent" else [])]) or "as it is"


CHOICES = (
    Choice(),
    Choice("temperature"),
    Choice("platt"),
    Choice("isotonic"),
    Choice(prior="out"),
    Choice("platt", "out"),
    Choice("isotonic", "out"),
    Choice(dependence="minimum"),
    Choice(dependence="copula"),
    Choice("platt", "out", "minimum"),
    Choice("platt", "out", "copula"),
    Choice(nodes="independent"),
    Choice(nodes="De Morgan"),
)


@dataclass(frozen=True)
class Case:
    """Parents on test pictures. said: calibration and prior -> concept -> log-odds [M, N]."""

    group: str
    formula: Expression
    said: Mapping[tuple[str, str], Mapping[str, Tensor]]
    correlation: float
    test: Images
    cluster: str

    @property
    def kind(self) -> str:
        """What the formula asks for, in the words of the table."""
        count, text = len(self.formula.concepts), self.formula.text
        if count > 2:
            return "three concepts"
        return "exactly one" if text.count("not") == 2 else "not" if "not" in text else "or" if "or" in text else "and"


# -- baselines, node by node --------------------------------------------------------------------


def node_by_node(formula: Expression, each: Mapping[str, Tensor], *, de_morgan: bool) -> Tensor:
    """Log-odds where both sides of every `and` and `or` are taken to be independent, even where they share a concept.

    de_morgan: `a or b` is read as `not (not a and not b)`, and only `and` and `not` are worked.
    """
    if formula.operator == "is":
        return each[formula.concepts[0]].double()
    inner = [node_by_node(part, each, de_morgan=de_morgan) for part in formula.operands if isinstance(part, Expression)]
    if formula.operator == "not":
        return -inner[0]
    if formula.operator == "and":
        return reduce(_both, inner)
    return -reduce(_both, [-side for side in inner]) if de_morgan else reduce(_either, inner)


def _both(one: Tensor, other: Tensor) -> Tensor:
    true = logsigmoid(one) + logsigmoid(other)
    return true - torch.log(-torch.expm1(true.clamp(max=-1e-12)))


def _either(one: Tensor, other: Tensor) -> Tensor:
    """p + q - p q."""
    p, q = one.sigmoid(), other.sigmoid()
    whole = (p + q - p * q).clamp(1e-300, 1 - 1e-16)
    return whole.log() - torch.log1p(-whole)


def answer(choice: Choice, case: Case) -> Tensor:
    """Log-odds of the formula, float64 [M, N]."""
    each = case.said[choice.calibrate, choice.prior]
    if choice.nodes:
        return node_by_node(case.formula, each, de_morgan=choice.nodes == "De Morgan")
    correlation = case.correlation if choice.dependence == "copula" else 0.0
    return Dependence(choice.dependence, correlation).log_odds(case.formula, each).double()


# -- scores -------------------------------------------------------------------------------------


def scores(log_odds: Floats, target: Flags, cells: NDArray[np.str_]) -> tuple[float, ...]:
    """MEASURES of one member."""
    probability = 1 / (1 + np.exp(-np.clip(log_odds, -700, 700)))
    hardest = []
    for cell in sorted(set(cells[~target].tolist())):
        kept = target | (cells == cell)
        hardest.append(roc_auc_score(target[kept], log_odds[kept]))
    losses = np.logaddexp(0, np.where(target, -log_odds, log_odds))
    return (
        float(roc_auc_score(target, log_odds)),
        float(min(hardest)),
        calibration_error(probability, target),
        float(np.mean((probability - target) ** 2)),
        float(losses.mean()),
    )


def calibration_error(probability: Floats, target: Flags) -> float:
    """Expected calibration error over bins of one width (Guo et al. 2017, equation 3)."""
    bins = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    gaps = [abs(float((probability[bins == one] - target[bins == one]).sum())) for one in np.unique(bins)]
    return sum(gaps) / len(target)


def judged(case: Case) -> Floats:
    """[choices, measures]: the mean over members."""
    cells, target = np.asarray(case.test.cells), case.formula.holds(case.test.labels)
    return np.asarray(
        [np.mean([scores(own, target, cells) for own in answer(choice, case).numpy()], axis=0) for choice in CHOICES]
    )


def bounded(case: Case) -> tuple[float, float, float]:
    """(mean least probability, how many show it, mean largest probability), of calibrated concepts."""
    low, high = bounds(case.formula, case.said["platt", "kept"])
    return float(low.mean()), float(case.formula.holds(case.test.labels).mean()), float(high.mean())


# -- cases --------------------------------------------------------------------------------------

SETTINGS = tuple(dict.fromkeys((choice.calibrate, choice.prior) for choice in CHOICES))


def said_of(
    parents: Mapping[str, Population], pictures: Mapping[str, Images], test: Images
) -> dict[tuple[str, str], dict[str, Tensor]]:
    """What all settings make of every parent's log-odds of the test pictures."""
    found: dict[tuple[str, str], dict[str, Tensor]] = {setting: {} for setting in SETTINGS}
    for concept, parent in parents.items():
        plain = parent.log_odds(test)
        for method, prior in SETTINGS:
            curve = calibrated(parent, method, prior, Run(pictures=(pictures[concept],))).calibration
            found[method, prior][concept] = plain if curve is None else curve(plain)
    return found


def correlation_of(parents: Sequence[Population], pictures: Sequence[Images]) -> float:
    """As `product` with `dependence: copula` estimates it."""
    said = [np.concatenate([p.log_odds(i).double().mean(0).numpy() for i in pictures]) for p in parents]
    return mean_correlation(said)


def drawn_cases(pairs: int, triples: int, seeds: int, members: int, keep: Path | None) -> Iterator[Case]:
    options = {name: value for name, value in PICTURES.items() if name != "use"}
    source = Drawings.model_validate(options)
    two, three = [(pair, TWO) for pair in PAIRS[:pairs]], [(triple, THREE) for triple in TRIPLES[:triples]]
    asked = [*two[:4], *three[:2], *two[4:], *three[2:]]  # the first four have every concept once
    for seed in range(1, seeds + 1):
        known: dict[tuple[str, str], tuple[Population, Images]] = {}
        for (concepts, texts), group in product(asked, GROUPS):
            for index, concept in enumerate(concepts):
                if (concept, group) not in known:
                    pictures = source.load(Split(concepts, concept), Run(seed=100 * seed + index))
                    pictures = pictures if group == "even" else unevenly(pictures, concept)
                    known[concept, group] = (trained(concept, pictures, seed, members, group, keep), pictures)
            test = source.load(Split(concepts), Run(seed=seed))
            parents = {concept: known[concept, group][0] for concept in concepts}
            shown = {concept: known[concept, group][1] for concept in concepts}
            said, name = said_of(parents, shown, test), "+".join(concepts)
            correlation = correlation_of(list(parents.values()), list(shown.values()))
            for text in texts:
                formula = Expression.parse(text.format(*concepts))
                yield Case(f"drawings, {group}", formula, said, correlation, test, name)


def unevenly(pictures: Images, concept: str) -> Images:
    """Fewer of those that show the concept; drawings come in random order."""
    shown = pictures.labels[concept]
    positives = np.flatnonzero(shown)
    kept = positives[: round(UNEVEN / (1 - UNEVEN) * int((~shown).sum()))]
    return pictures.select(np.sort(np.concatenate([kept, np.flatnonzero(~shown)])))


def trained(concept: str, pictures: Images, seed: int, members: int, group: str, keep: Path | None) -> Population:
    """A parent; read again from `keep` where an earlier call has left it there."""
    folder = None if keep is None else keep / f"{concept}-{group}-{seed}-{members}"
    if folder is not None and (folder / "data.json").is_file():
        found = load(folder)
        assert isinstance(found, Population), "that is what was saved"
        return found
    population = Train(members=members).load(concept, Run(seed=seed, pictures=(pictures,)))
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        save(population, folder)
    print(f"trained {concept} ({group}, seed {seed})", flush=True)
    return population


def photographed_cases(root: Path | None, catdog: Path | None, store: Path | None) -> Iterator[Case]:
    """Heads fitted to one pretrained body: the cells of a folder held out in turn, and black cats."""
    recipes = []
    if root is not None:
        images = {"use": "cells", "root": str(root.absolute())}
        cells = read_data(_photographs(("black", "tshirt"), images), "logic").concepts[0].images
        assert cells is not None, "the recipe has pictures"
        targets = cells.targets()
        recipes += [(root.name, read_data(_photographs(pair, images), "logic")) for pair in targets]
    if catdog is not None:
        recipes.append(("catdog", read_recipe(ROOT / "recipes" / "catdog.yaml", [f"root={catdog.absolute()}"])))
    pool = FeaturePool()
    for group, recipe in recipes:
        pictures = load_pictures(recipe, store=store)
        for images_ in pictures.values():
            images_.pool = pool
        shown = {concept.name: pictures[f"train.{concept.name}"] for concept in recipe.concepts}
        parents = {
            concept.name: concept.models.load(concept.name, Run(seed=recipe.seed, pictures=(shown[concept.name],)))
            for concept in recipe.concepts
        }
        test = pictures["test"]
        said = said_of(parents, shown, test)
        correlation = correlation_of(list(parents.values()), list(shown.values()))
        for text in TWO:
            formula = Expression.parse(text.format(*recipe.names))
            yield Case(group, formula, said, correlation, test, "+".join(recipe.names))


def _photographs(pair: Sequence[str], images: Mapping[str, object]) -> dict[str, object]:
    return {
        "name": "_".join(pair),
        "seed": 1,
        "concepts": list(pair),
        "images": dict(images),
        "models": {"use": "fit", "backbone": "efficientnet_lite"},
        "compositions": {"product": {"assembler": "product"}},
        "evaluators": ["recognition"],
    }


# -- tables -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What one case gave."""

    group: str
    kind: str
    cluster: str
    scores: Floats
    bounds: tuple[float, float, float]
    correlation: float


def measured(cases: Iterable[Case]) -> Iterator[Found]:
    for case in cases:
        yield Found(case.group, case.kind, case.cluster, judged(case), bounded(case), case.correlation)


def interval(found: Sequence[Found], choice: int, measure: int) -> tuple[float, float, float, float]:
    """Mean, and mean difference from the default with its 95 % bootstrap interval: pairs are drawn anew."""
    clusters = sorted({one.cluster for one in found})
    own = np.asarray([[one.scores[row, measure] for row in (choice, 0)] for one in found])
    of = np.asarray([clusters.index(one.cluster) for one in found])
    differences = own[:, 0] - own[:, 1]
    sums, counts = np.bincount(of, differences), np.bincount(of)
    drawn = np.random.default_rng(0).integers(len(clusters), size=(RESAMPLES, len(clusters)))
    low, high = np.percentile(sums[drawn].sum(1) / counts[drawn].sum(1), [2.5, 97.5])
    return float(own[:, 0].mean()), float(differences.mean()), float(low), float(high)


def table(found: Sequence[Found], title: str) -> Iterator[str]:
    """A row for each choice; beside each number its difference from the first row, with an interval."""
    pairs = len({one.cluster for one in found})
    yield f"\n**{title}** ({len(found)} cases of {pairs} {'set' if pairs == 1 else 'sets'} of concepts)\n\n"
    yield f"| choice | {' | '.join(MEASURES)} |\n| --- |{' ---: |' * len(MEASURES)}\n"
    for row, choice in enumerate(CHOICES):
        columns = []
        for measure in range(len(MEASURES)):
            mean, difference, low, high = interval(found, row, measure)
            beside = "" if row == 0 or pairs == 1 else f" ({difference:+.3f}: {low:+.3f} to {high:+.3f})"
            columns.append(f"{mean:.3f}{beside}")
        yield f"| {choice} | {' | '.join(columns)} |\n"


def by_formula(found: Sequence[Found], rows: Sequence[int]) -> Iterator[str]:
    """AUC, ECE and the hardest cell of some choices, one formula beside the other."""
    kinds = list(dict.fromkeys(one.kind for one in found))
    yield f"\n| AUC, hardest cell, ECE | {' | '.join(kinds)} |\n| --- |{' --- |' * len(kinds)}\n"
    for row in rows:
        columns = []
        for kind in kinds:
            own = np.mean([one.scores[row] for one in found if one.kind == kind], axis=0)
            columns.append(f"{own[0]:.3f}, {own[1]:.3f}, {own[2]:.3f}")
        yield f"| {CHOICES[row]} | {' | '.join(columns)} |\n"


def of_bounds(found: Sequence[Found]) -> Iterator[str]:
    """How much of a formula's probability no dependence decides."""
    yield "\n| pictures | formula | least probability | pictures that show it | largest probability |\n"
    yield "| --- | --- | ---: | ---: | ---: |\n"
    for group in dict.fromkeys(one.group for one in found):
        for kind in dict.fromkeys(one.kind for one in found if one.group == group):
            low, share, high = np.mean([o.bounds for o in found if (o.group, o.kind) == (group, kind)], axis=0)
            yield f"| {group} | {kind} | {low:.3f} | {share:.3f} | {high:.3f} |\n"


def document(found: Sequence[Found], command: str) -> str:
    """What stands between the marks."""
    groups = list(dict.fromkeys(one.group for one in found))
    lines = [textwrap.fill(f"By `{command}`.", 120) + "\n"]
    for group in groups:
        own = [one for one in found if one.group == group]
        lines += table(own, group)
        correlations = [one.correlation for one in own]
        lines.append(f"\nCorrelation of the copula: {np.mean(correlations):+.2f} on average, ")
        lines.append(f"from {min(correlations):+.2f} to {max(correlations):+.2f}.\n")
    lines.append("\n### By formula, on drawings\n")
    shown = [row for row, choice in enumerate(CHOICES) if choice in SHOWN]
    for group in groups:
        if group.startswith("drawings"):
            lines.append(f"\n**{group}**\n")
            lines += by_formula([one for one in found if one.group == group], shown)
    lines.append("\n### The bounds of Frechet\n")
    lines += of_bounds(found)
    return "".join(lines)


SHOWN = (
    Choice(),
    Choice("platt"),
    Choice("platt", "out"),
    Choice(dependence="minimum"),
    Choice(dependence="copula"),
    Choice(nodes="independent"),
)


def write(text: str, path: Path) -> None:
    """Puts the text between its marks in the document."""
    before, _, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    path.write_text(f"{before}{BEGIN}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=Path, help="folder of photographs by their cells, as the image source `cells`")
    parser.add_argument("--catdog", type=Path, help="folder with train/ and test/, as recipes/catdog.yaml takes it")
    parser.add_argument("--store", type=Path, help="store of stages for the photographs")
    parser.add_argument("--keep", type=Path, help="folder in which trained parents are kept for the next call")
    parser.add_argument("--pairs", type=int, default=len(PAIRS))
    parser.add_argument("--triples", type=int, default=len(TRIPLES))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--members", type=int, default=2)
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args()
    found: list[Found] = []
    drawn = drawn_cases(options.pairs, options.triples, options.seeds, options.members, options.keep)
    photographed = photographed_cases(options.root, options.catdog, options.store)
    given = [f"--{name} {getattr(options, name)}" for name in ("pairs", "triples", "seeds", "members")]
    folders = {name: getattr(options, name) for name in ("root", "catdog")}
    shared = [f"--{name} ../shared/data/{folder.name}" for name, folder in folders.items() if folder]
    command = " ".join(["python benchmarks/logic.py", *given, *shared])
    for one in measured(chain(photographed, drawn)):
        found.append(one)
        write(document(sorted(found, key=lambda own: own.group not in DRAWN), command), options.document)
        print(f"{one.group}: {one.cluster}, {one.kind}", flush=True)


if __name__ == "__main__":
    main()
