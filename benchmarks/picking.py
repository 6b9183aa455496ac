"""Which way of picking a member without labels loses least to the pick by labels: writes docs/picking.md.

    python benchmarks/picking.py --data ../shared/data

Runs every recipe whose compositions have several members, those that draw their pictures with seeds that no recipe
has, and takes from each composition and control the members that the ways of picking choose. A run that
is there already is used as it is. The ways are chosen by drawings and digits alone. Photographs, which need --data
(folders `catdog` and `mlusingml`), are shown beside them and count for nothing.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from composer import ComposedModel, Images
from composer.recipes.recipe_reader import read_recipe
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.pipeline import run_recipe
from composer.running.plan import make_plan
from composer.running.storage import read_json, read_tensors, unpack
from composer.runs.store_folder import default_store
from composer_clustering import Clusters
from composer_clustering import picking as of_clusters
from composer_clustering.evaluation import criterion, labels_of, space_of
from composer_clustering.metrics import silhouette
from composer_recognition import Recognition
from composer_recognition import picking as of_log_odds

Floats = NDArray[np.float64]

ROOT = Path(__file__).resolve().parent.parent
DRAWN = {
    "black_cat": (101, 102),
    "white_dog": (101,),
    "striped_fish": (101,),
    "small_black_cat": (101,),
    "green_seven": (101,),
}
"""Recipes that draw their pictures, and the seeds to run them with."""
PHOTOGRAPHS = {"from_folders": "catdog", "black_cat_photos": "mlusingml", "mlusingml": "mlusingml"}
"""Recipe -> the folder of --data that it reads."""
OWN_SEED = 7
DECIDE = ("K-means: adjusted Rand index", "HDBSCAN: adjusted Rand index")
MOST = 200
"""Members taken of each composition, evenly spaced: the study's have thousands."""


@dataclass(frozen=True)
class Loss:
    """What the pick by each way loses to the best member, of one composition of one run; `any` is the mean member."""

    recipe: str
    composition: str
    score: str
    best: float
    lost: Mapping[str, float]


def runs(data: Path | None) -> Iterable[tuple[str, int, list[str]]]:
    """(recipe, seed, changes to it)."""
    cheap = "evaluators=[recognition]"
    for recipe, seeds in DRAWN.items():
        for seed in seeds:
            yield recipe, seed, [f"seed={seed}", cheap]
    if data is not None:
        for recipe, folder in PHOTOGRAPHS.items():
            yield recipe, OWN_SEED, [f"root={data / folder}", cheap]


def losses(recipe: str, seed: int, changes: list[str], folder: Path) -> list[Loss]:
    """What every way of picking loses in one run, which is made where it is not there."""
    home = folder / f"{recipe}-{seed}"
    read = read_recipe(ROOT / "recipes" / f"{recipe}.yaml", changes)
    if not (home / "report.json").exists():
        run_recipe(read, home)
    test = make_plan(read).test
    assert test is not None, f"{recipe} has no test pictures"
    images: Images = Engine(StageCache(default_store()), "cpu", load_registry()).result(test)
    found = []
    for composition in read.compositions:
        model = some_members(home / "models" / composition.name)
        if len(model) > 1:
            found += judged(recipe, composition.name, model, images)
    return found


def judged(recipe: str, composition: str, model: ComposedModel, images: Images) -> list[Loss]:
    """What every way of picking loses of one composition, in every score."""
    return [
        *_of_log_odds(recipe, composition, model, images),
        *_of_clusters(recipe, composition, model, images),
    ]


def some_members(home: Path) -> ComposedModel:
    """At most MOST members of a saved composition, evenly spaced."""
    facts = {**read_json(home / "config.json"), "type": "ComposedModel"}
    model = unpack(facts, read_tensors(home / "model.safetensors"))
    assert isinstance(model, ComposedModel)
    count = min(len(model), MOST)
    chosen = [index * len(model) // count for index in range(count)]
    parts = tuple(part.select(chosen) if len(part) > 1 else part for part in model.parts)
    return ComposedModel(parts, tuple(model.members[index] for index in chosen))


def _of_log_odds(recipe: str, composition: str, model: ComposedModel, images: Images) -> Iterable[Loss]:
    if not model.has_log_odds:
        return
    log_odds = model.log_odds(images).double().numpy()
    picks = {name: int(np.argmax(of_log_odds.criterion(name, log_odds, seed=0))) for name in of_log_odds.WORDS}
    for score, measure in {"AUC": _auc, "AUC of the hardest cell": _hardest}.items():
        yield _loss(recipe, composition, score, np.asarray([measure(own, images) for own in log_odds]), picks)


def _auc(log_odds: Floats, images: Images) -> float:
    return float(roc_auc_score(images.target, log_odds))


def _hardest(log_odds: Floats, images: Images) -> float:
    cells = np.asarray(images.cells)
    target = images.target
    return min(
        float(roc_auc_score(target[target | (cells == cell)], log_odds[target | (cells == cell)]))
        for cell in set(cells[~target])
    )


def _of_clusters(recipe: str, composition: str, model: ComposedModel, images: Images) -> Iterable[Loss]:
    """K-means and HDBSCAN in the plane of the first two principal components, the evaluator's default."""
    options = {way: Clusters.model_validate({"pick": way}) for way in of_clusters.WORDS}
    features = model.features(images).double().numpy()
    for method, name in {"kmeans": "K-means", "hdbscan": "HDBSCAN"}.items():
        labels, values = [], []
        for own in features:
            space = space_of(options["silhouette"], own, 0)
            found = labels_of(options["silhouette"], method, space, images.target, 0)
            width = float(silhouette(space.distances, found, np.ones((1, len(found))))[0])
            labels.append(found)
            values.append({way: criterion(options[way], method, space, found, width, 0) for way in options})
        chosen = {way: int(np.argmax([one[way] for one in values])) for way in options}
        chosen["agreement"] = int(np.argmax(of_clusters.agreement(np.stack(labels))))
        index = np.asarray([adjusted_rand_score(images.target, found) for found in labels])
        yield _loss(recipe, composition, f"{name}: adjusted Rand index", index, chosen)
        if method == "kmeans":
            right = np.asarray([(found == images.target).mean() for found in labels])
            yield _loss(recipe, composition, f"{name}: accuracy", np.maximum(right, 1 - right), chosen)


def _loss(recipe: str, composition: str, score: str, values: Floats, picks: Mapping[str, int]) -> Loss:
    best = float(values.max())
    lost = {name: best - float(values[index]) for name, index in picks.items()}
    return Loss(recipe, composition, score, best, {**lost, "any": best - float(values.mean())})


def mean_losses(found: Iterable[Loss], score: str, recipes: Iterable[str]) -> dict[str, dict[str, float]]:
    """Way -> recipe -> loss, over its compositions, controls and seeds alike."""
    own = [loss for loss in found if loss.score == score]
    present = [recipe for recipe in recipes if any(loss.recipe == recipe for loss in own)]
    return {
        way: {recipe: float(np.mean([loss.lost[way] for loss in own if loss.recipe == recipe])) for recipe in present}
        for way in own[0].lost
    }


def table(found: list[Loss], score: str) -> list[str]:
    """Rows of Markdown, the way that loses least on drawings and digits first, any member last."""
    drawn, photographs = (mean_losses(found, score, recipes) for recipes in (DRAWN, PHOTOGRAPHS))
    ways = sorted(drawn, key=lambda way: (way == "any", np.mean(list(drawn[way].values()))))
    recipes, others = list(drawn[ways[0]]), list(photographs[ways[0]])
    header = ["picked by", "**mean**", *recipes, *(f"*{name}*" for name in others)]
    rows = [header, ["---"] + ["---:"] * (len(header) - 1)]
    for way in ways:
        mean = float(np.mean(list(drawn[way].values())))
        cells = [*(drawn[way][recipe] for recipe in recipes), *(photographs[way][recipe] for recipe in others)]
        rows.append(["any member" if way == "any" else way, f"**{mean:.3f}**", *(f"{cell:.3f}" for cell in cells)])
    return [f"| {' | '.join(row)} |" for row in rows]


def least(found: list[Loss], scores: Sequence[str]) -> str:
    """The way that loses least on drawings and digits, in the mean of the scores."""
    drawn = [mean_losses(found, score, DRAWN) for score in scores]
    ways = [way for way in drawn[0] if way != "any"]
    return min(ways, key=lambda way: float(np.mean([list(each[way].values()) for each in drawn])))


def page(found: list[Loss], command: str) -> str:
    """The text of docs/picking.md."""
    own = {"log-odds": Recognition().pick, "clusters": Clusters().pick}
    decided = {"log-odds": least(found, ["AUC"]), "clusters": least(found, DECIDE)}
    for kind, way in decided.items():
        if way != own[kind]:
            print(f"the default for {kind} is {own[kind]!r}, but {way!r} loses least")
    versions = ", ".join(f"{name} {version(name)}" for name in ("torch", "scikit-learn", "hdbscan", "numpy"))
    lines = [
        "# Picking a member without labels",
        f"Written by `{command}` (Python {platform.python_version()}, {versions}).",
        "",
        "A composition is many networks, and without labelled pictures of the target somebody has to pick one. Below "
        "is what each way of picking **loses to the best member**, which only labels can find: the mean over all "
        "compositions and controls with several members (seed 101; black_cat with seed 102 too). "
        "*Any member* is what blind choice loses. The first mean decides on the default: over drawings and digits "
        "alone. The photographs in italics count for nothing in it; those of `mlusingml` and `black_cat_photos` are "
        "the study's 89.",
        "",
        "## By log-odds (`recognition`, option `pick`)",
        f"Default: **{own['log-odds']}**.",
    ]
    for score in ("AUC", "AUC of the hardest cell"):
        lines += ["", f"### Lost {score}", *table(found, score)]
    lines += [
        "",
        "- agreement: rank correlation of a member's log-odds with the mean ranks of all members",
        "- bimodality: Sarle's coefficient; separation: share of the variance between the two sides of Otsu's cut",
        "- silhouette, density (DBCV, Moulavi et al. 2014, by the library hdbscan): of these two sides",
        "- stability: mean adjusted Rand index between Otsu's cut of all pictures and of resampled ones",
        "",
        "## By clusters (`clusters`, option `pick`)",
        f"Default: **{own['clusters']}**.",
    ]
    lines += [
        "",
        "The adjusted Rand index decides, over K-means and HDBSCAN. Accuracy cannot: where few pictures are the "
        "target, clusters of very different sizes have a high one whatever is in them, and the silhouette likes such "
        f"clusters: by it, {least(found, ['K-means: accuracy'])} would lose least. (That the index decides was settled "
        "after a look at all of this but seed 102 and `mlusingml`, which came afterwards.)",
    ]
    for score in (*DECIDE, "K-means: accuracy"):
        lines += ["", f"### Lost {score}", *table(found, score)]
    lines += [
        "",
        "- silhouette (Rousseeuw 1987), density (DBCV): of the member's own clusters, in the plane they were found in",
        "- stability: mean adjusted Rand index with the clusters of subsamples of 80 % of the pictures",
        "- agreement: correlation, over pairs of pictures, of being together with how often others put them together",
    ]
    return "\n".join(lines) + "\n"


def main(argv: list[str] | None = None, say: Callable[[str], None] = print) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with `catdog` and `mlusingml`; without it no photographs")
    parser.add_argument("--runs", type=Path, default=Path("runs/picking"), help="folder of the runs")
    parser.add_argument("--output", type=Path, default=ROOT / "docs" / "picking.md", help="page to write")
    arguments = parser.parse_args(argv)
    found: list[Loss] = []
    for recipe, seed, changes in runs(arguments.data and arguments.data.resolve()):
        found += losses(recipe, seed, changes, arguments.runs)
        say(f"{recipe}, seed {seed}: done")
    command = "python benchmarks/picking.py" + (" --data ../shared/data" if arguments.data else "")
    arguments.output.write_text(page(found, command), encoding="utf-8")
    say(f"written: {arguments.output}")


if __name__ == "__main__":
    main()
