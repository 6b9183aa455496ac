"""What code decides a result: composer's own, a plugin's, and that of all that the plugin imports."""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution, packages_distributions
from importlib.util import find_spec
from pathlib import Path

import composer

NO_RESULTS = (
    "testing",
    "results",
    "page",
    "publishing.py",
    "pipeline.py",
    "sweeps",
    "api.py",
    "command_line",
    "__main__.py",
)
"""The rooms that stand above all that computes stages, and what looks at plugins. Any other module may decide what a
stage computes."""
COMPILED = (".pyc", ".pyo")


@cache
def core_digest(folder: Path = Path(composer.__file__).parent) -> str:
    """sha256 of the core's modules that decide results."""
    files = (file for file in sorted(folder.rglob("*.py")) if file.relative_to(folder).parts[0] not in NO_RESULTS)
    return _contents(folder, files)


def code_digest(module: str) -> str:
    """sha256 of the package of `module` and of what it imports: an edited plugin is not served from the cache.

    Of plugins, and of packages that are in no distribution, the contents count; of libraries their version.
    """
    return packages_digest(module.partition(".")[0])


@cache
def packages_digest(root: str) -> str:
    """sha256 of a package and of all that it imports, through plugins and not through libraries."""
    facts: dict[str, str] = {}
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name in facts:
            continue
        known = None if name == root or name.startswith("composer_") else _version(name)
        places = _places(name) if known is None else []
        facts[name] = known or "/".join(_contents(place, _files(place)) for place in places)
        waiting += sorted({imported for place in places for imported in _imported(place)} - facts.keys())
    return hashlib.sha256(repr(sorted(facts.items())).encode()).hexdigest()


def _places(name: str) -> list[Path]:
    """The folders of a package, more than one where it is spread over several, or the file of a module."""
    loaded = sys.modules.get(name)
    found = loaded.__spec__ if loaded is not None else find_spec(name)
    if found is not None and found.submodule_search_locations:
        return sorted(map(Path, found.submodule_search_locations))
    own = getattr(loaded, "__file__", None) or (found.origin if found is not None and found.has_location else None)
    return [Path(own)] if own else []


def _files(place: Path) -> list[Path]:
    """All files of a package, its data too; what Python compiled, and hidden ones, left out."""
    if place.is_file():
        return [place]
    return [
        file
        for file in sorted(place.rglob("*"))
        if file.is_file()
        and file.suffix not in COMPILED
        and not any(part.startswith(".") for part in file.parts[len(place.parts) :])
    ]


def _imported(place: Path) -> Iterator[str]:
    """Top-level packages beyond the standard library and composer's core that a package imports anywhere in it."""
    for file in _files(place):
        if file.suffix != ".py":
            continue
        try:
            tree = ast.parse(file.read_bytes())
        except (SyntaxError, ValueError):
            continue  # nothing imports it, or it imports nothing
        for node in ast.walk(tree):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            for name in names:
                top = name.partition(".")[0]
                if top not in sys.stdlib_module_names and top != "composer":
                    yield top


@cache
def _distributions() -> dict[str, list[str]]:
    return dict(packages_distributions())


def _version(package: str) -> str | None:
    """`torch 2.11.0` for a package of an installed distribution, None for any other and for plugins."""
    names = sorted(set(_distributions().get(package, ())))
    try:
        found = [distribution(name) for name in names]
    except PackageNotFoundError:
        return None
    if any(one.entry_points.select(group="composer") for one in found):
        return None
    return " ".join(f"{name} {one.version}" for name, one in zip(names, found, strict=True)) or None


def _contents(home: Path, files: Iterator[Path] | list[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        name = file.name if file == home else file.relative_to(home).as_posix()
        content = file.read_bytes()
        total.update(f"{name}\0{len(content)}\0".encode() + content)
    return total.hexdigest()
