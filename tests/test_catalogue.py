"""What `list-plugins` and `describe` print of components."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from composer.command_line.catalogue import example, print_component, print_plugins
from composer.component import Component
from composer.recipes.value_kinds import type_text
from composer.registry import load_registry


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "whole number"),
        (int | None, "whole number or null"),
        (tuple[int, int], "list of 2: whole number"),
        (tuple[str, ...], "list: text"),
        (list[float], "list: number"),
        (dict[str, int], "mapping of text to whole number"),
    ],
)
def test_types_are_said_in_words(annotation: Any, text: str) -> None:
    assert type_text(annotation) == text


COMPONENTS = [
    pytest.param(component, id=f"{component.kind} {component.name}") for component, _ in load_registry().components()
]


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_example_of_a_component_uses_it_with_options_that_it_has(component: type[Component]) -> None:
    def slots(value: Any) -> list[dict[str, Any]]:
        if isinstance(value, str):
            return [{"use": value}]
        parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        own = [value] if isinstance(value, dict) and "use" in value else []
        return own + [slot for part in parts for slot in slots(part)]

    found = [slot for slot in slots(yaml.safe_load(example(component))) if slot["use"] == component.name]
    assert found, example(component)
    assert set(found[0]) - {"use"} <= set(component.model_fields)


@pytest.mark.parametrize("component", COMPONENTS)
def test_the_description_of_a_component_holds_every_option(
    component: type[Component], capsys: pytest.CaptureFixture[str]
) -> None:
    print_component(component, "kernel-composer 0.1.0, plugin x")
    text = capsys.readouterr().out
    assert "…" not in text
    for option, field in component.model_fields.items():
        assert field.description is not None
        assert re.search(rf"^  {option} +{re.escape(field.description[:15])}", text, re.MULTILINE), text


def test_what_plugins_write_is_not_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"kind": "images", "name": "x", "summary": "Reads [a] and [b].", "distribution": "[red]d", "version": "1"}
    print_plugins({"components": [row], "broken": []})
    print_component(load_registry().find("architecture", "cnn"), "[bold]somebody[/bold]")
    text = capsys.readouterr().out
    for said in ("Reads [a] and [b].", "[red]d", "[bold]somebody[/bold]"):
        assert said in text
