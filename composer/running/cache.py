"""The stage cache: results by content key, so that nothing that did not change is computed twice."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

from safetensors import SafetensorError

import composer
from composer.figures import Figure, draw, from_json, to_json
from composer.images import Images
from composer.interfaces import Component
from composer.recipes.recipe import nested_components
from composer.running.storage import Value, load, read_json, running, save, write_json
from composer.runs.sealing import file_digest

STAGE = "stage.json"
CORE = (
    "composed",
    "decoding",
    "images",
    "kernels",
    "judging/oracle",
    "judging/parents",
    "population",
    "ranking",
    "scores",
    "stacking",
    "running/storage",
)
"""Core modules whose code decides what a stage computes."""


def digest(data: Any) -> str:
    """sha256 of the data as canonical JSON, the same in every process."""
    return hashlib.sha256(json.dumps(data, sort_keys=True, allow_nan=False).encode()).hexdigest()


def stage_seed(recipe_seed: int, stage: str) -> int:
    """A stage's own seed, from the recipe's seed and its name: adding a stage changes no other."""
    return int.from_bytes(hashlib.sha256(f"{recipe_seed}/{stage}".encode()).digest()[:4])


def component_identity(component: Component, files: Iterable[Path]) -> dict[str, Any]:
    """What decides the result of a component beside its inputs: name, version, options, code, files it reads."""
    parts = [part for _, part in nested_components((), component)]
    return {
        "kind": component.kind,
        "version": component.version,
        "options": component.options(paths=False),
        "code": {type(part).__module__: _code_digest(type(part).__module__) for part in parts},
        "files": _files_digest(files),
    }


@cache
def core_digest() -> str:
    folder = Path(composer.__file__).parent
    return _text_digest(folder / f"{name}.py" for name in CORE)


@cache
def _code_digest(module: str) -> str:
    """sha256 of the plugin's sources, so that an edited plugin is not served from the cache."""
    root = sys.modules[module.partition(".")[0]]
    if root.__file__ is None:
        return ""
    home = Path(root.__file__)
    return _text_digest(sorted(home.parent.rglob("*.py")) if home.name == "__init__.py" else [home])


def _text_digest(files: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for file in files:
        total.update(file.read_bytes())
    return total.hexdigest()


def _files_digest(files: Iterable[Path]) -> str:
    """sha256 over names and contents; the folder that they lie in does not count."""
    chosen = sorted(files)
    if not chosen:
        return ""
    home = Path(os.path.commonpath([file.parent for file in chosen]))
    total = hashlib.sha256()
    for file in chosen:
        total.update(f"{file.relative_to(home).as_posix()}\0".encode())
        total.update(bytes.fromhex(file_digest(file)))
    return total.hexdigest()


class StageCache:
    """One folder per result, named by stage and key; a folder is complete or absent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".part-*"):
            if not running(int(leftover.name.split("-")[1])):
                shutil.rmtree(leftover, ignore_errors=True)

    def path(self, stage: str, key: str) -> Path:
        return self.folder / f"{stage}-{key[:16]}"

    def facts(self, stage: str, key: str) -> dict[str, Any] | None:
        """What was recorded beside a result, or None where there is none."""
        try:
            facts: dict[str, Any] = read_json(self.path(stage, key) / STAGE)
        except (FileNotFoundError, json.JSONDecodeError):
            return None
        return facts if facts["key"] == key else None

    def load(self, stage: str, key: str) -> Value | None:
        """A stored result; None where there is none, or where it can no longer be read and is made again."""
        if self.facts(stage, key) is None:
            return None
        try:
            value = load(self.path(stage, key))
            if isinstance(value, Images) and not value.still_there():
                return None  # the same pictures lie elsewhere now: their stage finds them again
            return value
        except (OSError, SafetensorError, json.JSONDecodeError, KeyError):
            shutil.rmtree(self.path(stage, key))
            return None

    def store(
        self, stage: str, key: str, value: Value, facts: Mapping[str, Any], figures: Mapping[str, Figure]
    ) -> Path:
        """Writes a result whole: into a folder beside, which then gets its name."""
        part = self.folder / f".part-{os.getpid()}-{uuid4().hex}"
        part.mkdir()
        try:
            save(value, part)
            for name, figure in figures.items():
                for ending in ("png", "svg"):
                    draw(figure, part / f"{name}.{ending}")
            data = {name: to_json(figure) for name, figure in figures.items()}
            write_json(part / "figures.json", data)
            write_json(part / STAGE, {"key": key, **facts})
            home = self.path(stage, key)
            if home.exists():  # unreadable, or stored meanwhile by another run
                shutil.rmtree(home)
            part.rename(home)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        return home

    def figures(self, stage: str, key: str) -> dict[str, Figure]:
        """The figures that a stage recorded, as data."""
        data = read_json(self.path(stage, key) / "figures.json")
        return {name: from_json(figure) for name, figure in data.items()}

    def last(self) -> dict[str, dict[str, Any]]:
        """What each stage of the run before was made from: `stage for subject` -> identity."""
        file = self.folder / "last.json"
        known: dict[str, dict[str, Any]] = read_json(file) if file.exists() else {}
        return known

    def remember(self, identities: Mapping[str, Mapping[str, Any]]) -> None:
        write_json(self.folder / "last.json", dict(identities))
