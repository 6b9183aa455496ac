"""CIFAR-10's photographs from a file, in the colours that a recipe asks for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from composer import Component, ComposerError, Contract, ImageSource, RecipePath, Run, Split, hook
from composer_cifar10.words import CLASS_OF, HUES

if TYPE_CHECKING:
    from composer import Images


class Cifar10(ImageSource):
    """Photographs of ten classes, 32x32 pixels; where a concept is a colour, all are tinted, half of them with it.

    Concepts: a class (cat, ship, ...; `car` and `plane` too) and a colour (red, green, ...).
    """

    name = "cifar10"
    contract = Contract(reference="Krizhevsky 2009, Learning multiple layers of features from tiny images")

    file: RecipePath = Field(
        description="an .npz with `x_train`, `y_train`, `x_test` and `y_test`, as Keras' cifar10.load_data() gives: "
        "pixels [N, 32, 32, 3] from 0 to 255, and classes [N] or [N, 1] from 0 to 9 in the usual order"
    )
    tint: float = Field(0.7, gt=0, le=1, description="share of the tint in each pixel; 1 leaves one hue only")
    train: int | None = Field(
        None, ge=20, le=1_000_000, description="most training pictures of each concept; null means all"
    )
    test: int | None = Field(
        None,
        ge=4,
        le=1_000_000,
        description="most test pictures, equally many of each cell; null means all of the rarest cell",
    )

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        if not self.file.is_file():
            yield "file", f"there is no file {self.file}"

    def possible(self, shown: Sequence[str]) -> bool:
        return all(sum(concept in words for concept in shown) < 2 for words in (CLASS_OF, HUES))

    def split_problems(self, split: Split) -> Iterable[tuple[str, str]]:
        for concept in split.shown:
            if concept not in CLASS_OF and concept not in HUES:
                yield "", _unknown(concept)
        for kind, words in (("class", CLASS_OF), ("colour", HUES)):
            own = [concept for concept in split.concepts if concept in words]
            if len(own) > 1 and split.formula is None:  # a formula may ask for the one or the other
                yield "", f"'{own[0]}' and '{own[1]}' are both a {kind}, and a picture has only one"
        if split.concepts == (split.concept,):
            yield "", f"'{split.concept}' is the whole target, and no training picture may show that; add a concept"

    def files(self) -> Iterable[Path]:
        return [self.file]

    def load(self, split: Split, run: Run) -> Images:
        if problems := [*self.problems(split.concepts), *self.split_problems(split)]:
            raise ComposerError("\n".join(": ".join(filter(None, problem)) for problem in problems))
        from composer_cifar10.reading import load_split  # imports torch

        return load_split(self, split, run)


def _unknown(concept: str) -> str:
    near = get_close_matches(concept, (*CLASS_OF, *HUES), n=1)
    guess = f"did you mean '{near[0]}'? " if near else ""
    return (
        f"there are no pictures of '{concept}'; {guess}"
        f"known are class: {', '.join(CLASS_OF)}; colour: {', '.join(HUES)}"
    )


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Cifar10]
