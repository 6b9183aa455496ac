"""Writes docs/reference.md out of the docstrings: `python docs/make_reference.py`."""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

import composer
from composer import component, hookspecs, testing
from composer.command_line.cli import main
from composer.component import Component, Contract
from composer.interfaces import INTERFACES
from composer.registry import DISTRIBUTION, load_registry
from composer.testing.kinds import CHECKS

PAGE = Path(__file__).parent / "reference.md"
OPENING = """\
# Reference

Everything that a plugin may import stands in `composer` and `composer.testing`; nothing else is promised to stay.
How to use it: [Writing a plugin](plugins.md). Made by `python docs/make_reference.py` out of the docstrings.
"""


def reference() -> str:
    """The whole page."""
    parts = [OPENING, "## Interfaces", *map(interface, INTERFACES)]
    parts += ["## What all components share", described(Component), described(Contract)]
    parts += ["## Hooks", "A plugin marks its implementation with `@composer.hook`; it may leave out arguments."]
    parts += [function(hook) for name, hook in vars(hookspecs).items() if name.startswith("composer_")]
    parts += ["## What verbs are given and give"]
    shared = {*INTERFACES, Component, Contract}
    parts += [public(name) for name in composer.__all__ if getattr(composer, name) not in shared]
    parts += ["## Contract checks", *map(checks, CHECKS)]
    parts += ["## Commands", *map(command_of, main.list_commands(click.Context(main)))]
    parts += ["## Components", components()]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def interface(kind: type[Component]) -> str:
    """An interface: what it is, and what must and may be defined."""
    must = [name for name in vars(kind) if name in kind.__abstractmethods__]
    may = [name for name in vars(kind) if not name.startswith("_") and name not in (*must, "kind", "noun")]
    text = [f"### {kind.__name__}", f"Recipes: `{kind.kind}`. {doc(kind)}"]
    for title, names in (("It must define", must), ("It may define", [name for name in may if is_member(kind, name)])):
        if names:
            text += [f"{title}", *(member(kind, name) for name in names)]
    return "\n\n".join(text)


def described(kind: type[Any]) -> str:
    """A class of the core with its fields and methods."""
    names = [name for name in vars(kind) if not name.startswith("_") and is_member(kind, name)]
    return "\n\n".join([f"### {kind.__name__}", doc(kind), *(member(kind, name) for name in names)])


def public(name: str) -> str:
    """One public name that is no interface."""
    value = inspect.unwrap(getattr(composer, name))  # of a cache
    if inspect.isclass(value):
        made = f"`{name}{signature(value)}`" if has_own_init(value) else ""
        members = [each for each in vars(value) if not each.startswith("_") and is_member(value, each)]
        return "\n\n".join(filter(None, [f"### {name}", made, doc(value), *(member(value, each) for each in members)]))
    if inspect.isfunction(value):
        return f"### {name}\n\n`{name}{signature(value)}`: {doc(value)}"
    module = hookspecs if name == "hook" else component
    return f"### {name}\n\n{attribute_docs(module)[name]}"


def is_member(kind: type[Any], name: str) -> bool:
    """Whether a name of a class is a method, a property, or an attribute with a docstring."""
    is_function = inspect.isfunction(unwrapped(kind, name)) and name not in getattr(kind, "__dataclass_fields__", ())
    return is_function or name in attribute_docs(kind)


def member(kind: type[Any], name: str) -> str:
    """One entry of a list: a method, a property or an attribute."""
    found = unwrapped(kind, name)
    if not inspect.isfunction(found):
        return f"- `{name}`: {attribute_docs(kind)[name]}"
    assert found.__doc__, f"{kind.__name__}.{name} has no docstring"
    shown = name if isinstance(vars(kind)[name], property) else f"{name}{signature(found)}"
    return textwrap.indent(f"`{shown}`: {doc(found)}", "  ").replace("  ", "- ", 1)


def unwrapped(kind: type[Any], name: str) -> Any:
    """The function behind a property or a class method."""
    found = vars(kind).get(name)
    return getattr(found, "fget", None) or getattr(found, "__func__", found)


def has_own_init(value: type[Any]) -> bool:
    return "__init__" in vars(value)


def function(value: Callable[..., Any]) -> str:
    return f"- `{value.__name__}{signature(value)}`: {doc(value)}"


def signature(value: Callable[..., Any]) -> str:
    """`(concept: str, run: Run) -> Population`, annotations as they are written; no `self`, nothing private."""
    found = inspect.signature(value)
    shown = [parameter(one) for name, one in found.parameters.items() if name not in ("self", "cls") and name[0] != "_"]
    returned = (
        "" if inspect.isclass(value) or found.return_annotation is found.empty else f" -> {found.return_annotation}"
    )
    return f"({', '.join(shown)}){returned}"


def parameter(one: inspect.Parameter) -> str:
    if one.kind is one.VAR_KEYWORD:
        return f"**{one.name}"
    annotated = "" if one.annotation is one.empty else f": {one.annotation}"
    if one.default is one.empty:
        return f"{one.name}{annotated}"
    # What is made anew for every object has no value to show.
    made = repr(one.default) if isinstance(one.default, str | int | float | tuple | None) else "..."
    return f"{one.name}{annotated} = {made}"


def doc(value: Any) -> str:
    """A docstring, with examples as Markdown's code."""
    return inspect.getdoc(value) or ""


def attribute_docs(owner: Any) -> dict[str, str]:
    """Attribute -> the text that stands below it, of a class or a module."""
    tree: Any = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    body = tree.body[0].body if inspect.isclass(owner) else tree.body
    return dict(_documented(body))


def _documented(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for before, after in pairwise(body):
        target = before.targets[0] if isinstance(before, ast.Assign) else getattr(before, "target", None)
        if isinstance(target, ast.Name) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant):
            yield target.id, inspect.cleandoc(str(after.value.value))


def checks(kind: str) -> str:
    """The function that checks one kind, and what it looks at."""
    found = testing.functions[kind]
    promises = "\n".join(f"| `{check.name}` | {check.promise} |" for check in CHECKS[kind])
    title = f"### {found.__name__}\n\n`{found.__name__}{signature(found)}`: {doc(found)}"
    return f"{title}\n\n| check | what is promised |\n| --- | --- |\n{promises}"


def command_of(name: str) -> str:
    """One command of composer, or of a plugin that comes with it."""
    found = main.get_command(click.Context(main), name)
    assert found is not None, name
    return command(name, found)


def command(name: str, found: click.Command) -> str:
    """A command with its arguments and options."""
    words = [each.make_metavar(click.Context(found)) for each in found.params if isinstance(each, click.Argument)]
    options = [each for each in found.params if isinstance(each, click.Option)]
    rows = "\n".join(f"- `{', '.join(each.opts)}`: {each.help}" for each in options)
    text = f"### composer {' '.join([name, *words])}\n\n{inspect.cleandoc(found.help or '')}\n\n{rows}"
    below = found.commands.items() if isinstance(found, click.Group) else ()
    return "\n\n".join([text, *(command(f"{name} {inner}", each) for inner, each in below)])


def components() -> str:
    """All built-in components; `composer describe NAME` says more of each."""
    rows = [
        f"| {component.kind} | `{component.name}` | {component.summary()} |"
        for component, plugin in load_registry().components()
        if plugin.distribution == DISTRIBUTION
    ]
    head = (
        "`composer describe NAME` shows the options of each.\n\n| kind | name | what it does |\n| --- | --- | --- |\n"
    )
    return head + "\n".join(sorted(rows))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        raise SystemExit(f"no arguments are known, not {sys.argv[1]}")
    PAGE.write_text(reference(), encoding="utf-8")
