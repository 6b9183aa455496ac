"""A zoo for everybody: what an image source draws by itself, learned by one command and without any download."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from composer.data.run import Run
from composer.errors import ComposerError
from composer.interfaces import ImageSource, Split
from composer.recipes.slots import read_component
from composer.registry import Registry, nearest
from composer.running.cache import stage_seed
from composer.zoo.entry import Kind
from composer.zoo.learning import Lesson, described, usual_source
from composer.zoo.writing import Entry

SOURCE = "drawings"
APART = (
    *("black", "white", "red", "green", "blue", "yellow", "striped"),
    *("cat", "dog", "bird", "fish", "butterfly", "flower", "tree", "apple", "car", "boat", "house"),
)
"""No picture that these attributes are learned from shows one of these objects, nor the other way round."""
SYNONYMS = {
    "striped": ("stripes", "stripy"),
    "spotted": ("spots", "polka dots"),
    "small": ("tiny", "little"),
    "large": ("big", "huge"),
    "cat": ("kitten",),
    "dog": ("puppy",),
    "car": ("automobile",),
    "boat": ("ship",),
    "mug": ("cup",),
}
PICTURES = {"size": 32, "train": 1250}
"""Drawn for each concept; a fifth of them is held out."""


@dataclass(frozen=True)
class DrawnWorld:
    """The pictures that concepts are drawn in, and the concepts that there are."""

    images: ImageSource
    registry: Registry
    seed: int = 0

    @classmethod
    def usual(cls, registry: Registry, seed: int = 0) -> DrawnWorld:
        """That of the drawings, with APART kept apart."""
        component = registry.find("images", SOURCE)
        images = read_component(component, {**PICTURES, "held_out": list(APART)}, registry)
        assert isinstance(images, ImageSource)
        return cls(images, registry, seed)

    @property
    def concepts(self) -> dict[str, Kind]:
        """Each with its kind, the attributes first."""
        known = self.images.vocabulary()
        if not known:
            raise ComposerError(f"image source {self.images.name!r} does not say what it can draw")
        return dict(sorted(known.items(), key=lambda item: item[1] == "object"))

    @property
    def source(self) -> str:
        """Where its concepts come from, as their facts say it."""
        return f"drawn pictures ({self.images.name})"

    def chosen(self, names: Sequence[str]) -> dict[str, Kind]:
        """Those of its concepts, or all where none is named; ComposerError for one that cannot be drawn."""
        known = self.concepts
        for name in names:
            if name not in known:
                raise ComposerError(f"nothing called {name!r} can be drawn{nearest(name, list(known), 3)}")
        return {name: kind for name, kind in known.items() if name in names or not names}

    def learn(self, concept: str, lesson: Lesson) -> Entry:
        """One concept out of its own pictures."""
        run = Run(stage_seed(self.seed, f"drawings of {concept}"), lesson.device, report_progress=lesson.progress)
        entry = lesson.learn(concept, self.images.load(self._split(concept), run))
        source = f"{self.source}, {described(lesson.source)}, seed {self.seed}"
        return replace(entry, source=source, synonyms=SYNONYMS.get(concept, ()))

    def lesson(self) -> Lesson:
        """How its concepts are learned."""
        return Lesson(usual_source("cnn", self.registry), self.seed)

    def _split(self, concept: str) -> Split:
        """A split is of a target, which it keeps out: the concept with one of the other kind that is apart anyway."""
        kinds = self.concepts
        other = next(name for name in APART if kinds[name] != kinds[concept])
        return Split(tuple(sorted((concept, other), key=lambda name: kinds[name] == "object")), concept)
