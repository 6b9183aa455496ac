"""Plugins and components as `list-plugins` and `describe` show them."""

from __future__ import annotations

import inspect
import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from composer.component import Component
from composer.interfaces import INTERFACES
from composer.recipes.value_kinds import type_text
from composer.registry import DISTRIBUTION, Registry
from composer.text import make_console, plain_table


def print_plugins(found: Mapping[str, Sequence[Mapping[str, str]]]) -> None:
    """A row per component, kind by kind; broken plugins, and names offered twice, in red with the reason.

    Which distribution offers a component is shown where that is not composer's own.
    """
    table = plain_table()
    table.add_column("name", no_wrap=True)
    table.add_column("what it does", ratio=1)
    foreign = any(row["distribution"] != DISTRIBUTION for rows in found.values() for row in rows)
    if foreign:
        table.add_column("from", overflow="fold")
    components = found["components"]
    names = [(row["kind"], row["name"]) for row in components]
    for kind in INTERFACES:
        rows = [row for row in components if row["kind"] == kind.kind]
        if rows:
            table.add_section()
            table.add_row(Text(kind.kind, style="bold"))
        for row in rows:
            twice = names.count((row["kind"], row["name"])) > 1
            summary = f"two plugins offer this name, uninstall one: {row['summary']}" if twice else row["summary"]
            offered = [_foreign(row)] if foreign else []
            table.add_row(f"  {row['name']}", Text(summary), *offered, style="red" if twice else "")
    if found["broken"]:
        table.add_section()
        table.add_row(Text("broken plugins", style="bold red"))
    for row in found["broken"]:
        offered = [_foreign(row)] if foreign else []
        table.add_row(f"  {row['plugin']}", Text(row["error"]), *offered, style="red")
    make_console().print(table)


def _foreign(row: Mapping[str, str]) -> Text:
    """Distribution and version; nothing for composer's own."""
    return Text("" if row["distribution"] == DISTRIBUTION else f"{row['distribution']} {row['version']}")


def print_component(component: type[Component], offered_by: str) -> None:
    """Everything about one component: what it does, what it needs, its options, an example."""
    console = make_console()
    console.print(Text(f"{component.kind} {component.name}", style="bold"))
    for index, paragraph in enumerate((inspect.getdoc(component) or "").split("\n\n")):
        console.print(Padding(Text(_reflowed(paragraph)), (min(index, 1), 0, 0, 2)))
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    for title, text in _contract_rows(component):
        facts.add_row(f"  {title}", text)
    facts.add_row("  offered by", offered_by)
    console.print()
    console.print(facts)
    console.print()
    if component.model_fields:
        table = plain_table(gap=1)
        table.add_column("  option", no_wrap=True)
        table.add_column("what it is; type, limits, default", overflow="fold")
        for name, field in component.model_fields.items():
            about = ", ".join(text for text in (type_text(field.annotation), _limits(field), _default(field)) if text)
            table.add_row(f"  {name}", Text(f"{field.description}\n") + Text(about, style="dim italic"))
        console.print(table)
    else:
        console.print("  no options")
    console.print("\n  in a recipe:")
    console.print(textwrap.indent(example(component), "    "), style="cyan", soft_wrap=True)
    console.print()


def _reflowed(paragraph: str) -> str:
    """One line to be wrapped anew; lists and other indented text stay as they are."""
    lines = paragraph.split("\n")
    return paragraph if any(line.startswith((" ", "-", "*")) for line in lines) else " ".join(lines)


def _contract_rows(component: type[Component]) -> list[tuple[str, str]]:
    contract = component.contract
    rows = []
    if component.kind in ("translator", "assembler"):
        rows.append(("parents", contract.parents_text()))
        rows.append(("architecture", {"one": "the same for all parents", "any": "any"}[contract.architecture]))
    if component.kind in ("translator", "assembler", "models") or contract.pictures != "none":
        used = {"none": "none", "unlabelled": "the parents' own training pictures, without labels"}
        rows.append(("pictures", used.get(contract.pictures, "the parents' own training pictures with their labels")))
    if contract.kernels:
        rows.append(("kernels", "the parents'"))
    if contract.populations:
        rows.append(("populations", "the parents' networks"))
    return [*rows, ("reference", contract.reference)] if contract.reference else rows


_LIMITS = {
    "ge": "at least {}",
    "gt": "above {}",
    "le": "at most {}",
    "lt": "below {}",
    "multiple_of": "a multiple of {}",
    "min_length": "at least {} items",
    "max_length": "at most {} items",
    "pattern": "like {}",
}


def _limits(field: FieldInfo) -> str:
    """`1 to 15`, `above 0, at most 1`, or nothing."""
    met = {limit: getattr(part, limit) for part in field.metadata for limit in _LIMITS if _has(part, limit)}
    if "ge" in met and "le" in met:
        return f"{met['ge']} to {met['le']}"
    return ", ".join(_LIMITS[limit].format(value) for limit, value in met.items())


def _has(part: Any, limit: str) -> bool:
    return getattr(part, limit, None) is not None


def _default(field: FieldInfo) -> str:
    return "required" if field.is_required() else f"default {_default_value(field)}"


def _default_value(field: FieldInfo) -> str:
    return written_value(field.get_default(call_default_factory=True))


def written_value(value: Any) -> str:
    """A value as a recipe would hold it, on one line."""
    if isinstance(value, Component):
        return value.name
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {written_value(item)}" for key, item in value.items()) + "}"
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(written_value(item) for item in value)}]"
    return value if isinstance(value, str) and value else json.dumps(value)


_PLACES = {
    "images": "images: {slot}",
    "architecture": "models: {{use: train, architecture: {slot}}}",
    "models": "models: {slot}",
    "extractor": "extractor: {slot}",
    "translator": "compositions:\n  mine: {{translator: {slot}, assembler: transplant}}",
    "assembler": "compositions:\n  mine: {{{translator}assembler: {slot}}}",
    "criterion": "pick: {slot}",
    "evaluator": "evaluators: [{slot}]",
}


def example(component: type[Component]) -> str:
    """The lines of a recipe that use a component, with what must be set and an option or two."""
    fields = component.model_fields
    required = {name: f"<{type_text(field.annotation)}>" for name, field in fields.items() if field.is_required()}
    others = {name: _default_value(field) for name, field in fields.items() if name not in required}
    chosen = required | {
        name: text for name, text in list(others.items())[: 2 - min(2, len(required))] if text != "null"
    }
    options = "".join(f", {name}: {text}" for name, text in chosen.items())
    slot = f"{{use: {component.name}{options}}}" if options else component.name
    translator = "translator: cyclegan, " if getattr(component, "needs_kernels", False) else ""
    return _PLACES[component.kind].format(slot=slot, translator=translator)


def plugins_data(registry: Registry) -> dict[str, list[dict[str, str]]]:
    """All components, and all plugins that could not be loaded, as plain data."""
    return {
        "components": [
            {
                "kind": component.kind,
                "name": component.name,
                "summary": component.summary(),
                "distribution": plugin.distribution,
                "version": plugin.version,
                "plugin": plugin.name,
            }
            for component, plugin in sorted(registry.components(), key=lambda offer: (offer[0].kind, offer[0].name))
        ],
        "broken": [
            {
                "plugin": plugin.name,
                "distribution": plugin.distribution,
                "version": plugin.version,
                "error": plugin.error,
            }
            for plugin in registry.plugins
            if plugin.error
        ],
    }
