"""The stage cache: results by content key, so that nothing that did not change is computed twice."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from composer.component import Component
from composer.figures import Figure, draw, from_json, to_json
from composer.images import Images
from composer.recipes.recipe import nested_components
from composer.running.code import code_digest
from composer.running.storage import FACTS, TENSORS, Value, keep_tensors, load, read_json, save, write_json
from composer.runs.files import part_of, remove, writing
from composer.runs.sealing import FILES, STAGE, file_digest, read_sealed, sealed

log = logging.getLogger("composer")

FIGURES = "figures.json"
LAST = "last.json"


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
        "code": {type(part).__module__: code_digest(type(part).__module__) for part in parts},
        "files": _files_digest(files),
    }


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
    """One folder per result, named by stage and key; a folder is complete or absent.

    The hash of every file stands in the stage's record, which has its own: what no longer agrees is not read, is
    named in the log, and computed again. damaged: the folders of which that was said -> what it was.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: dict[Path, str] = {}
        with writing(folder):
            folder.mkdir(parents=True, exist_ok=True)

    def path(self, stage: str, key: str) -> Path:
        return self.folder / f"{stage}-{key[:16]}"

    def facts(self, stage: str, key: str) -> dict[str, Any] | None:
        """What was recorded beside a result, or None where there is none."""
        home = self.path(stage, key)
        facts = read_sealed(home / STAGE)
        if facts is None:
            if os.path.lexists(home):
                self._damaged(home, f"{STAGE} is not what was stored")
            return None
        if facts["key"] != key:
            self._damaged(home, "another stage's result")
            return None
        return facts

    def whole(self, stage: str, key: str) -> bool:
        """Whether a result is there as it was stored."""
        facts = self.facts(stage, key)
        if facts is None:
            return False
        home = self.path(stage, key)
        for name in (TENSORS, FACTS):
            if not _is(home / name, facts[FILES][name]):
                self._damaged(home, f"{name} is not what was stored")
                return False
        return True

    def load(self, stage: str, key: str) -> Value | None:
        """A stored result; None where there is none, or where it is no longer what was stored and is made again."""
        if not self.whole(stage, key):
            return None
        value = load(self.path(stage, key))
        if isinstance(value, Images) and not value.still_there():
            return None  # the same pictures lie elsewhere now: their stage finds them again
        return value

    def store(
        self, stage: str, key: str, value: Value, facts: Mapping[str, Any], figures: Mapping[str, Figure]
    ) -> Path:
        """Writes a result whole: into a folder beside, which then gets its name."""
        home = self.path(stage, key)
        part = part_of(home)
        with writing(home):
            try:
                part.mkdir()
                save(value, part)
                for name, figure in figures.items():
                    for ending in ("png", "svg"):
                        draw(figure, part / f"{name}.{ending}")
                write_json(part / FIGURES, {name: to_json(figure) for name, figure in figures.items()})
                files = {file.name: file_digest(file) for file in sorted(part.iterdir())}
                write_json(part / STAGE, sealed({"key": key, **facts, FILES: files}))
                remove(home)  # damaged, or asked for afresh
                part.rename(home)
            finally:
                shutil.rmtree(part, ignore_errors=True)
        if isinstance(value, Images) and value.native is None:
            for size, pixels in value.decoded.items():
                keep_tensors(value.kept(home, size), {"pixels": pixels})
        return home

    def figures(self, stage: str, key: str) -> dict[str, Figure]:
        """The figures that a stage recorded, as data."""
        file = self.path(stage, key) / FIGURES
        if file not in self._whole_figures(stage, key):
            return {}
        return {name: from_json(figure) for name, figure in read_json(file).items()}

    def drawn(self, stage: str, key: str) -> list[Path]:
        """The files of the figures that a stage recorded."""
        return [file for file in self._whole_figures(stage, key) if file.suffix in (".png", ".svg")]

    def _whole_figures(self, stage: str, key: str) -> list[Path]:
        """The files that show a result and are none, by name; a damaged one costs nothing but itself."""
        home, found = self.path(stage, key), []
        for name, stored in (self.facts(stage, key) or {}).get(FILES, {}).items():
            if name in (TENSORS, FACTS):
                continue
            if _is(home / name, stored):
                found.append(home / name)
            else:
                self._say(home / name, "not what was stored; this figure is left out (--fresh draws it again)")
        return found

    def last(self) -> dict[str, dict[str, Any]]:
        """What each stage of the run before was made from: `stage for subject` -> identity; {} where it is damaged."""
        try:
            known = read_json(self.folder / LAST)
        except (OSError, ValueError, RecursionError):
            return {}
        items = known.items() if isinstance(known, dict) else ()
        return {title: identity for title, identity in items if isinstance(identity, dict)}

    def remember(self, identities: Mapping[str, Mapping[str, Any]]) -> None:
        if (self.folder / LAST).is_dir():
            remove(self.folder / LAST)
        write_json(self.folder / LAST, dict(identities))

    def _damaged(self, home: Path, what: str) -> None:
        self._say(home, f"{what}; it is computed again")

    def _say(self, place: Path, what: str) -> None:
        if place not in self.damaged:
            self.damaged[place] = what
            log.warning("%s: damaged: %s", place, what)


def _is(file: Path, stored: str) -> bool:
    """Whether a file is there with the content that was stored."""
    try:
        return file_digest(file) == stored
    except OSError:
        return False
