"""Which way of picking a member without labels loses least to the pick by labels: writes docs/picking.md.

    python benchmarks/picking.py --data ../shared/data

Runs every recipe whose compositions have several members, those that draw their pictures with seeds that no recipe
has, and takes from each composition and control the members that the ways of picking choose: the criteria that come
with composer, and the rules of `picking_rules.py`. Each is tried again with a third of the members dead, that is with
one answer for every picture. A run that is there already is used as it is. The ways are chosen by drawings and digits
alone. Photographs, which need --data (folders `catdog` and `mlusingml`), are shown beside them and count for nothing.
"""

from __future__ import annotations

import argparse
import platform
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import picking_rules as rules
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score, roc_auc_score

from composer import ComposedModel, Criterion, Images, Run
from composer.data.files import read_json
from composer.data.scores import tells_apart
from composer.judging.picking import pick_member
from composer.pipeline import run_recipe
from composer.recipes.recipe_reader import DEFAULT_PICK, read_recipe
from composer.registry import load_registry
from composer.running.cache import StageCache
from composer.running.engine import Engine
from composer.running.plan import make_plan
from composer.running.storage import read_tensors, unpack
from composer.running.store_folder import default_store
from composer_clustering import Clusters
from composer_clustering.evaluation import Space, labels_of, space_of
from composer_clustering.metrics import silhouette
from composer_clustering.objectives import stability_of, validity_of
from composer_picking import Agreement, Stability

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
CRITERIA: tuple[Criterion, ...] = (Agreement(), Stability())
BY_POSITION = "agreement, ties by position"
WITH_DEAD = "AUC, a third of the members dead"
DEAD = 3
"""Every DEAD-th member is made dead, where that is tried."""
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
    chosen = {one.name: pick_member(one, model, images, Run()).member for one in CRITERIA}
    return [
        *_of_log_odds(recipe, composition, model, images, chosen),
        *_of_clusters(recipe, composition, model, images, chosen),
    ]


def some_members(home: Path) -> ComposedModel:
    """At most MOST members of a saved composition, evenly spaced."""
    facts = {**read_json(home / "config.json"), "type": "ComposedModel"}
    model = unpack(facts, read_tensors(home / "model.safetensors"))
    assert isinstance(model, ComposedModel)
    count = min(len(model), MOST)
    return model.select([index * len(model) // count for index in range(count)])


def _of_log_odds(
    recipe: str, composition: str, model: ComposedModel, images: Images, chosen: Mapping[str, int]
) -> Iterable[Loss]:
    if not model.has_log_odds:
        return
    log_odds = model.log_odds(images).double().numpy()
    picks = {**chosen, **rule_picks(log_odds)}
    for score, measure in {"AUC": _auc, "AUC of the hardest cell": _hardest}.items():
        yield _loss(recipe, composition, score, np.asarray([measure(own, images) for own in log_odds]), picks)
    dying = log_odds.copy()
    dying[::DEAD] = dying[::DEAD, :1]
    alive = np.flatnonzero(tells_apart(dying))
    if len(alive) > 1:
        found = {one.name: int(alive[np.argmax(one.values(dying[alive], (), Run()))]) for one in CRITERIA}
        values = np.asarray([_auc(own, images) for own in dying])
        yield _loss(recipe, composition, WITH_DEAD, values, {**found, **rule_picks(dying)})


def rule_picks(log_odds: Floats) -> dict[str, int]:
    """The member that each rule picks: of those that are not dead, save by the rule that knows of none."""
    alive = tells_apart(log_odds)
    found = {BY_POSITION: int(np.argmax(rules.by_position(log_odds)))}
    for name, rule in rules.OF_LOG_ODDS.items():
        values = np.full(len(log_odds), -np.inf)
        values[alive] = rule(log_odds[alive])
        found[name] = int(np.argmax(values))
    return found


def _auc(log_odds: Floats, images: Images) -> float:
    return float(roc_auc_score(images.target, log_odds))


def _hardest(log_odds: Floats, images: Images) -> float:
    cells = np.asarray(images.cells)
    target = images.target
    return min(
        float(roc_auc_score(target[target | (cells == cell)], log_odds[target | (cells == cell)]))
        for cell in set(cells[~target])
    )


def _of_clusters(
    recipe: str, composition: str, model: ComposedModel, images: Images, chosen: Mapping[str, int]
) -> Iterable[Loss]:
    """K-means and HDBSCAN in the plane of the first two principal components, the evaluator's default."""
    options = Clusters()
    features = model.features(images).double().numpy()
    for method, name in {"kmeans": "K-means", "hdbscan": "HDBSCAN"}.items():
        labels, values = [], []
        for own in features:
            space = space_of(options, own, 0)
            found = labels_of(options, method, space, images.target, 0)
            labels.append(found)
            values.append(_of_own_clusters(options, method, space, found))
        picks = {f"clusters: {way}": int(np.argmax([one[way] for one in values])) for way in values[0]}
        picks["clusters: agreement"] = int(np.argmax(rules.agreement_of(np.stack(labels))))
        index = np.asarray([adjusted_rand_score(images.target, found) for found in labels])
        yield _loss(recipe, composition, f"{name}: adjusted Rand index", index, {**chosen, **picks})
        if method == "kmeans":
            right = np.asarray([(found == images.target).mean() for found in labels])
            yield _loss(recipe, composition, f"{name}: accuracy", np.maximum(right, 1 - right), {**chosen, **picks})


def _of_own_clusters(options: Clusters, method: str, space: Space, labels: rules.Labels) -> dict[str, float]:
    """How good one member's own clusters are, without labels."""

    def again(part: rules.Labels) -> rules.Labels:
        own = Space(space.places[part], space.distances[np.ix_(part, part)])
        return labels_of(options, method, own, np.zeros(0, dtype=np.bool_), 0)

    return {
        "silhouette": float(silhouette(space.distances, labels, np.ones((1, len(labels))))[0]),
        "density": validity_of(space.places, labels),
        "stability": stability_of(labels, again, 0),
    }


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
    best = least(found, ["AUC"])
    if best != DEFAULT_PICK:
        print(f"the default is {DEFAULT_PICK!r}, but {best!r} loses least")
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
        "A recipe's `pick:` names a criterion; the default is "
        f"**{DEFAULT_PICK}**. A member that tells no two pictures apart, or gives no finite numbers, reaches no "
        "criterion.",
        "",
        "## By log-odds",
    ]
    for score in ("AUC", "AUC of the hardest cell"):
        lines += ["", f"### Lost {score}", *table(found, score)]
    lines += [
        "",
        f"### Lost {WITH_DEAD}",
        f"The same log-odds, but every {DEAD}rd member gives one answer for every picture. *Ties by position* is "
        "agreement as it was before: dead members, whose pictures were ranked by their position, agreed with each "
        "other perfectly and won.",
        "",
        *table(found, WITH_DEAD),
        "",
        "- agreement: rank correlation of a member's log-odds with the mean ranks of all members, equal ones sharing "
        "their mean rank",
        "- stability: mean adjusted Rand index between Otsu's cut of all pictures and of resampled ones",
        "- bimodality: Sarle's coefficient; separation: share of the variance between the two sides of Otsu's cut",
        "- silhouette, density (DBCV, Moulavi et al. 2014, by the library hdbscan): of these two sides",
        "",
        "## What the pick costs clusters",
        "One member is picked for all scores; so clusters are shown of a member that was not picked for them. Below, "
        "*agreement* and *stability* are that pick: by log-odds where a composition gives them, by features where it "
        "does not (centred alignment of similarities; K-means' clusters on resampled pictures). *clusters: ...* are "
        "rules that go by each method's own clusters. The adjusted Rand index is what counts. Accuracy does not: where "
        "few pictures are the target, clusters of very different sizes have a high one whatever is in them.",
    ]
    for score in (*DECIDE, "K-means: accuracy"):
        lines += ["", f"### Lost {score}", *table(found, score)]
    lines += [
        "",
        "- clusters: silhouette (Rousseeuw 1987), density (DBCV): of the member's own clusters, in the plane they were "
        "found in",
        "- clusters: stability: mean adjusted Rand index with the clusters of subsamples of 80 % of the pictures",
        "- clusters: agreement: correlation, over pairs of pictures, of being together with how often others put them "
        "together",
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
