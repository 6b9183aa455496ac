"""A recipe: what to compose, with every slot filled by a component."""

from __future__ import annotations

import re
import types
import typing
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from composer.component import Component
from composer.data.expressions import Expression
from composer.interfaces import (
    Assembler,
    Criterion,
    Evaluator,
    ImageSource,
    KernelExtractor,
    ModelSource,
    Split,
    Translator,
)
from composer.recipes.located_yaml import Path_

LONGEST_NAME = 50
"""Letters in a name: with four bytes each they still fit a file's name."""
NO_PICTURES = "the recipe has no `images:`, and so no test pictures"
NAME_PATTERN = r"^[^\W_]([\w -]*[\w-])?$(?!\n)"
"""Names of concepts, compositions, evaluators and recipes: they become folder names, and `+` and `.` join them."""


def why_no_name(name: Any) -> str:
    """What is wrong with a name, in words; empty where nothing is."""
    if not isinstance(name, str) or not name.strip() or not re.match(NAME_PATTERN, name.strip()):
        return f"must be letters, digits, spaces, - and _, not {name!r}"
    if name != name.strip():
        return f"must not begin or end with a space, as {name!r} does"
    if len(name) > LONGEST_NAME:
        return f"has {len(name):,} letters, and {LONGEST_NAME} are the most; it becomes a file's name: {name!r}"
    return ""


@dataclass(frozen=True)
class Concept:
    """One concept, the pictures that show it, and where the models that know it come from."""

    name: str
    images: ImageSource | None
    models: ModelSource
    outputs: tuple[int, ...] | None = None
    """Which of the models' outputs mean the concept, where the recipe's `classes` say so."""


@dataclass(frozen=True)
class Composition:
    """One row of the table: one way to make the model, or a control."""

    name: str
    assembler: Assembler
    translator: Translator | None = None
    control: bool = False
    parents: tuple[str, ...] = ()


@dataclass(frozen=True)
class Recipe:
    """What `composer run` is asked to do; every option has its value."""

    path: Path
    name: str
    seed: int
    root: Path
    concepts: tuple[Concept, ...]
    images: ImageSource | None
    """Where the test pictures come from; without any, compositions are made and not judged."""
    extractor: KernelExtractor
    compositions: tuple[Composition, ...]
    pick: Criterion
    evaluators: Mapping[str, Evaluator]
    document: Mapping[str, Any]
    """The same as plain data, all defaults filled in: what `recipe.yaml` in the run's folder holds."""
    oracle: bool = False
    """Whether to train an oracle on labelled pictures of the target, where there are any, to measure gain by."""
    formula: Expression | None = None
    """The target; left out, all concepts at once."""
    notes: tuple[str, ...] = ()
    """What of the usual is left out, and why: for `check` and the run's warnings."""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(concept.name for concept in self.concepts)

    @property
    def target(self) -> Expression:
        """What the compositions are asked for."""
        return self.split().target

    def split(self, concept: str | None = None) -> Split:
        """The training split of a concept, or the test split."""
        return Split(self.names, concept, formula=self.formula)


def placed_components(recipe: Recipe) -> Iterable[tuple[Path_, Component]]:
    """Every component of a recipe with the path at which it was written."""
    if recipe.images is not None:
        yield ("images",), recipe.images
    for concept in recipe.concepts:
        yield from nested_components(models_path(recipe, concept), concept.models)
        if concept.images is not None and concept.images != recipe.images:
            yield ("concepts", concept.name, "images"), concept.images
    yield ("extractor",), recipe.extractor
    for arm in recipe.compositions:
        base: Path_ = ("controls",) if arm.control else ("compositions", arm.name)
        if arm.translator is not None:
            yield (base if arm.control else (*base, "translator")), arm.translator
        yield from nested_components(base if arm.control else (*base, "assembler"), arm.assembler)
    if recipe.images is not None:
        yield ("pick",), recipe.pick
    for label, evaluator in recipe.evaluators.items():
        yield ("evaluators", label), evaluator


def placed_splits(recipe: Recipe) -> Iterable[tuple[Path_, ImageSource, Split]]:
    """Every split of pictures that a run will load."""
    if recipe.images is not None:
        yield ("images",), recipe.images, recipe.split()
    parts = [part for arm in recipe.compositions for part in (arm.translator, arm.assembler) if part is not None]
    composing = any(part.terms.pictures != "none" for part in (*parts, *recipe.evaluators.values()))
    for concept in recipe.concepts:
        if concept.images is not None and (composing or concept.models.contract.pictures != "none"):
            own = concept.images != recipe.images
            path: Path_ = ("concepts", concept.name, "images") if own else ("images",)
            yield path, concept.images, recipe.split(concept.name)
    for arm in recipe.compositions:
        for other in dict.fromkeys(name for group in arm.assembler.learns_from() for name in group):
            if recipe.images is not None:
                yield assembler_path(arm), recipe.images, recipe.split(other)


def assembler_path(arm: Composition) -> Path_:
    """Where the assembler of a composition was written."""
    return ("controls",) if arm.control else ("compositions", arm.name, "assembler")


def why_no_oracle(recipe: Recipe) -> str:
    """Why none can be trained, in words; empty where one can."""
    models = recipe.concepts[-1].models
    if recipe.images is None:
        return f"no oracle: {NO_PICTURES}"
    if not recipe.images.shows_target:
        return f"no oracle: images {recipe.images.name!r} have no labelled training pictures of the target"
    if models.contract.pictures != "labelled":
        return f"no oracle: models {models.name!r} are not trained here, so none can be trained on the target"
    return ""


def why_not_judged(recipe: Recipe) -> str | None:
    """Why no score is given, in a sentence for report, card and page; None where there are test pictures."""
    if recipe.images is not None:
        return None
    return f"Not judged: {NO_PICTURES}. Nobody knows yet how well these models do."


def models_path(recipe: Recipe, concept: Concept) -> Path_:
    """Where the models of a concept were written."""
    shared = [other for other in recipe.concepts if other.models == concept.models]
    return ("models",) if len(shared) == len(recipe.concepts) else ("concepts", concept.name, "models")


def nested_components(path: Path_, component: Component) -> Iterable[tuple[Path_, Component]]:
    """A component and those in its own slots."""
    yield path, component
    for option in type(component).model_fields:
        value = getattr(component, option)
        if isinstance(value, Component):
            yield from nested_components((*path, option), value)


def nested_interface(annotation: Any) -> type[Component] | None:
    """The interface that an option's type asks for, where the option is itself a slot."""
    if isinstance(annotation, type) and issubclass(annotation, Component):
        return annotation
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for member in typing.get_args(annotation):
            if (nested := nested_interface(member)) is not None:
                return nested
    return None
