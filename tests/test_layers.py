"""Who may import whom: the table of rooms in CONTRIBUTING.md holds for every module."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

import composer

CORE = Path(composer.__file__).parent
PLUGINS = CORE.parent / "plugins"
MODULES = {
    ".".join(("composer", *file.relative_to(CORE).with_suffix("").parts)).removesuffix(".__init__"): file
    for file in CORE.rglob("*.py")
}
ENTRIES = {"composer", "composer.__main__"}
"""The public face, and what `python -m composer` runs: no rooms."""
FACE = {"composer.running.code"}
"""Modules that ask where the package lies."""


def rooms() -> list[str]:
    """The rooms, from the ground up, as CONTRIBUTING.md has them."""
    text = (CORE.parent / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = re.search(r"^\| room \|.*?(?=\n\n)", text, re.MULTILINE | re.DOTALL)
    assert table, "CONTRIBUTING.md has no table of rooms"
    return [name for row in table[0].splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])]


def room(module: str) -> str:
    return module.split(".")[1]


def imports(module: str) -> Iterator[tuple[str, int]]:
    """Every module of the core that a module imports, at whatever place in it, or names in a text; and the line."""
    for node in ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and (named := str(node.value).partition(":")[0]) in MODULES.keys() - ENTRIES:
            yield named, node.lineno
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "composer":
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                yield (inner if inner in MODULES else str(node.module)), node.lineno
        elif isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names if alias.name in MODULES)


def test_every_module_stands_in_a_room_of_the_table() -> None:
    there = {room(module) for module in MODULES if module not in ENTRIES}
    assert there == set(rooms()), "CONTRIBUTING.md names other rooms than there are"


@pytest.mark.parametrize("module", sorted(MODULES.keys() - ENTRIES))
def test_no_module_imports_from_a_room_that_stands_above_its_own(module: str) -> None:
    order = rooms()
    for other, line in imports(module):
        if other == "composer":  # its version or its place; a name of the public face would be an import of all rooms
            assert module in FACE, f"{MODULES[module]}:{line} imports the public face; import the module itself"
            continue
        higher = order.index(room(other)) > order.index(room(module))
        assert not higher, f"{MODULES[module]}:{line} is in the room {room(module)} and imports {other}, above it"


def imported(file: Path) -> Iterable[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


def test_the_core_never_imports_a_plugin() -> None:
    names = {folder.name for folder in PLUGINS.iterdir() if folder.name.startswith("composer_")}
    assert len(names) > 10, "the plugins were not found"
    for file in CORE.rglob("*.py"):
        wrong = [name for name in imported(file) if name.partition(".")[0] in names]
        assert not wrong, f"{file.name} imports {wrong}"


def test_plugins_import_nothing_of_the_core_but_its_public_names() -> None:
    files = list(PLUGINS.rglob("*.py"))
    assert len(files) > 20, "the plugins were not found"
    for file in files:
        wrong = [name for name in imported(file) if name.startswith("composer.")]
        assert not wrong, f"{file.relative_to(PLUGINS)} imports {wrong}"


def test_plugins_import_no_inner_modules_of_other_plugins() -> None:
    for file in PLUGINS.rglob("*.py"):
        own = file.relative_to(PLUGINS).parts[0]
        wrong = [name for name in imported(file) if name.startswith("composer_") and "." in name]
        wrong = [name for name in wrong if name.partition(".")[0] != own]
        assert not wrong, f"{file.relative_to(PLUGINS)} imports {wrong}"


def test_every_public_name_exists() -> None:
    for name in composer.__all__:
        assert getattr(composer, name) is not None, name
