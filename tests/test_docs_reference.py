"""docs/reference.md is what the docstrings say, and nothing that people may name is missing from the docs."""

from __future__ import annotations

import importlib.util
import inspect
import re
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import click
import pytest

import composer
from composer import hookspecs, testing
from composer.command_line.cli import main
from composer.registry import DISTRIBUTION, load_registry
from conftest import ROOT

DOCS = "\n".join(
    file.read_text(encoding="utf-8") for file in sorted([*(ROOT / "docs").glob("*.md"), ROOT / "README.md"])
)


def generator() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_reference", ROOT / "docs" / "make_reference.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_is_what_the_docstrings_say() -> None:
    written = (ROOT / "docs" / "reference.md").read_text(encoding="utf-8")
    assert generator().reference() == written, "run: python docs/make_reference.py"


def test_every_hook_command_and_component_is_named_in_the_docs() -> None:
    hooks = [name for name in vars(hookspecs) if name.startswith("composer_")]
    own = [component.name for component, plugin in load_registry().components() if plugin.distribution == DISTRIBUTION]
    assert len(hooks) >= 5
    assert len(own) > 25
    missing = [name for name in (*hooks, *own) if not re.search(rf"`[^`\n]*\b{name}\b[^`\n]*`", DOCS)]
    missing += [name for name in main.list_commands(click.Context(main)) if not re.search(rf"composer {name}\b", DOCS)]
    assert missing == []


def public_names() -> Iterator[tuple[str, Any]]:
    yield from ((name, inspect.unwrap(getattr(composer, name))) for name in composer.__all__)
    yield from ((f"testing.{name}", getattr(testing, name)) for name in testing.__all__)


@pytest.mark.parametrize(("name", "value"), list(public_names()))
def test_a_public_name_is_documented_and_typed(name: str, value: Any) -> None:
    if not (inspect.isclass(value) or inspect.isfunction(value)):
        assert name in ("hook", "RecipePath"), "a new constant needs a text below it, which the reference shows"
        return
    assert value.__doc__, f"{name} has no docstring"
    assert not value.__doc__.startswith(f"{name}("), f"{name} has no docstring but the one that dataclasses make"
    members = vars(value).items() if inspect.isclass(value) else [(name, value)]
    for each, found in members:
        function = getattr(found, "fget", None) or getattr(found, "__func__", found)
        if inspect.isfunction(function) and not (each.startswith("_") and each != "__init__"):
            assert function.__doc__ or each == "__init__", f"{name}.{each} has no docstring"
            bare = [
                parameter.name
                for parameter in inspect.signature(function).parameters.values()
                if parameter.annotation is parameter.empty and parameter.name not in ("self", "cls")
            ]
            assert bare == [], f"{name}.{each} has parameters without a type"
            assert inspect.signature(function).return_annotation is not inspect.Signature.empty, f"{name}.{each}"
