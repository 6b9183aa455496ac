"""One network in place of a union of several: it learns what these say together of pictures, without labels."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import torch

from composer.data.composed import ComposedModel
from composer.data.run import Run
from composer.interfaces import Assembler
from composer.models.exporting import Exported
from composer.models.in_memory import concepts_of
from composer.models.shown import Shown
from composer.models.union import Knower
from composer.models.united import LoadedUnion
from composer.models.united_folder import home_of
from composer.models.uniting import United
from composer.networks.architecture import Architecture
from composer.recipes.slots import read_component
from composer.registry import load_registry


def student_of(
    teachers: United, pictures: Shown, run: Run, architecture: Architecture | None = None, steps: int | None = None
) -> United:
    """What the assembler `distil` makes of a union: a network with an output for each class, log-odds of it.

    architecture: left out, as the smallest of the teachers. steps: of its learning; left out, as the assembler has it.
    """
    registry = load_registry()
    method = cast("type[Assembler]", registry.find("assembler", "distil"))
    smallest = min(teachers.model.parts, key=lambda part: part.parameters)
    options: dict[str, Any] = {"members": 1, "architecture": (architecture or smallest.architecture).options()}
    if steps is not None:
        options["steps"] = steps
    largest = max(part.preprocessing.size for part in teachers.model.parts)
    together = Exported(LoadedUnion(teachers.model, home_of(teachers, "the union"))).eval()
    run.pictures = (pictures.images,)
    told = concepts_of(together, teachers.classes, largest)
    learned = read_component(method, options, registry).assemble(None, told, run)
    body = learned.parts[0]
    head = {name: torch.cat([part.weights[name] for part in learned.parts], dim=1) for name in body.head_weights}
    rows = tuple(range(len(teachers.classes)))
    one = replace(body, concept="student", weights={**body.weights, **head}, outputs=rows, _memo={})
    knower = Knower(teachers.classes, says="log_odds", calibrated=True)
    notes = list(dict.fromkeys([*teachers.notes, *run.warnings]))
    model = ComposedModel((one,), learned.members, labels=teachers.model.labels)
    return United(model, (knower,), teachers.outputs, notes)
