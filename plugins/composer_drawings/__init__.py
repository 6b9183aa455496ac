"""An embedded world of drawn objects: any attribute and any object can be asked for, and nothing is downloaded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from composer import Component, ComposerError, ImageSource, Run, Split, cell_concepts, cell_names, hook
from composer_drawings.apart import kept_apart, used_up
from composer_drawings.factors import FACTOR_OF, FACTORS, possible

if TYPE_CHECKING:
    from composer import Images


class Drawings(ImageSource):
    """Pictures of drawn objects of many kinds, colours, patterns and sizes, drawn here from the seed.

    Concepts: any kind (cat, dog, ...), colour (black, ...), pattern (plain, striped, spotted) or size (small, large).
    """

    name = "drawings"
    shows_target: ClassVar[bool] = True

    size: int = Field(32, ge=16, le=256, description="height and width of a picture, in pixels")
    train: int = Field(3000, ge=20, le=100_000, description="training pictures for each concept, half of them with it")
    test: int = Field(400, ge=4, le=100_000, description="test pictures in all, equally many of each cell")
    held_out: tuple[str, ...] = Field(
        (),
        description="concepts kept apart in all training pictures: those of a kind show none of the colours, patterns "
        "and sizes listed here, all others none of the kinds; training pictures are then the same for every target of "
        "these concepts",
    )

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        for concept in self.held_out:
            if concept not in FACTOR_OF:
                yield "held_out", _unknown(concept)
        for factor, values in FACTORS.items():
            if set(values) <= set(self.held_out):
                yield "held_out", f"leaves no {factor} for the training pictures: {', '.join(values)} are all held out"

    def possible(self, shown: Sequence[str]) -> bool:
        return possible(shown)

    def vocabulary(self) -> Mapping[str, Literal["attribute", "object"]]:
        return {concept: "object" if factor == "kind" else "attribute" for concept, factor in FACTOR_OF.items()}

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
                yield (
                    "",
                    f"'{owners[factor]}' and '{concept}' are both a {factor}, and a drawn object has only one; "
                    f"take concepts of different factors ({', '.join(FACTORS)})",
                )
            elif factor is not None:
                owners[factor] = concept
        cells = sum(map(self.possible, map(cell_concepts, cell_names(split.concepts))))
        if split.concept is None and not split.labelled and self.test < cells:
            yield "test", f"must be at least {cells}, one picture for each cell of {split.target}, not {self.test}"
        if split.concepts == (split.concept,):
            yield (
                "",
                f"'{split.concept}' is the whole target, and no training picture may show the target; add a concept",
            )
        elif split.concept in FACTOR_OF:
            for factor in used_up(split, str(split.concept), self.held_out):
                yield (
                    "",
                    f"no training picture of '{split.concept}' may show what the target shows together with it, and "
                    f"that is every {factor}; leave a {factor} out of the target",
                )

    def decided_by(self, split: Split) -> Mapping[str, Any]:
        if split.concept is None:
            return super().decided_by(split)
        groups, never = kept_apart(split, split.concept, self.held_out)
        return {"concept": split.concept, "apart": sorted(map(sorted, groups)), "never": sorted(never)}

    def picture_count(self, split: Split) -> tuple[str, int]:
        training = split.concept is not None or split.labelled
        return ("train", self.train) if training else ("test", self.test)

    def load(self, split: Split, run: Run) -> Images:
        if problems := list(self.split_problems(split)):
            raise ComposerError("\n".join(": ".join(filter(None, problem)) for problem in problems))
        from composer_drawings.source import draw_split  # imports torch

        return draw_split(split, self, run)


def _unknown(concept: str) -> str:
    near = get_close_matches(concept, FACTOR_OF, n=1)
    guess = f"did you mean '{near[0]}'? " if near else ""
    known = "; ".join(f"{factor}: {', '.join(values)}" for factor, values in FACTORS.items())
    return f"nothing called '{concept}' can be drawn; {guess}known are {known}"


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Drawings]
