"""From a phrase to a model: concepts of a zoo side by side, or one network that has learned what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

import numpy as np
import torch

from composer.data.composed import ComposedModel, side_by_side
from composer.data.decoding import FileDecoder
from composer.data.files import picture_files
from composer.data.images import Images
from composer.data.population import Population
from composer.data.run import Run
from composer.errors import ComposerError
from composer.interfaces import Assembler
from composer.recipes.slots import read_component
from composer.registry import load_registry
from composer.zoo.entry import Concept
from composer.zoo.phrases import Understanding
from composer.zoo.scoring import Scoring, read_test_folder, scored
from composer.zoo.writing import read_probes
from composer.zoo.zoo import Zoo

FEWEST_TO_TEACH = 200
"""Pictures that one network learns from, below which others have to be given."""
ADDED = 2000
"""Pictures that one network sees again."""
STEPS = 800
"""Of one network's learning."""


@dataclass(frozen=True)
class Made:
    """A model out of a phrase, and all that is known of it.

    one: whether it is a single network that has learned what its parents say of `taught` pictures.
    scoring: how well it tells test pictures, where there are any.
    """

    phrase: str
    understanding: Understanding
    concepts: tuple[Concept, ...]
    model: ComposedModel
    zoo: Path
    seed: int = 0
    one: bool = False
    taught: int = 0
    pictures: Path | None = None
    test: Path | None = None
    scoring: Scoring | None = None
    warnings: list[str] = field(default_factory=list)

    @property
    def networks(self) -> int:
        """Networks that a picture is shown to."""
        return len(set(self.model.bodies))


def make(
    zoo: Zoo,
    phrase: str,
    understanding: Understanding,
    *,
    one: bool = False,
    pictures: Path | None = None,
    test: Path | None = None,
    seed: int = 0,
    device: str = "cpu",
    steps: int = STEPS,
) -> Made:
    """The model that a phrase asks for.

    one: a single network of a parent's size, taught by the parents on `pictures` or, left out, on those that the zoo
    keeps, without their labels, for `steps`. test: a folder with a folder for each cell, by which it is judged.
    ComposerError where there are too few pictures, or the test folder is no such folder.
    """
    expression = understanding.expression
    concepts = tuple(zoo[name] for name in expression.concepts)
    run = Run(seed, device)
    parents = [concept.picked() for concept in concepts]
    largest = max(parent.preprocessing.size for parent in parents)
    # Read before anything takes long.
    images = None if test is None else read_test_folder(test, expression, largest, run, zoo)
    product = side_by_side(parents).answering(expression)
    model, taught = product, 0
    one = one and len(set(product.bodies)) > 1  # else it is one network already
    if one:
        seen = kept_pictures(zoo, largest) if pictures is None else _pictures(pictures)
        model = student([concept.population() for concept in concepts], seen, run, steps).answering(expression)
        taught = len(seen)
    scoring = None
    if images is not None:
        others = {"product": product} if model is not product else {}
        scoring = scored(model, others, dict(zip(expression.concepts, parents, strict=True)), zoo, images, run)
    warnings = list(dict.fromkeys(run.warnings))
    return Made(
        phrase, understanding, concepts, model, zoo.folder, seed, one, taught, pictures, test, scoring, warnings
    )


def student(parents: Sequence[Population], seen: Images, run: Run, steps: int = STEPS) -> ComposedModel:
    """One network that learned what the parents, all of their members, say of pictures."""
    registry = load_registry()
    assembler = cast("type[Assembler]", registry.find("assembler", "distil"))
    run.pictures = (balanced(seen, parents, run),)
    return read_component(assembler, {"members": 1, "steps": steps}, registry).assemble(None, parents, run)


def balanced(images: Images, parents: Sequence[Population], run: Run) -> Images:
    """The pictures, and again those of which the parents say what they seldom say; no label is looked at.

    ADDED more, equally many of each cell that the parents see: of a thousand pictures few show a small black thing, and
    a network that sees few does not learn it.
    """
    said = np.stack([parent.log_odds(images, run.device).mean(0).numpy() > 0 for parent in parents])  # [P, N]
    for parent in parents:
        parent.forget_features()
    cells = (said * 2 ** np.arange(len(parents))[:, None]).sum(0)
    there, rng = np.unique(cells), run.rng()
    again = [np.resize(rng.permutation(np.flatnonzero(cells == cell)), ADDED // len(there)) for cell in there]
    return images.select(np.concatenate([np.arange(len(images)), *again]))


def kept_pictures(zoo: Zoo, size: int) -> Images:
    """The pictures that a zoo keeps of all its concepts, without their labels; ComposerError where they are few."""
    kept = [probes for probes in map(read_probes, zoo.concepts) if probes is not None]
    count = sum(map(len, kept))
    if count < FEWEST_TO_TEACH:
        raise ComposerError(
            f"--one: the zoo keeps {count} pictures to learn from, and {FEWEST_TO_TEACH} are the fewest; give a folder "
            "of pictures like those that it is for, with --pictures FOLDER (labels are not needed)"
        )
    return Images(
        [name for probes in kept for name in probes.names], {}, torch.cat([probes.at(size) for probes in kept])
    )


def _pictures(folder: Path) -> Images:
    if not folder.is_dir():
        raise ComposerError(f"--pictures {folder}: {'is a file' if folder.exists() else 'there is no such folder'}")
    files = tuple(map(str, picture_files(folder)))
    if len(files) < FEWEST_TO_TEACH:
        raise ComposerError(f"--pictures {folder}: has {len(files)} pictures, and {FEWEST_TO_TEACH} are the fewest")
    return Images(files, {}, FileDecoder(files))
