"""What a recipe's target, or that of a loaded model, asks for: read from its text, and laid out by cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from composer.data.expressions import Expression, cell_concepts, cell_names, letter_of
from composer.recipes.recipe import Recipe
from composer.registry import nearest

LONGEST_FORMULA = 200
"""Letters of a formula: an oracle's stages are called by it, and that becomes a folder's name."""


def formula_problems(text: str, concepts: Sequence[str], whose: str) -> Iterator[str]:
    """What keeps a text from being a target of these concepts, with the letter; nothing where it is one.

    whose: who has the concepts, as in `the recipe has no 'blak'`.
    """
    if len(text.encode()) > LONGEST_FORMULA:
        yield f"has {len(text.encode()):,} letters, and {LONGEST_FORMULA} are the most: {text[:40]!r}..."
        return
    try:
        formula = Expression.parse(text)
    except ValueError as error:
        yield str(error)
        return
    unknown = [concept for concept in formula.concepts if concept not in concepts]
    for concept in unknown:
        place = f"at letter {letter_of(concept, text)}"
        yield f"{text!r} has {concept!r} {place}, and {whose} has no such concept{nearest(concept, concepts)}"
    if not unknown and formula.is_certain:
        yield never(text) if not any(formula.cells()) else always(text)


def never(formula: str, where: str = "") -> str:
    """Why a formula that no picture satisfies is no target."""
    return f"no picture{where} can show {formula!r}, so there is nothing to find"


def always(formula: str, where: str = "") -> str:
    """Why a formula that every picture satisfies is no target."""
    return f"every picture{where} shows {formula!r}, so there is nothing to tell it from"


@dataclass(frozen=True)
class TruthTable:
    """The cells of a recipe's concepts that pictures can show, in the order of `cell_names`.

    left_out: those of both kinds that no training picture shows.
    """

    target: tuple[str, ...]
    others: tuple[str, ...]
    left_out: tuple[str, ...]


def truth_table(recipe: Recipe) -> TruthTable:
    """Which cells the target is, and what training pictures leave out; by what the recipe's pictures can show."""
    cells = cell_names(recipe.names)
    flags = dict(zip(cells, recipe.target.cells(recipe.names), strict=True))
    unseen = dict(zip(cells, recipe.split().held_out.cells(recipe.names), strict=True))
    source = recipe.images
    shown = [cell for cell in cells if source is None or source.possible(cell_concepts(cell))]
    return TruthTable(
        tuple(cell for cell in shown if flags[cell]),
        tuple(cell for cell in shown if not flags[cell]),
        tuple(cell for cell in shown if unseen[cell]),
    )


def target_problems(recipe: Recipe) -> Iterator[str]:
    """What keeps a formula from being told on pictures of the recipe's source, though not by logic alone."""
    if recipe.formula is None or recipe.images is None:
        return
    table, where = truth_table(recipe), f" of {recipe.images.name!r}"
    if not table.target:
        yield never(recipe.formula.text, where)
    elif not table.others:
        yield always(recipe.formula.text, where)


def target_notes(recipe: Recipe) -> Iterator[str]:
    """What is worth knowing of a formula that leaves out some of the recipe's concepts."""
    for concept in recipe.names:
        if concept not in recipe.target.concepts:
            yield (
                f"the target does not name {concept!r}: models of it are made, and its cells are told apart in the "
                "scores, but they decide nothing until `composer predict --target` asks for it"
            )
