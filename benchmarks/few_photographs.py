"""The photographs of `benchmarks/few.py --data`: heads on one pretrained body, and pictures that these have not seen.

Three sets of pictures are kept apart: what the parents' heads are fitted to, what labels are drawn from, and what is
tested. Features of the body are computed once for each picture; `--keep` keeps them, and the heads, for the next call.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from composer import Expression, FileDecoder, Images, Population, Run
from composer.data.pooling import FeaturePool
from composer.pipeline import load_pictures
from composer.recipes.recipe import Recipe
from composer.recipes.recipe_reader import read_data, read_recipe
from composer.sweeps.benchmark import FITTED
from composer_cells import Cells
from composer_cells.parting import parted, tested

Flags = NDArray[np.bool_]

ROOT = Path(__file__).resolve().parent.parent
POOL = 1 / 3
"""Share of the training pictures of each cell that labels are drawn from, and that no parent is fitted to; of the
target's cell, which no parent may see, all."""
WHOLE = "target"
"""What the oracle calls its concept."""


@dataclass(frozen=True)
class Known:
    """What every member of both parents says of some pictures, computed once."""

    features: Sequence[Tensor]  # of each parent [M, N, D]
    log_odds: Tensor  # [C, M, N]

    @classmethod
    def of(cls, parents: Sequence[Population], images: Images) -> Known:
        features = [parent.features(images).double() for parent in parents]
        return cls(features, torch.stack([parent.log_odds(images).double() for parent in parents]))


@dataclass(frozen=True)
class Case:
    """One target: the parents on pictures to label and on test pictures, and the oracle's log-odds of these [M, N].

    shown: whether each of the first shows the target. target, cells: of the test pictures.
    """

    group: str
    concepts: tuple[str, ...]
    labelled: Known
    shown: Flags
    tested: Known
    target: Flags
    cells: tuple[str, ...]
    oracle: Tensor

    @property
    def formula(self) -> Expression:
        return Expression.all_of(self.concepts)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        flags = {name: torch.from_numpy(getattr(self, name).copy()) for name in ("shown", "target")}
        known = {name: vars(getattr(self, name)) for name in ("labelled", "tested")}
        torch.save({**vars(self), **flags, **known}, path)

    @classmethod
    def read(cls, path: Path) -> Case:
        found: dict[str, Any] = torch.load(path, weights_only=True)
        flags = {name: found[name].numpy() for name in ("shown", "target")}
        return cls(**{**found, **flags, **{name: Known(**found[name]) for name in ("labelled", "tested")}})


def of_files(images: Images, index: NDArray[np.int64], pool: FeaturePool) -> Images:
    """Some of the pictures, still decoded from their files, so that the pool knows their features."""
    decoder = cast("FileDecoder", images.decode)
    files = tuple(decoder.files[place] for place in index)
    labels = {concept: own[index] for concept, own in images.labels.items()}
    chosen = Images([images.names[place] for place in index], labels, FileDecoder(files, decoder.alpha), images.asked)
    chosen.pool = pool
    return chosen


def case_of(
    group: str, recipe: Recipe, learned: Mapping[str, Images], pool: Images, oracle: Images, test: Images
) -> Case:
    """learned: what each parent's head is fitted to. pool: what labels are drawn from."""
    parents = [one.models.load(one.name, Run(seed=1, pictures=(learned[one.name],))) for one in recipe.concepts]
    whole = recipe.concepts[0].models.load(WHOLE, Run(seed=1, pictures=(oracle.as_one_concept(WHOLE),)))
    return Case(
        group,
        recipe.names,
        Known.of(parents, pool),
        pool.target,
        Known.of(parents, test),
        test.target,
        test.cells,
        whole.log_odds(test).double(),
    )


def of_cells(root: Path, keep: Path) -> Iterator[Case]:
    """A folder of photographs in cells, each complete pair of concepts held out in turn."""
    source = Cells(root=root.absolute())
    pool = FeaturePool()
    for pair in source.targets():
        kept = keep / f"{root.name}-{'+'.join(pair)}.pt"
        if not kept.is_file():
            data = {
                "name": "_".join(pair),
                "seed": 1,
                "concepts": list(pair),
                "images": {"use": "cells", "root": str(root.absolute())},
                "models": dict(FITTED),
                "compositions": {"product": {"assembler": "product"}},
                "evaluators": ["recognition"],
            }
            _of_cell(root.name, source, read_data(data, "few"), pool).save(kept)
            print(f"fitted {kept.stem}", flush=True)
        yield Case.read(kept)


def _of_cell(group: str, source: Cells, recipe: Recipe, pool: FeaturePool) -> Case:
    every = source.load(replace(recipe.split(), labelled=True), Run())
    test = source.load(recipe.split(), Run())
    drawn = drawn_from(source, every)
    parents = np.flatnonzero(~drawn)
    everything = np.arange(len(every))
    learned = {name: of_files(every, parents, pool) for name in recipe.names}
    return case_of(
        group,
        recipe,
        learned,
        of_files(every, np.flatnonzero(drawn), pool),
        of_files(every, everything, pool),
        of_files(test, np.arange(len(test)), pool),
    )


def drawn_from(source: Cells, every: Images) -> Flags:
    """Which of the training pictures labels are drawn from; groups are whole, as far as they are between cells."""
    collection = parted(source).collection
    by_name = {picture.name: picture for picture in collection.pictures}
    own = [by_name[name] for name in every.names]
    if collection.split:  # the table's own split parts no groups
        own = [replace(picture, group="") for picture in own]
    drawn: Flags = np.asarray(tested(replace(collection, pictures=tuple(own)), POOL, 0)) | every.target
    return drawn


def of_catdog(root: Path, keep: Path) -> Iterator[Case]:
    """Black cats, whose test pictures are parted in halves: no training picture shows one."""
    kept = keep / "catdog-black+cat.pt"
    if not kept.is_file():
        recipe = read_recipe(ROOT / "recipes" / "catdog.yaml", [f"root={root.absolute()}"])
        pictures, pool = load_pictures(recipe), FeaturePool()
        test = pictures["test"]
        order = np.random.default_rng(0).permutation(len(test))
        cells = np.asarray(test.cells)[order]
        # Every second of each cell, in a drawn order.
        places = np.asarray([int((cells[:place] == cell).sum()) for place, cell in enumerate(cells)])
        halves = [of_files(test, np.sort(order[places % 2 == half]), pool) for half in (0, 1)]
        learned = {}
        for name in recipe.names:
            own = pictures[f"train.{name}"]
            learned[name] = of_files(own, np.arange(len(own)), pool)
        case_of("catdog", recipe, learned, halves[0], halves[0], halves[1]).save(kept)
    yield Case.read(kept)
