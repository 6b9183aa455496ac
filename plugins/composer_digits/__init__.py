"""Handwritten digits that come with scikit-learn, tinted: a real source that needs no download."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field

from composer import Component, ComposerError, Contract, ImageSource, Run, Split, hook
from composer_digits.factors import FACTOR_OF, FACTORS, possible

if TYPE_CHECKING:
    from composer import Images


class Digits(ImageSource):
    """Pictures of handwritten digits in ink of many colours, from scikit-learn's own 1,797 samples.

    Concepts: a digit (zero ... nine) and a colour (red, green, ...). No sample serves both training and testing.
    """

    name = "digits"
    shows_target: ClassVar[bool] = True
    contract = Contract(reference="Alpaydin and Kaynak 1998, Optical recognition of handwritten digits, UCI repository")

    size: int = Field(32, ge=16, le=256, description="height and width of a picture, in pixels")
    train: int = Field(3000, ge=20, le=100_000, description="training pictures for each concept, half of them with it")
    test: int = Field(400, ge=4, le=100_000, description="test pictures in all, equally many of each cell")

    def possible(self, shown: Sequence[str]) -> bool:
        return possible(shown)

    def split_problems(self, split: Split) -> Iterable[tuple[str, str]]:
        for concept in split.shown:
            if concept not in FACTOR_OF:
                yield "", _unknown(concept)
        owners: dict[str, str] = {}
        for concept in (
            split.concepts if split.formula is None else ()
        ):  # else both of them may be asked for, one by one
            factor = FACTOR_OF.get(concept)
            if factor in owners:
                message = f"'{owners[factor]}' and '{concept}' are both a {factor}, and a picture has only one; "
                yield "", message + "take one digit and one colour"
            elif factor is not None:
                owners[factor] = concept
        if split.concepts == (split.concept,):
            yield (
                "",
                f"'{split.concept}' is the whole target, and no training picture may show the target; add a concept",
            )

    def picture_count(self, split: Split) -> tuple[str, int]:
        training = split.concept is not None or split.labelled
        return ("train", self.train) if training else ("test", self.test)

    def load(self, split: Split, run: Run) -> Images:
        if problems := list(self.split_problems(split)):
            raise ComposerError("\n".join(": ".join(filter(None, problem)) for problem in problems))
        from composer_digits.source import load_split  # imports torch

        return load_split(split, self.size, self.train if split.concept or split.labelled else self.test, run)


def _unknown(concept: str) -> str:
    near = get_close_matches(concept, FACTOR_OF, n=1)
    guess = f"did you mean '{near[0]}'? " if near else ""
    known = "; ".join(f"{factor}: {', '.join(values)}" for factor, values in FACTORS.items())
    return f"there are no pictures of '{concept}'; {guess}known are {known}"


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Digits]
