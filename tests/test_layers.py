"""Who may import whom."""

from __future__ import annotations

import ast
from collections.abc import Iterable
from pathlib import Path

import composer

CORE = Path(composer.__file__).parent
PLUGINS = CORE.parent / "plugins"


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
