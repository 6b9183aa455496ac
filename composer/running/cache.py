"""The store of all runs: results by content key, so that nothing that did not change is computed twice."""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

from composer.component import Component
from composer.data.figures import Figure, from_json, to_json
from composer.data.files import clear_parts, part_of, read_json, remove, write_json, writing
from composer.data.images import Images
from composer.recipes.recipe import nested_components
from composer.running.code import code_digest
from composer.running.locking import storing
from composer.running.sealing import FILES, STAGE, file_digest, read_sealed, sealed
from composer.running.storage import FACTS, TENSORS, FolderKeeper, UnfinishedKeeper, Value, load, save
from composer.running.store_folder import Uses, make_store

log = logging.getLogger("composer")

FIGURES = "figures.json"
UNFINISHED = ".unfinished-"
"""Begins the name of the folder of a stage that is not finished; then comes the name that it will have."""


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
    """One folder per result, named by stage and key; a folder is complete or absent. Many runs share it.

    The hash of every file stands in the stage's record, which has its own: what no longer agrees is not read, is
    named in the log, and computed again. damaged: the folders of which that was said -> what it was.
    Used as a context manager it lets go, at the end, of the stages that it has used; until then nobody prunes them.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.damaged: dict[Path, str] = {}
        make_store(folder)
        self._uses = Uses(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._uses.close()

    def clear(self) -> None:
        """Removes what dead processes of this machine had begun to write."""
        if os.name != "nt":  # there nothing tells whether a process of that number is alive
            for place in (self.folder, *self.folder.glob("*/")):
                clear_parts(place)

    def path(self, stage: str, key: str) -> Path:
        return self.folder / f"{stage}-{key[:16]}"

    def unfinished(self, stage: str, key: str, fresh: bool = False) -> UnfinishedKeeper:
        """Where a stage keeps what it needs to go on after it was killed; `store` removes it. fresh: begin anew."""
        folder = self._unfinished(stage, key)
        if fresh:
            remove(folder)
        return UnfinishedKeeper(folder, self._uses.note)

    def _unfinished(self, stage: str, key: str) -> Path:
        return self.folder / f"{UNFINISHED}{self.path(stage, key).name}"

    def use(self, *stages: tuple[str, str]) -> None:
        """Says that this process uses stages, whether they are there or yet to come."""
        self._uses.note(self.path(stage, key).name for stage, key in stages)

    def facts(self, stage: str, key: str) -> dict[str, Any] | None:
        """What was recorded beside a result, or None where there is none."""
        with storing(self.folder, shared=True):
            return self._facts(stage, key)

    def _facts(self, stage: str, key: str) -> dict[str, Any] | None:
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
        with storing(self.folder, shared=True):
            return self._whole(stage, key)

    def _whole(self, stage: str, key: str) -> bool:
        facts = self._facts(stage, key)
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
        self.use((stage, key))
        home = self.path(stage, key)
        with storing(self.folder, shared=True):
            if not self._whole(stage, key):
                return None
            value = load(home)
            with suppress(OSError):  # a store that others fill may be used without writing there
                os.utime(home)  # when it was used last: what was not used for long is pruned first
        if isinstance(value, Images):
            if not value.still_there():
                return None  # the same pictures lie elsewhere now: their stage finds them again
            value.keeper = FolderKeeper(home)
        return value

    def store(
        self,
        stage: str,
        key: str,
        value: Value,
        facts: Mapping[str, Any],
        figures: Mapping[str, Figure],
        replace: bool = False,
    ) -> Path:
        """Writes a result whole: into a folder beside, which then gets its name.

        Where another process has stored the same meanwhile, that stays, unless it is to be replaced.
        """
        self.use((stage, key))
        home = self.path(stage, key)
        part, old = part_of(home), part_of(home)
        with writing(home):
            try:
                part.mkdir()
                save(value, part)
                write_json(part / FIGURES, {name: to_json(figure) for name, figure in figures.items()})
                files = {file.name: file_digest(file) for file in sorted(part.iterdir())}
                write_json(part / STAGE, sealed({"key": key, **facts, FILES: files}))
                with storing(self.folder):
                    if replace or not os.path.lexists(home) or not self._current(stage, key, value):
                        if os.path.lexists(home):
                            home.rename(old)
                        part.rename(home)
            finally:
                remove(part)
                remove(old)
        remove(self._unfinished(stage, key))
        if isinstance(value, Images):
            value.keeper = FolderKeeper(home)
            if value.native is None:
                for size, pixels in value.decoded.items():
                    value.keeper.keep(f"size-{size}", {"pixels": pixels})
        return home

    def _current(self, stage: str, key: str, value: Value) -> bool:
        """Whether what is there is as good as `value`: whole, and of pictures that lie where `value` found them."""
        if not self._whole(stage, key):
            return False
        if not isinstance(value, Images):
            return True
        kept = load(self.path(stage, key))
        return isinstance(kept, Images) and kept.still_there()

    def figures(self, stage: str, key: str) -> dict[str, Figure]:
        """The figures that a stage recorded, as data; none where they are no longer what was stored."""
        file = self.path(stage, key) / FIGURES
        with storing(self.folder, shared=True):
            stored = (self._facts(stage, key) or {}).get(FILES, {}).get(FIGURES)
            if stored is None:
                return {}
            if not _is(file, stored):
                self._say(file, "not what was stored; these figures are left out (--fresh makes them again)")
                return {}
            known = read_json(file)
        return {name: from_json(figure) for name, figure in known.items()}

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
