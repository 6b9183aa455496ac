"""Slots of a recipe: `NAME`, or `use: NAME` with options beside it, filled with components."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from composer.component import Component
from composer.errors import ComposerError, Problem, RecipeError
from composer.recipes.located_yaml import Document, Path_, parse
from composer.recipes.overrides import apply
from composer.recipes.recipe import nested_interface
from composer.recipes.value_kinds import misfit
from composer.registry import Registry, load_registry, nearest

Slot = TypeVar("Slot", bound=Component)


class SlotReader:
    """Fills slots of a document, collecting problems instead of stopping at the first."""

    def __init__(self, document: Document, path: Path, registry: Registry) -> None:
        self.document = document
        self.path = path
        self.registry = registry
        self.problems: list[Problem] = []
        self.root = path.parent

    def problem(self, path: Path_, message: str) -> None:
        option = ".".join(str(step) for step in path)
        problem = Problem(self.document.place(path), option, message)
        if problem not in self.problems:
            self.problems.append(problem)

    def unknown_keys(self, path: Path_, data: Mapping[str, Any], known: Sequence[str]) -> None:
        for key in data:
            if key not in known:
                self.problem((*path, key), f"unknown option{nearest(key, known)}")

    def slot(self, interface: type[Slot], path: Path_, item: Any, wanted: str = "") -> Slot | None:
        """The component that a slot asks for: `NAME`, or `use: NAME` with options beside it."""
        if item is None:
            self.problem(path, f"is missing: say {wanted or f'which {interface.noun}'}")
            return None
        options = {"use": item} if isinstance(item, str) else item
        if not isinstance(options, dict):
            self.problem(path, f"must be a name, or use: NAME with options beside it, not {item!r}")
            return None
        name = options.get("use")
        if not isinstance(name, str):
            met = "has no `use: NAME`" if name is None else f"use: {name!r} is no name"
            self.problem(path, f"{met}, to say which {interface.noun}")
            return None
        try:
            component = self.registry.find(interface.kind, name)
        except ComposerError as error:
            self.problem((*path, "use") if isinstance(item, dict) else path, str(error))
            return None
        return cast("Slot | None", self.fill(component, path, {k: v for k, v in options.items() if k != "use"}))

    def fill(self, component: type[Component], path: Path_, options: dict[str, Any]) -> Component | None:
        """The component with its options checked; nested slots are filled first."""
        before = len(self.problems)
        fields = component.model_fields
        self.unknown_keys(path, options, tuple(fields))
        values: dict[str, Any] = {}
        for option, value in options.items():
            if option not in fields:
                continue
            nested = nested_interface(fields[option].annotation)
            if nested is not None and value is not None:
                values[option] = self.slot(nested, (*path, option), value)
            elif wrong := misfit(fields[option].annotation, value):
                self.problem((*path, option), wrong)
            else:
                values[option] = value
        unfilled = any(isinstance(options[option], (str, dict)) and values[option] is None for option in values)
        if len(self.problems) > before or unfilled:  # problems that were met before are not counted anew
            return None
        try:
            return component.model_validate(values, context={"root": self.root})
        except ValidationError as error:
            for found in error.errors():
                self.option_problem(path, found)
            return None

    def option_problem(self, path: Path_, found: Any) -> None:
        message = str(found["msg"]).removeprefix("Value error, ").removeprefix("Input ")
        met = found["input"]
        missing = found["type"] == "missing"
        said = "is missing" if missing else f"{message}, not {met!r}"
        where = path
        for step in found["loc"]:
            if (*where, step) in self.document.places or where == path:
                where = (*where, step)
        self.problem(where, said)


def read_component(component: type[Slot], options: Mapping[str, Any], registry: Registry | None = None) -> Slot:
    """A component with options as a recipe holds them, with or without `use`; RecipeError where they do not fit."""
    origin = f"{component.kind} {component.name!r}"
    reader = SlotReader(Document(dict(options), origin), Path(), registry or load_registry())
    filled = reader.fill(component, (), {option: value for option, value in options.items() if option != "use"})
    if filled is None:
        raise RecipeError(reader.problems)
    return cast("Slot", filled)


def read_text(interface: type[Slot], text: str, origin: str, changes: Sequence[str] = ()) -> Slot:
    """The component that a slot with this YAML would hold; RecipeError, placed in `origin`, where there is none.

    changes: options set beside it, each `option=value`.
    """
    document = parse(text, origin)
    if changes:
        document.data = {"use": document.data} if isinstance(document.data, str) else document.data
        apply(document, changes)
    return _slot_of(interface, document)


def read_plain(interface: type[Slot], written: str | Mapping[str, Any], origin: str) -> Slot:
    """The component that a slot which holds this would be; RecipeError, placed in `origin`, where there is none."""
    return _slot_of(interface, Document(written if isinstance(written, str) else dict(written), origin))


def _slot_of(interface: type[Slot], document: Document) -> Slot:
    reader = SlotReader(document, Path(), load_registry())
    found = reader.slot(interface, (), document.data)
    if found is None:
        raise RecipeError(reader.problems)
    return found
