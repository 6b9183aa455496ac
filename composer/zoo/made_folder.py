"""The folder of a model that was composed out of a phrase: what `composer.load` reads, and all that is known of it."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from composer.data import files
from composer.data.expressions import Expression
from composer.data.files import new_folder, write_json, write_text
from composer.errors import ComposerError
from composer.models.exporting import fill_folder
from composer.models.folder_files import CARD
from composer.models.in_memory import in_no_folder
from composer.models.loading import LoadedModel
from composer.models.model_folder import about
from composer.recipes.schema import MODELINE
from composer.version import __version__
from composer.zoo.composing import Made
from composer.zoo.entry import how_known
from composer.zoo.scoring import AUC, HARDEST, SELF
from composer.zoo.writing import concept_front_matter

FACTS = "compose.json"
"""What a folder is known by that `composer compose` wrote."""
RECIPE = "recipe.yaml"
LONGEST_NAME = 80
"""Letters of a folder that is named after a formula."""


def usual_folder(expression: Expression) -> Path:
    """`runs/small_black_cat`: where a model lies unless the user says otherwise."""
    text = "_".join(expression.concepts) if expression.is_conjunction else expression.text
    return Path("runs") / re.sub(r"[^\w+-]+", "_", text).strip("_")[:LONGEST_NAME]


def require_free(folder: Path, replace: bool) -> None:
    """Raises ComposerError where something is there that is not to be replaced, or that `compose` did not make."""
    if not replace:
        files.require_free(folder, "give another name, or --replace it")
    elif os.path.lexists(folder) and not (folder / FACTS).is_file():
        raise ComposerError(
            f"--output {folder}: was not made by composer compose, and is not replaced; give another name"
        )


def write(made: Made, folder: Path, replace: bool = False) -> None:
    """Writes the model's folder, whole or not at all."""
    require_free(folder, replace)
    expression = made.understanding.expression
    composition = "student" if made.one else "product"
    architectures = [part.architecture.name for part in made.model.parts]
    known = about(architectures, composition, expression.concepts, str(expression), (0, "the only member"))
    home = in_no_folder(str(folder), composition, made.model)
    home = dataclasses.replace(home, config={**home.config, **known})
    with new_folder(folder, replace) as part:
        fill_folder(LoadedModel(made.model, home), part)
        write_json(part / FACTS, facts(made))
        write_text(part / CARD, card(made))
        if recipe := recipe_text(made):
            write_text(part / RECIPE, recipe)


def facts(made: Made) -> dict[str, Any]:
    """The content of compose.json."""
    understanding = made.understanding
    return {
        "format": 1,
        "composer_version": __version__,
        "phrase": made.phrase,
        "formula": understanding.expression.text,
        "words": [{"word": one.word, "concept": one.concept, "how": one.how} for one in understanding.words],
        "notes": list(understanding.notes),
        "concepts": [
            {
                "name": concept.name,
                "auc": concept.auc,
                "pictures": concept.pictures,
                "source": concept.source,
                "licence": concept.licence,
            }
            for concept in made.concepts
        ],
        "one_network": made.networks == 1,
        "learned_from": made.taught,
        "parameters": made.model.parameters,
        "seed": made.seed,
        "warnings": made.warnings,
        "test": None if made.scoring is None else made.scoring.facts(),
    }


def what_is_known(made: Made) -> list[str]:
    """How well it tells what was asked for, a line each; without test pictures what is not known."""
    target = made.understanding.expression
    if made.scoring is None:
        said = [f"{concept.name}: {how_known(concept)}" for concept in made.concepts]
        if len(made.concepts) > 1:
            said.append(
                f"How well it tells {target.text} is not known: no picture of it was looked at (--test FOLDER)."
            )
        if made.one:
            said.append("Nor is it known how much the one network has lost of what its parents know.")
        return said
    scores = made.scoring.scores[SELF]
    found = f"AUC {_number(scores[AUC])}, {_number(scores[HARDEST])} against {made.scoring.hardest} (the hardest cell)"
    return [
        f"{found}, on {sum(made.scoring.cells.values())} test pictures.",
        made.scoring.verdict(),
        *made.scoring.missing,
    ]


def _number(score: Any) -> str:
    interval = score.interval
    return f"{score.values[0]:.3f}" + (f" [{interval[0]:.3f}, {interval[1]:.3f}]" if interval else "")


def score_rows(made: Made) -> list[tuple[str, str, str]]:
    """(what, AUC, AUC of the hardest cell) of the model, of what stands beside it, and of each control."""
    if made.scoring is None:
        return []
    rows = []
    for name, own in made.scoring.scores.items():
        itself = "one network" if made.one else "product" if len(made.concepts) > 1 else made.concepts[0].name
        title = f"control: {name}" if name in made.scoring.controls else itself if name == SELF else name
        rows.append((title, _number(own[AUC]), _number(own[HARDEST])))
    return rows


def card(made: Made) -> str:
    """What the folder is, for people who open it."""
    target = made.understanding.expression
    kind = (
        f"one network that learned from {made.taught} pictures without labels"
        if made.one
        else "its concepts side by side"
    )
    sizes = ", ".join(sorted({f"{part.preprocessing.size}" for part in made.model.parts}))
    words = "\n".join(f"- {word}" for word in made.understanding.words)
    notes = "".join(f"- note: {note}\n" for note in [*made.understanding.notes, *made.warnings])
    known = "\n".join(f"- {line}" for line in what_is_known(made))
    table = "\n".join(
        f"| {' | '.join(row)} |" for row in [("", "AUC", "hardest cell"), ("---",) * 3, *score_rows(made)]
    )
    came = "\n".join(
        f"- **{concept.name}**: {concept.source or 'not said'}; licence: {concept.licence or 'not said'}"
        for concept in made.concepts
    )
    sections = [
        # Of several concepts nobody knows under which licence the whole may be used.
        f"{concept_front_matter()}\n# {target.text}",
        f"Tells pictures of **{target.text}** from all others: {kind}, {made.model.parameters:,} parameters, input "
        f"{sizes} pixels a side. Made by composer {__version__} out of a zoo.",
        f"## How {made.phrase!r} was understood",
        words + (f"\n{notes.rstrip()}" if notes else ""),
        "## How good it is",
        known + (f"\n\n{table}" if made.scoring is not None else ""),
        "## Where its concepts came from",
        came,
        "## How to use it",
        '```python\nimport composer\n\nmodel = composer.load(".")\nprint(model.predict(["a.jpg"]))\n```',
    ]
    return "\n\n".join(sections) + "\n"


def recipe_text(made: Made) -> str:
    """A recipe that composes the same concepts; empty where there is one alone, of which no recipe is made."""
    if len(made.concepts) < 2:
        return ""
    place = str(made.zoo.absolute())
    concepts: Mapping[str, Any] = {
        concept.name: {"models": {"use": "zoo", "concept": concept.name, "folder": place}} for concept in made.concepts
    }
    compositions: dict[str, Any] = {"product": {"assembler": "product"}}
    if made.one and made.pictures is not None:
        taught = {"use": "distil", "pictures": "folder", "folder": str(made.pictures.absolute())}
        compositions["student"] = {"assembler": taught}
    recipe: dict[str, Any] = {
        "name": usual_folder(made.understanding.expression).name,
        "seed": made.seed,
        "concepts": concepts,
        "target": made.understanding.expression.text,
        "compositions": compositions,
    }
    if made.test is not None:
        size = max(part.preprocessing.size for part in made.model.parts)
        recipe |= {
            "images": {"use": "folder", "test": str(made.test.absolute()), "size": size},
            "controls": ["parents"],
        }
    begin = f"{MODELINE}\n# {made.phrase}: composes the same concepts with composer run, all of their members.\n"
    return begin + yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True)
