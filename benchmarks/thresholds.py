"""Which calibration of the parents, and which label-free threshold, lose least against the best possible threshold.

    python benchmarks/thresholds.py                           # drawings
    python benchmarks/thresholds.py --catdog FOLDER           # and photographs of cats and dogs, training side only
    python benchmarks/thresholds.py --catdog FOLDER --check   # and, apart, the test side of the same photographs

Prints, for each pair, how many points of accuracy are lost on average and in the worst case against the best threshold
of the plain product, which only the test labels can say. docs/thresholds.md says what followed from it.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.special import log_expit
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold

from composer import Expression, Run, Split, cell_name
from composer.pipeline import load_pictures, load_population
from composer.recipes.recipe import Recipe
from composer.recipes.recipe_reader import read_recipe
from composer_drawings import Drawings
from composer_efficientnet_lite import PretrainedEfficientNetLite
from composer_fit import Fit
from composer_fit.fitting import choose_strength, fitted
from composer_recognition.thresholds import RULES
from composer_training import Train

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

PAIRS = (
    ("black", "cat"),
    ("white", "dog"),
    ("striped", "fish"),
    ("red", "car"),
    ("spotted", "butterfly"),
    ("small", "bird"),
    ("green", "house"),
    ("grey", "mug"),
)
SHARES = {"even": (1.0, 1.0), "rare": (0.25, 1.0), "common": (1.0, 1 / 3)}
"""Shares of the target's pictures and of each other cell's that are kept: 25, 8 and 50 % show the target."""


@dataclass(frozen=True)
class Case:
    """A product to be cut. own: for each parent, log-odds [M, N'] and labels [N'] of its training pictures.

    parts: log-odds of each parent [M, N] on the test pictures.
    """

    name: str
    group: str
    own: Sequence[tuple[Floats, Flags]]
    parts: Sequence[Floats]
    cells: Sequence[str]
    target: Flags


# -- calibrations: the parents' log-odds on the test pictures, brought to one scale ------------------


def as_they_are(case: Case) -> list[Floats]:
    return list(case.parts)


def temperature(case: Case) -> list[Floats]:
    """Divided by the temperature of lowest cross-entropy on the parent's own training pictures (Guo et al. 2017)."""
    return [
        np.stack([values / _temperature(trained, shown) for values, trained in zip(part, log_odds, strict=True)])
        for part, (log_odds, shown) in zip(case.parts, case.own, strict=True)
    ]


def standardised_by_training(case: Case) -> list[Floats]:
    return [_standardised(part, log_odds) for part, (log_odds, _) in zip(case.parts, case.own, strict=True)]


def standardised_by_test(case: Case) -> list[Floats]:
    return [_standardised(part, part) for part in case.parts]


CALIBRATIONS: dict[str, Callable[[Case], list[Floats]]] = {
    "none": as_they_are,
    "temperature": temperature,
    "standardised, own training pictures": standardised_by_training,
    "standardised, unlabelled test pictures": standardised_by_test,
}


def _standardised(values: Floats, like: Floats) -> Floats:
    standard: Floats = (values - like.mean(1, keepdims=True)) / like.std(1, keepdims=True)
    return standard


def _temperature(log_odds: Floats, shown: Flags) -> float:
    signed = np.where(shown, log_odds, -log_odds)
    found = minimize_scalar(lambda power: -log_expit(signed / np.exp(power)).mean(), bounds=(-5, 5), method="bounded")
    return float(np.exp(found.x))


# -- rules: bool [M, N] from the product's log-odds and each parent's ------------------------------


def each(rule: str) -> Callable[[Floats, Sequence[Floats]], Flags]:
    """Every parent's log-odds cut by themselves: the target is where all are above their cut."""

    def decide(log_odds: Floats, parts: Sequence[Floats]) -> Flags:
        decided: Flags = np.logical_and.reduce([RULES[rule](part, [part]) for part in parts])
        return decided

    return decide


DECISIONS = {**RULES, "otsu of each": each("otsu"), "mixture of each": each("mixture")}
SCALE_FREE = {"otsu of each", "mixture of each"}
"""Rules to which no calibration makes a difference, because it is the same line for all pictures of one parent."""


# -- cases -------------------------------------------------------------------------------------


def drawn_cases(pairs: Sequence[tuple[str, str]], seeds: int, members: int, train: int) -> Iterator[Case]:
    """Small networks trained on drawings, tested on others: three shares of the target for each pair and seed."""
    source = Drawings(train=train, test=400)
    models = Train(members=members)
    for concepts, seed in product(pairs, range(1, seeds + 1)):
        test = source.load(Split(concepts), Run(seed=seed))
        own, parts = [], []
        for index, concept in enumerate(concepts):
            pictures = source.load(Split(concepts, concept), Run(seed=100 * seed + index))
            parent = models.load(concept, Run(seed=seed, pictures=(pictures,)))
            own.append((parent.log_odds(pictures).double().numpy(), pictures.labels[concept]))
            parts.append(parent.log_odds(test).double().numpy())
        whole = Case(f"{cell_name(concepts)} {seed}", "", own, parts, test.cells, test.target)
        for share, (of_target, of_others) in SHARES.items():
            kept = _kept(whole, of_target, of_others)
            yield replace(
                whole,
                group=f"drawings, {share}",
                parts=[part[:, kept] for part in parts],
                cells=[test.cells[index] for index in kept],
                target=test.target[kept],
            )


def _kept(case: Case, of_target: float, of_others: float) -> NDArray[np.int64]:
    """The first pictures of every cell; drawings come in random order."""
    cells = np.asarray(case.cells)
    kept = []
    for cell in sorted(set(case.cells)):
        own = np.flatnonzero(cells == cell)
        share = of_target if case.target[own[0]] else of_others
        kept.append(own[: round(share * len(own))])
    return np.sort(np.concatenate(kept))


def photographed_cases(root: Path, store_folder: Path) -> Iterator[Case]:
    """Targets that the training side of catdog holds: black dogs (no black cats there), other cats, other dogs.

    The cell of black cats is missing from all three. Each half of the pictures is judged by heads fitted to the other.
    """
    recipe = _catdog(root)
    options = Fit(backbone=PretrainedEfficientNetLite())
    backbone = options.backbone.load("", Run())
    pictures = load_pictures(recipe, store=store_folder)
    black, cat = pictures["train.black"], pictures["train.cat"]  # dogs; none of them black
    features = {"black": backbone.features(black)[0].double().numpy()}
    features["cat"] = backbone.features(cat)[0].double().numpy()
    shown = {"black": black.labels["black"], "cat": cat.labels["cat"]}
    cells = {"black": np.where(shown["black"], "black", "none"), "cat": np.where(shown["cat"], "cat", "none")}
    for seed in (1, 2, 3):
        halves = {
            name: list(StratifiedKFold(2, shuffle=True, random_state=seed).split(features[name], shown[name]))
            for name in shown
        }
        for half in (0, 1):
            own: dict[str, tuple[Floats, Flags]] = {}
            parts: dict[str, Floats] = {}
            tested = np.concatenate([features[name][halves[name][half][1]] for name in shown])
            where = np.concatenate([cells[name][halves[name][half][1]] for name in shown])
            for name in shown:
                rows, flags = features[name][halves[name][half][0]], shown[name][halves[name][half][0]]
                splits = list(StratifiedKFold(5, shuffle=True, random_state=seed).split(rows, flags))
                strength = choose_strength(rows, flags, splits, options, name, Run()).strength
                head = fitted(rows, flags, strength, options)
                own[name] = (head.log_odds(rows)[None], flags)
                parts[name] = head.log_odds(tested)[None]
            for target, signs in {"black": (1, -1), "cat": (-1, 1), "none": (-1, -1)}.items():
                yield Case(
                    f"{target} {seed}.{half}",
                    "catdog, training side",
                    [(sign * own[n][0], own[n][1] == (sign > 0)) for n, sign in zip(shown, signs, strict=True)],
                    [sign * parts[n] for n, sign in zip(shown, signs, strict=True)],
                    list(where),
                    where == target,
                )


def test_side(root: Path, store_folder: Path) -> Iterator[Case]:
    """The recipe's own test pictures: for a look, not for a choice."""
    recipe = _catdog(root)
    pictures = load_pictures(recipe, store=store_folder)
    own, parts = [], []
    for concept in recipe.names:
        parent = load_population(recipe, concept, store=store_folder)
        training = pictures[f"train.{concept}"]
        own.append((parent.log_odds(training).double().numpy(), training.labels[concept]))
        parts.append(parent.log_odds(pictures["test"]).double().numpy())
    test = pictures["test"]
    yield Case("black+cat", "catdog, test side", own, parts, test.cells, test.target)


def _catdog(root: Path) -> Recipe:
    return read_recipe(Path(__file__).parent.parent / "recipes" / "catdog.yaml", [f"root={root.absolute()}"])


# -- the table -----------------------------------------------------------------------------------


def combined(parts: Sequence[Floats]) -> Floats:
    names = [str(number) for number in range(len(parts))]
    each = dict(zip(names, map(torch.from_numpy, parts), strict=True))
    return Expression.all_of(names).log_odds(each).double().numpy()


def best_accuracy(log_odds: Floats, target: Flags) -> float:
    """The mean over members of the accuracy at each one's best threshold."""
    found = []
    for values in log_odds:
        order = np.argsort(values)
        gained = np.cumsum(np.where(target[order], -1, 1))
        last = np.append(np.diff(values[order]) > 0, True)
        found.append((target.sum() + max(0, gained[last].max())) / len(target))
    return float(np.mean(found))


def losses(case: Case) -> tuple[dict[tuple[str, str], float], dict[str, float]]:
    """(calibration, rule) -> points of accuracy lost, and calibration -> AUC."""
    best = best_accuracy(combined(case.parts), case.target)
    lost: dict[tuple[str, str], float] = {}
    ranked: dict[str, float] = {}
    for calibration, calibrate in CALIBRATIONS.items():
        parts = calibrate(case)
        log_odds = combined(parts)
        ranked[calibration] = float(np.mean([roc_auc_score(case.target, values) for values in log_odds]))
        for rule, decide in DECISIONS.items():
            if rule in SCALE_FREE and calibration != "none":
                lost[calibration, rule] = lost["none", rule]
                continue
            accuracy = float((decide(log_odds, parts) == case.target).mean())
            lost[calibration, rule] = 100 * (best - accuracy)
    return lost, ranked


def print_table(title: str, cases: Sequence[Case]) -> None:
    judged = [losses(case) for case in cases]
    best = np.mean([best_accuracy(combined(case.parts), case.target) for case in cases])
    print(f"\n{title}: {len(cases)} cases, best possible accuracy {best:.3f}\n")
    print(f"| points of accuracy lost: mean (worst) | AUC | {' | '.join(DECISIONS)} |")
    print(f"| --- | ---: |{' ---: |' * len(DECISIONS)}")
    for calibration in CALIBRATIONS:
        ranked = np.mean([ranks[calibration] for _, ranks in judged])
        columns = []
        for rule in DECISIONS:
            values = [lost[calibration, rule] for lost, _ in judged]
            columns.append(f"{np.mean(values):.1f} ({max(values):.1f})")
        print(f"| {calibration} | {ranked:.4f} | {' | '.join(columns)} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--catdog", type=Path, help="folder with train/ and test/, as recipes/catdog.yaml takes it")
    parser.add_argument("--check", action="store_true", help="look at the test side of catdog too")
    parser.add_argument("--store", type=Path, help="store of a finished run of catdog, whose features are used")
    parser.add_argument("--pairs", type=int, default=len(PAIRS))
    parser.add_argument("--seeds", type=int, default=2)
    parser.add_argument("--members", type=int, default=1)
    parser.add_argument("--train", type=int, default=600)
    options = parser.parse_args()
    cases = list(drawn_cases(PAIRS[: options.pairs], options.seeds, options.members, options.train))
    groups = [f"drawings, {share}" for share in SHARES]
    with tempfile.TemporaryDirectory() as temporary:
        store_folder = options.store or Path(temporary)
        if options.catdog:
            cases += photographed_cases(options.catdog, store_folder)
            groups.append("catdog, training side")
        for group in groups:
            chosen = [case for case in cases if case.group == group]
            if chosen:
                print_table(group, chosen)
        print_table("all of these", cases)
        if options.catdog and options.check:
            print_table("catdog, test side (nothing was chosen by it)", list(test_side(options.catdog, store_folder)))


if __name__ == "__main__":
    main()
