"""Concepts learned from pictures, some of which are held out to say how well each is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from composer.data.images import Images
from composer.data.population import Population
from composer.data.ranking import auc
from composer.data.run import Run, nowhere
from composer.data.scores import consensus_pick
from composer.errors import ComposerError
from composer.interfaces import ModelSource
from composer.recipes.slots import read_component
from composer.registry import Registry
from composer.running.cache import stage_seed
from composer.zoo.folders import labelled_pictures
from composer.zoo.writing import MOST_PROBES, Entry

HELD_OUT = 0.2
"""Share of the pictures that a concept is not learned from, and by which its quality is told."""
FEWEST = 4
"""Pictures with the concept, and without it, of which one is held out."""
MEMBERS = 3
"""Networks of a concept that is trained from nothing; one of them is picked without labels."""
BODY = "efficientnet_lite"
"""The model source whose frozen network gets a head, where its weights are installed."""

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Lesson:
    """How concepts are learned: by which model source, from which seed, where.

    warnings: what the model source warns of is added here.
    """

    source: ModelSource
    seed: int = 0
    device: str = "cpu"
    progress: Progress = nowhere
    warnings: list[str] = field(default_factory=list)

    def learn(self, concept: str, images: Images) -> Entry:
        """A concept out of pictures labelled with it, as an entry without synonyms, source and licence.

        ComposerError where there are too few pictures, or the model source cannot learn from them.
        """
        seed = stage_seed(self.seed, concept)
        held_out = chosen(images.labels[concept], seed)
        rest = np.setdiff1d(np.arange(len(images)), held_out)
        run = Run(seed, self.device, (images.select(rest),), report_progress=self.progress)
        for option, message in self.source.problems((concept,)):
            raise ComposerError(": ".join(part for part in (self.source.name, option, message) if part))
        population = self.source.load(concept, run)
        self.warnings.extend(f"{concept}: {warning}" for warning in run.warnings)
        return judged(population, images.select(held_out), self.device)

    def learn_folders(self, concept: str, yes: Path, no: Path) -> Entry:
        """A concept out of a folder of pictures that show it and one of those that do not."""
        size = self.source.network.input_size
        images = labelled_pictures(concept, yes, no, size, self.warnings.append)
        places = " and ".join("/".join(folder.resolve().parts[-2:]) for folder in (yes, no))
        return replace(self.learn(concept, images), source=f"{described(self.source)}, from {places}")


def judged(population: Population, images: Images, device: str = "cpu") -> Entry:
    """A population with how well it knows its concept on pictures that it did not learn from.

    The member that people get is picked without labels; the AUC is that one's.
    """
    log_odds = population.log_odds(images, device).double().numpy()  # [M, N]
    population.forget_features()
    if not np.isfinite(log_odds).all():
        raise ComposerError(
            f"{population.concept}: what it says of its pictures is not finite: its networks have diverged"
        )
    shown = images.labels[population.concept]
    picked = consensus_pick(log_odds) if len(log_odds) > 1 else 0
    known = float(auc(log_odds[[picked]], shown)[0])
    return Entry(population, auc=known, pictures=len(images), picked=picked, probes=few(images, population.concept))


def few(images: Images, concept: str) -> Images:
    """At most MOST_PROBES pictures with the concept and as many without, evenly spaced among them."""
    shown = images.labels[concept]
    return images.select(np.sort(np.concatenate([_spread(np.flatnonzero(shown == one)) for one in (True, False)])))


def chosen(shown: NDArray[np.bool_], seed: int) -> NDArray[np.int_]:
    """Which pictures are held out, of each kind the same share; ComposerError where there are too few."""
    rng = np.random.default_rng(seed)
    parts = []
    for value, kind in ((True, "with"), (False, "without")):
        own = np.flatnonzero(shown == value)
        if len(own) < FEWEST:
            raise ComposerError(
                f"there are {len(own)} pictures {kind} the concept, and {FEWEST} are the fewest, of which one is held "
                "out to say how well it is known; add some"
            )
        parts.append(rng.permutation(own)[: max(1, round(HELD_OUT * len(own)))])
    return np.sort(np.concatenate(parts))


def usual_source(architecture: str | None, registry: Registry) -> ModelSource:
    """The model source that concepts are learned by unless the user says otherwise.

    architecture: a network to train from nothing; left out, a head is fitted on a pretrained body where its weights are
    installed, and else a small network is trained.
    """
    models: dict[str, Any]
    if architecture is None and not list(_source({"use": BODY}, registry).problems(())):
        models = {"use": "fit", "backbone": BODY}
    else:
        models = {"use": "train", "architecture": architecture or "cnn", "members": MEMBERS}
    return _source(models, registry)


def described(source: ModelSource) -> str:
    """`fit on efficientnet_lite`, `train cnn`, `checkpoints cat.pth`: for where a concept came from."""
    options = source.options()
    inner = next((options[key] for key in ("pattern", "backbone", "model", "architecture") if options.get(key)), "")
    name = inner.get("use") if isinstance(inner, dict) else Path(str(inner)).name
    return f"{source.name} {'on ' if 'backbone' in options else ''}{name}" if name else source.name


def renamed(population: Population, concept: str) -> Population:
    """The same networks under the name that a zoo gives their concept; what they say is one concept then."""
    return replace(population, concept=concept, cells=(), _memo={})


def _source(models: dict[str, Any], registry: Registry) -> ModelSource:
    component = registry.find("models", models["use"])
    return cast("ModelSource", read_component(component, models, registry))


def _spread(indices: NDArray[np.int_]) -> NDArray[np.int_]:
    count = min(MOST_PROBES, len(indices))
    return indices[[index * len(indices) // count for index in range(count)]]
