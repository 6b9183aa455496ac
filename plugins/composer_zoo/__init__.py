"""Concepts of a zoo as models of a recipe."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from pydantic import Field

from composer import Architecture, Component, ComposerError, ModelSource, RecipePath, Run, Zoo, hook

if TYPE_CHECKING:
    from pathlib import Path

    from composer import Population


class FromZoo(ModelSource):
    """A concept of the zoo, as `composer zoo` shows it: the networks that it keeps."""

    name = "zoo"

    concept: str = Field(min_length=1, description="its name in the zoo")
    folder: RecipePath | None = Field(
        None, description="the zoo; null: COMPOSER_ZOO, else composer/zoo in the user's data folder"
    )

    @property
    def network(self) -> Architecture:
        return Zoo(self.folder)[self.concept].architecture

    def problems(self, concepts: Sequence[str]) -> Iterable[tuple[str, str]]:
        try:
            _ = self.network
        except ComposerError as error:
            yield "concept", str(error)

    def files(self) -> Iterable[Path]:
        return Zoo(self.folder)[self.concept].files()

    def load(self, concept: str, run: Run) -> Population:
        """All members of the concept in the zoo, under the name that the recipe gives it."""
        return replace(Zoo(self.folder)[self.concept].population(), concept=concept)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [FromZoo]
