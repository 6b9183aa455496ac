"""What a search without labels, metrics and weights of features are worth for clusters: writes into docs/clustering.md.

    python benchmarks/clustering.py                  # trains what it needs, some hours on one core
    python benchmarks/clustering.py --store FOLDER   # takes what `composer bench` left in its store
    python benchmarks/clustering.py --data FOLDER    # the study's 89 photographs too (a folder `mlusingml`)

Parents, compositions and test pictures are those of `composer bench` with seed 1. The surrogate of all pairs is fitted
and written into the plugin; what it is worth is measured by others, each of pairs that share no concept with the one
that it judges. Nothing is chosen by the photographs. What was measured is kept: where the code of clusters has changed
since, give another folder, `--keep`.
"""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import clustering_kept as kept
import clustering_trials as measure
import numpy as np
from clustering_kept import Measured
from clustering_surrogate import fitted, held_out, told
from clustering_trials import METHODS, SCHEMES, Composition, Floats
from sklearn import set_config
from threadpoolctl import threadpool_limits

from composer import Run
from composer.recipes.recipe import Recipe
from composer.recipes.recipe_reader import read_data, read_recipe
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.plan import make_plan
from composer.running.store_folder import default_store
from composer.sweeps.benchmark import MODELS, OPTIONS, PAIRS, PICTURES
from composer_clustering.surrogate import SHIPPED

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "docs" / "clustering.md"
BEGIN, END = "<!-- begin: benchmarks/clustering.py -->\n", "<!-- end -->"
COMPOSITIONS = {
    "product": {"assembler": "product"},
    "students": {"assembler": {"use": "distil", **OPTIONS["distil"]}},
    "translated": {"translator": {"use": "cyclegan", **OPTIONS["cyclegan"]}, "assembler": "transplant"},
}
PHOTOGRAPHS = {"black_cat_photos": ("product",), "mlusingml": ("published",)}
"""Recipe of the study's photographs -> those of its compositions that are looked at."""
TITLES = {"kmeans": "K-means", "dbscan": "DBSCAN", "hdbscan": "HDBSCAN"}
VARY = ("clusters", "reduction", "metric", "weights")
PLAIN = tuple(scheme for scheme in SCHEMES if scheme[1] == "none" and scheme[0] != "mahalanobis")
"""Metrics that need no labels of the parents."""


def compositions_of(
    recipe: Recipe, engine: Engine, wanted: Sequence[str], pictures: bool = True
) -> Iterable[Composition]:
    """The compositions of a recipe with all that their clusters are judged by; computed where the store has none."""
    plan = make_plan(recipe)
    assert plan.test is not None, "all of them have test pictures"
    images = engine.result(plan.test)
    run = Run()
    run.parents = tuple(engine.result(step) for step in plan.populations.values())
    if pictures:
        run.pictures = tuple(engine.result(step) for step in plan.training.values())
    for arm in plan.arms:
        if arm.composition.name in wanted:
            assert arm.pick is not None, "where there are test pictures a member is picked"
            own = Run(pictures=run.pictures, parents=run.parents, picked=engine.result(arm.pick).member)
            yield Composition(arm.composition.name, engine.result(arm.model), images, own)


def pair_recipe(pair: tuple[str, str], engine: Engine) -> Recipe:
    data = {
        "name": "_".join(pair),
        "seed": 1,
        "concepts": list(pair),
        "images": dict(PICTURES),
        "models": dict(MODELS),
        "compositions": COMPOSITIONS,
        "evaluators": ["recognition"],
    }
    return read_data(data, "clustering", engine.registry)


def measured_of(name: str, compositions: Iterable[Composition], labelled: bool = True) -> Measured:
    """What metrics, weights and names do to one target; labelled: whether the parents' own pictures are there."""
    schemes, naming = {}, {}
    for one in compositions:
        schemes[one.name] = measure.schemes_of(one, SCHEMES if labelled else PLAIN)
        if labelled:
            naming[one.name] = measure.naming_of(one)
    return Measured(name, {}, schemes, naming)


def searched(found: Measured, compositions: Iterable[Composition], trials: int, labelled: bool = True) -> Measured:
    """The same with what trials of a search are worth."""
    vary = VARY if labelled else VARY[:-1]
    return replace(found, trials={one.name: measure.trials_of(one, trials, vary) for one in compositions})


def regrets_of(pairs: Sequence[Measured]) -> dict[str, dict[str, Floats]]:
    """Way of choosing -> method -> what it loses to the best trial [pairs], each pair held out in turn."""
    each = []
    for pair in pairs:
        others = [other.trials for other in pairs if other is not pair] or [pair.trials]
        each.append(measure.regrets(pair.trials, measure.best_fixed(others)))
    return {way: {method: np.asarray([one[way][method] for one in each]) for method in METHODS} for way in each[0]}


def _regret_rows(found: Mapping[str, Mapping[str, Floats]]) -> Iterable[str]:
    yield f"| chosen by | mean | {' | '.join(TITLES[method] for method in METHODS)} |"
    yield "| --- |" + " ---: |" * (len(METHODS) + 1)
    for way, of_methods in sorted(found.items(), key=lambda item: float(np.mean(list(item[1].values())))):
        mean = np.mean([of_methods[method] for method in METHODS], axis=0)
        yield f"| {way} | {_text(mean)} | {' | '.join(_text(of_methods[method]) for method in METHODS)} |"


def _text(values: Floats, sign: str = "") -> str:
    mean, low, high = measure.interval(values)
    return f"{mean:{sign}.3f} ({low:{sign}.3f} to {high:{sign}.3f})" if len(values) > 1 else f"{mean:{sign}.3f}"


def gain_rows(found: Mapping[str, Mapping[str, Floats]]) -> Iterable[str]:
    """How far above the default options each way is, in the mean of the methods, paired over pairs."""
    base = np.mean(list(found["default options"].values()), axis=0)
    gains = {way: base - np.mean(list(own.values()), axis=0) for way, own in found.items() if way != "default options"}
    for way in sorted(gains, key=lambda way: -float(gains[way].mean())):
        yield f"- {way}: {_text(gains[way], '+')}"


def scheme_table(pairs: Sequence[Measured], schemes: Sequence[tuple[str, str]]) -> Iterable[str]:
    """The adjusted Rand index of the defaults, and how far above them each metric and weighting is."""
    names = list(pairs[0].schemes)
    columns = [(name, method) for name in names for method in ("kmeans", "dbscan")]
    yield f"| metric, weights | {' | '.join(f'{name}: {TITLES[method]}' for name, method in columns)} |"
    yield "| --- |" + " ---: |" * len(columns)
    for index, (metric, weights) in enumerate(schemes):
        cells = []
        for name, method in columns:
            own = np.asarray([pair.schemes[name][method] for pair in pairs])
            cells.append(_text(own[:, 0]) if index == 0 else _text(own[:, index] - own[:, 0], "+"))
        yield f"| {metric}{'' if weights == 'none' else f', {weights}'} | {' | '.join(cells)} |"


def naming_table(pairs: Sequence[Measured]) -> Iterable[str]:
    names = list(pairs[0].naming)
    yield "| K-means accuracy, clusters named by | labels | the parents | chance | parents name as labels do |"
    yield "| --- |" + " ---: |" * 4
    for name in names:
        values = np.asarray([pair.naming[name] for pair in pairs])
        agree = float(np.mean(values[:, 0] == values[:, 1]))
        yield f"| {name} | {' | '.join(_text(values[:, index]) for index in range(3))} | {agree:.0%} |"


def page(pairs: Sequence[Measured], photographs: Sequence[Measured], trials: int) -> str:
    """What the document says of all that was measured."""
    tried = [pair for pair in pairs if pair.trials]
    lines = [
        "### What metrics and weights do",
        "",
        f"Adjusted Rand index of the picked member, mean over {_pairs(pairs)}; everything else is as it is by default. "
        "In brackets 95 % intervals over pairs. The first row is the index of the default, the others are "
        "differences from it.",
        "",
        *scheme_table(pairs, SCHEMES),
        "",
        "### Who names the clusters",
        "",
        *naming_table(pairs),
    ]
    if tried:
        lost = regrets_of(tried)
        lines += [
            "",
            "### What a search loses to the best of its trials",
            "",
            f"Adjusted Rand index lost by the picked member, over {_pairs(tried)} with {trials} trials of each way of "
            "clustering on product, students and translated networks; each pair is held out in turn for *best on the "
            "other pairs*, and the surrogates were fitted to the pairs that share no concept with it. "
            "*Mahalanobis*: only trials with that metric are chosen from.",
            "",
            *_regret_rows(lost),
            "",
            "Above the default options, in the mean of the three:",
            "",
            *gain_rows(lost),
        ]
    if photographs:
        lines += ["", "### The study's 89 photographs", ""]
        lines += ["Nothing was chosen here. The *surrogate* is the one that is shipped, of drawn pairs alone.", ""]
        for one in photographs:
            rows = {
                way: {method: np.asarray([each[method]]) for method in METHODS}
                for way, each in measure.regrets(one.trials).items()
            }
            lines += [f"{one.name}: lost to the best of {trials} trials.", "", *_regret_rows(rows), ""]
            lines += [*scheme_table([one], PLAIN), ""]
    return "\n".join(map(_wrapped, lines)).rstrip() + "\n"


def _pairs(pairs: Sequence[Measured]) -> str:
    return f"{len(pairs)} drawn pair{'s' if len(pairs) > 1 else ''} ({', '.join(pair.name for pair in pairs)})"


def _wrapped(line: str) -> str:
    if line.startswith(("|", "#")):
        return line
    return textwrap.fill(line, 120, subsequent_indent="  " if line.startswith("-") else "")


def write(text: str, document: Path) -> None:
    """Puts the text between its marks in the document."""
    before, _, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    document.write_text(f"{before}{BEGIN}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")


def photographs_of(data: Path, engine: Engine, trials: int, keep: Path) -> Iterable[Measured]:
    for name, wanted in PHOTOGRAPHS.items():
        file = keep / f"{name}-{trials}.json"
        found = kept.read(file)
        if found is None:
            recipe = read_recipe(ROOT / "recipes" / f"{name}.yaml", [f"root={data / 'mlusingml'}"])
            made = list(compositions_of(recipe, engine, wanted, pictures=False))
            found = searched(measured_of(name, made, labelled=False), made, trials, labelled=False)
            kept.write(found, file)
        yield found


def pair_of(pair: tuple[str, str], engine: Engine, trials: int, keep: Path) -> Measured:
    """What was measured of a drawn pair before, or is now."""
    file = keep / f"{'_'.join(pair)}-{trials}.json"
    found = kept.read(file)
    if found is None:
        made = list(made_of(pair, engine))
        found = searched(measured_of("+".join(pair), made), made, trials)
        kept.write(found, file)
    return found


def made_of(pair: tuple[str, str], engine: Engine) -> Iterable[Composition]:
    """What is made of a drawn pair."""
    return compositions_of(pair_recipe(pair, engine), engine, list(COMPOSITIONS))


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--store", type=Path, default=None, help="store of a finished `composer bench`")
    parser.add_argument("--data", type=Path, help="folder with `mlusingml`; without it no photographs")
    parser.add_argument("--pairs", type=int, default=len(PAIRS))
    parser.add_argument("--trials", type=int, default=40)
    parser.add_argument(
        "--keep", type=Path, default=ROOT / "runs" / "clustering", help="what was measured of each pair"
    )
    parser.add_argument("--surrogate", type=Path, default=SHIPPED, help="file of the surrogate of all pairs")
    parser.add_argument("--document", type=Path, default=DOCUMENT)
    options = parser.parse_args(argv)
    set_config(assume_finite=True, skip_parameter_validation=True)  # a fifth of the time otherwise
    with StageCache(options.store or default_store()) as store, threadpool_limits(limits=1):
        engine = Engine(store, "cpu", load_registry())
        pairs: list[Measured] = []
        for pair in PAIRS[: options.pairs]:
            pairs.append(pair_of(pair, engine, options.trials, options.keep))
            print(f"{pairs[-1].name}: {len(pairs)} of {options.pairs}", flush=True)
        surrogate = fitted(pairs)
        surrogate.write(options.surrogate)
        photographs = []
        if options.data:
            photographs = list(photographs_of(options.data.resolve(), engine, options.trials, options.keep))
        judged = [told(one, surrogate) for one in photographs]
        write(page(held_out(pairs), judged, options.trials), options.document)


if __name__ == "__main__":
    main()
