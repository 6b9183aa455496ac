"""What a recipe will do, in words."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from composer.recipes.recipe import Recipe, why_no_oracle, why_not_judged
from composer.recipes.target import truth_table

LEFT_OUT = ": must not be in training pictures"


def recipe_summary(recipe: Recipe) -> list[str]:
    """What a run of the recipe will do, a line for each kind of stage."""
    arms = [arm for arm in recipe.compositions if not arm.control]
    controls = [arm.name for arm in recipe.compositions if arm.control]
    made = [
        f"{arm.name} ({f'{written(arm.translator)}, then ' if arm.translator else ''}{written(arm.assembler)})"
        for arm in arms
    ]
    lines = {
        **cell_lines(recipe),
        "pictures": _by_concept([(c.name, _written(c.images)) for c in recipe.concepts], _written(recipe.images)),
        "models": _by_concept([(concept.name, written(concept.models)) for concept in recipe.concepts]),
        "kernels": written(recipe.extractor) if any(arm.translator for arm in recipe.compositions) else "",
        "compositions": "; ".join(made),
        "controls": ", ".join(controls) or "none",
        "pick": written(recipe.pick) if recipe.images is not None else "",
        "evaluators": ", ".join(recipe.evaluators) or "none",
        "oracle": (why_no_oracle(recipe) or f"trained on pictures of {recipe.split().target}") if recipe.oracle else "",
    }
    head = f"recipe is fine: {recipe.name} makes {recipe.split().target} (seed {recipe.seed})"
    said = [f"  {title:<13} {text}" for title, text in lines.items() if text]
    notes = [*([why] if (why := why_not_judged(recipe)) else []), *recipe.notes]
    return [head, *said, *(f"  {'note':<13} {note}" for note in notes)]


def cell_lines(recipe: Recipe) -> dict[str, str]:
    """The truth table of a formula that the recipe gives: which cells are the target, and what training leaves out."""
    if recipe.formula is None:
        return {}
    table = truth_table(recipe)
    seen = [concept.name for concept in recipe.concepts if concept.models.contract.pictures == "none"]
    unknown = f"; what models of {', '.join(seen)} have seen is not known" if seen else ""
    return {
        "target": ", ".join(table.target),
        "others": ", ".join(table.others),
        "left out": f"{', '.join(table.left_out) or 'nothing'}{LEFT_OUT if table.left_out else ''}{unknown}",
    }


def _by_concept(each: Sequence[tuple[str, str]], test: str | None = None) -> str:
    """One text where it is the same for all concepts, otherwise one for each."""
    if len({*(text for _, text in each), *([test] if test else [])}) == 1:
        return each[0][1]
    return "; ".join([f"{name}: {text}" for name, text in each] + ([f"test: {test}"] if test else []))


def written(component: Any) -> str:
    """`train (members 32)`: a component with the options that the recipe sets."""
    options = component.options()
    chosen = [
        f"{key} {_short(options[key])}" for key in type(component).model_fields if key in component.model_fields_set
    ]
    return f"{component.name} ({', '.join(chosen)})" if chosen else str(component.name)


def _written(component: Any) -> str:
    return "none" if component is None else written(component)


def _short(value: Any) -> str:
    if isinstance(value, dict) and "use" in value:
        return str(value["use"])
    return value if isinstance(value, str) else json.dumps(value)
