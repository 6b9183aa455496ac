"""The folder that keeps the stages of all runs: where it is, who uses what in it, its size, and what is pruned.

Nothing here imports torch.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from composer.data.files import maker, own_name, part_of, remove, running, writing
from composer.errors import ComposerError
from composer.running.locking import STORE_LOCK, held, is_held, storing

VARIABLE = "COMPOSER_STORE"
"""The environment variable that names the store."""
USE = ".use-"
"""Begins the name of the file in which a process lists the stages that it uses; then come machine and process."""
STAGE_NAME = re.compile(r".+-[0-9a-f]{16}")


def default_store() -> Path:
    """Where stages are kept unless the user says otherwise: COMPOSER_STORE, else `composer` in the cache folder."""
    named = os.environ.get(VARIABLE)
    if named:
        return Path(named)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "composer"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "composer" / "Cache"
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".cache") / "composer"


def make_store(folder: Path) -> None:
    """Makes the folder of a store; ComposerError where it cannot be written."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / STORE_LOCK).touch()
    except OSError as error:
        raise ComposerError(
            f"{folder}: no stages can be kept there: {error.strerror or error}; name another folder (--store, or the "
            f"environment variable {VARIABLE})"
        ) from None


class Uses:
    """The stages that one process uses, by folder name, in a file that it holds as long as it lives."""

    def __init__(self, store: Path) -> None:
        self.store = store
        self.file = store / own_name(USE)
        self.names: set[str] = set()
        self._holding = ExitStack()

    def note(self, names: Iterable[str]) -> None:
        """Adds stages to the list; from now on nobody prunes them."""
        new = sorted(set(names) - self.names)
        if not new:
            return
        with storing(self.store, shared=True):
            if not self.names:
                self._holding.enter_context(held(self.file))
            with writing(self.file), self.file.open("a", encoding="utf-8") as lines:
                lines.write("\n" + "\n".join(new))
        self.names |= set(new)

    def close(self) -> None:
        """Ends the use of all of them."""
        self._holding.close()
        self.file.unlink(missing_ok=True)
        self.names.clear()


@dataclass(frozen=True)
class KeptStage:
    """A stage in the store: its folder, its bytes, and when it was last used, in seconds since 1970."""

    folder: Path
    size: int
    used: float


@dataclass(frozen=True)
class Pruned:
    """What was removed, and what was to be removed and is in use."""

    removed: tuple[KeptStage, ...]
    spared: tuple[KeptStage, ...]


def kept_stages(store: Path) -> list[KeptStage]:
    """All stages in a store, the one that was used longest ago first; none where there is no store."""
    if not (store / STORE_LOCK).is_file():
        return []
    return sorted(_stages(store), key=lambda stage: (stage.used, stage.folder.name))


def _stages(store: Path) -> Iterator[KeptStage]:
    for folder in store.iterdir():
        if STAGE_NAME.fullmatch(folder.name) and folder.is_dir() and not folder.is_symlink():
            try:
                size = sum(file.stat().st_size for file in folder.iterdir() if file.is_file())
                yield KeptStage(folder, size, folder.stat().st_mtime)
            except FileNotFoundError:  # replaced or pruned meanwhile
                continue


def prune(store: Path, older_than: float | None, keep: int | None) -> Pruned:
    """Removes stages not used for `older_than` seconds, then those used longest ago until `keep` bytes are left.

    What a run uses at the moment stays.
    """
    if not (store / STORE_LOCK).is_file():
        raise ComposerError(f"{store}: holds no stages of composer; nothing was removed")
    with storing(store):
        stages = kept_stages(store)
        chosen = _chosen(stages, older_than, keep)
        used = _in_use(store)
        removed = tuple(stage for stage in chosen if stage.folder.name not in used)
        away = [stage.folder.rename(part_of(stage.folder)) for stage in removed]
    for folder in away:
        remove(folder)
    return Pruned(removed, tuple(stage for stage in chosen if stage.folder.name in used))


def _chosen(stages: Iterable[KeptStage], older_than: float | None, keep: int | None) -> list[KeptStage]:
    """What is too old, or too much; `stages` begin with the one that was used longest ago."""
    waiting = list(stages)
    now, left = time.time(), sum(stage.size for stage in waiting)
    chosen = []
    for stage in waiting:
        old = older_than is not None and now - stage.used > older_than
        if old or (keep is not None and left > keep):
            chosen.append(stage)
            left -= stage.size
    return chosen


def _in_use(store: Path) -> set[str]:
    """The stages that living processes use; lists that dead ones left are removed."""
    used: set[str] = set()
    for file in store.glob(f"{USE}*"):
        try:
            names = file.read_text(encoding="utf-8").splitlines()
        except FileNotFoundError:  # its process has just ended
            continue
        process = maker(file.name, USE)
        if (process is not None and running(process)) or is_held(file):
            used |= set(names)
        else:
            file.unlink(missing_ok=True)
    return used
