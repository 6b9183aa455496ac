"""How well a composed model tells test pictures, beside what should not work: other words, and single words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from composer.data.composed import ComposedModel, side_by_side
from composer.data.expressions import MOST_CONCEPTS, Expression, cell_concepts
from composer.data.images import Images
from composer.data.population import Population
from composer.data.run import Run
from composer.data.scores import Score
from composer.errors import ComposerError
from composer.interfaces import Evaluator, ImageSource, Split
from composer.judging.comparison import Comparison, compare
from composer.recipes.slots import read_component
from composer.registry import load_registry
from composer.zoo.learning import renamed
from composer.zoo.zoo import Zoo

AUC, HARDEST = "auc", "auc_hardest_cell"
SELF = "model"
"""What the model itself is called among those that are scored."""


@dataclass(frozen=True)
class Scoring:
    """Scores of the model, of others beside it and of controls, on the same test pictures.

    scores: name -> score -> Score; the model is called SELF.
    """

    cells: Mapping[str, int]
    scores: Mapping[str, Mapping[str, Score]]
    controls: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    missing: tuple[str, ...] = ()
    """What is said of each word for which the zoo has no other."""

    @property
    def hardest(self) -> str:
        """The cell that the target is told from worst."""
        against = {name: score for name, score in self.scores[SELF].items() if name.startswith("auc_against.")}
        worst = min(against, key=lambda name: float(against[name].values[0]))
        return worst.removeprefix("auc_against.")

    def verdict(self) -> str:
        """What the comparison with the controls says, in a sentence."""
        if not self.controls:
            return "There is nothing to compare it with: it is one word, and the zoo has no other."
        if not self.comparisons:
            return "There are too few pictures of a cell to say whether it is better than a control."
        doubtful = [one.control for one in self.comparisons if one.verdict != "better"]
        if not doubtful:
            return f"It is clearly better than each of {len(self.controls)} controls in the hardest cell."
        return f"In the hardest cell it is not clearly better than: {', '.join(doubtful)}."

    def facts(self) -> dict[str, Any]:
        """As compose.json holds it."""
        return {
            "pictures": sum(self.cells.values()),
            "cells": dict(self.cells),
            "hardest_cell": self.hardest,
            "scores": {name: _numbers(own) for name, own in self.scores.items()},
            "controls": list(self.controls),
            "comparisons": [one.facts() for one in self.comparisons],
            "verdict": self.verdict(),
        }


def read_test_folder(folder: Path, expression: Expression, size: int, run: Run, others: Container[str] = ()) -> Images:
    """The pictures of a folder with a folder for each cell; ComposerError where it is none.

    others: concepts that cells may name too, so that one folder judges several phrases.
    """
    inside = [place.name for place in folder.iterdir() if place.is_dir()] if folder.is_dir() else []
    named = sorted({concept for name in inside for concept in cell_concepts(name) if concept in others})
    concepts = tuple(dict.fromkeys([*expression.concepts, *named]))
    if len(concepts) > MOST_CONCEPTS:
        raise ComposerError(
            f"--test {folder}: its folders name {len(concepts)} concepts with those of the phrase; {MOST_CONCEPTS} are "
            "the most"
        )
    registry = load_registry()
    component = cast("type[ImageSource]", registry.find("images", "folder"))
    source = read_component(component, {"test": str(folder.absolute()), "size": size}, registry)
    split = Split(concepts, formula=expression)
    if problems := [message for _, message in source.split_problems(split)]:
        raise ComposerError("\n".join(f"--test: {message}" for message in problems))
    return source.load(split, run).asked_for(expression)


def scored(
    model: ComposedModel,
    others: Mapping[str, ComposedModel],
    parents: Mapping[str, Population],
    zoo: Zoo,
    images: Images,
    run: Run,
) -> Scoring:
    """The model beside `others` and its controls.

    Controls: each word of several alone, and in the place of each word another of the zoo, of the same kind and drawn
    from the seed.
    """
    expression = images.expression
    alone = _alone(parents, expression)
    swapped, missing = _swapped(parents, expression, zoo, run)
    controls = {**alone, **swapped}
    evaluator = read_component(cast("type[Evaluator]", load_registry().find("evaluator", "recognition")), {})
    scores = {
        name: evaluator.evaluate(each, images, Run(run.seed, run.device)).scores
        for name, each in {SELF: model, **others, **controls}.items()
    }
    compared = {name: {HARDEST: own[HARDEST]} for name, own in scores.items() if name not in others}
    cells = Counter(images.cells)
    comparisons = tuple(compare(compared, controls, images.cells))
    return Scoring(cells, scores, tuple(controls), comparisons, missing)


def _alone(parents: Mapping[str, Population], expression: Expression) -> dict[str, ComposedModel]:
    """What each word alone says of the target, where there are several."""
    if len(parents) < 2:
        return {}
    return {f"{concept} alone": side_by_side([parent]).answering(expression) for concept, parent in parents.items()}


def _swapped(
    parents: Mapping[str, Population], expression: Expression, zoo: Zoo, run: Run
) -> tuple[dict[str, ComposedModel], tuple[str, ...]]:
    """(models with another concept in the place of one, what is said of those for which there is no other)."""
    rng = run.rng()
    found: dict[str, ComposedModel] = {}
    missing: list[str] = []
    for concept in parents:
        kind = zoo[concept].kind
        strangers = [other for other in zoo if other not in parents and zoo[other].kind == kind]
        if not strangers:
            missing.append(f"The zoo has no other {kind or 'concept'} to put in the place of {concept}.")
            continue
        other = strangers[int(rng.integers(len(strangers)))]
        parts = {**parents, concept: renamed(zoo[other].picked(), concept)}
        found[f"{other} for {concept}"] = side_by_side(list(parts.values())).answering(expression)
    return found, tuple(missing)


def _numbers(own: Mapping[str, Score]) -> dict[str, Any]:
    return {
        name: {"value": float(score.values[0]), "interval": score.interval and list(score.interval)}
        for name, score in own.items()
        if name in (AUC, HARDEST) or name.startswith("auc_against.")
    }
