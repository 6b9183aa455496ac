"""Who may write into a run's folder, one process at a time, and into the store; nothing here imports torch.

The lock is the kernel's, on an open file: it ends with the process that holds it, however that ends. `flock` reaches
over NFS between machines (Linux 2.6.12 and later) and over SMB; a disk that knows no locks is warned of.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from composer.data.files import remove, writing
from composer.errors import ComposerError

log = logging.getLogger("composer")

RUN_LOCK = ".run.lock"
"""Held by the run that works in a folder, from its beginning to its end."""
RESULTS_LOCK = ".results.lock"
"""Held for the moment in which new results take the place of the old ones; shared by all that read them."""
STORE_LOCK = ".store.lock"
"""Shared by all that read a stage of the store or say that they use it; held while one is put in place or pruned."""
COMING = ".coming"
"""A folder with new results that are whole and on their way into the run's folder."""
PAUSE = 0.1
BUSY = (errno.EAGAIN, errno.EACCES, errno.EDEADLK)
UNKNOWN = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL)

_held: dict[str, tuple[int, int]] = {}
"""Lock file -> the thread of this process that holds it, and the open file."""


@contextmanager
def run_lock(folder: Path, wait: bool = True) -> Iterator[None]:
    """Holds a run's folder; where another run has it, waits and says so, or raises ComposerError."""
    with _locked(folder / RUN_LOCK, wait):
        yield


@contextmanager
def changing(folder: Path) -> Iterator[None]:
    """Holds a run's results against readers and other writers, for the moment in which they change."""
    with _locked(folder / RESULTS_LOCK, silent=True):
        finish_coming(folder)
        yield


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Sees a run's results as the last run left them: whole, and not changing meanwhile."""
    file = folder / RESULTS_LOCK
    if not file.exists():
        yield
        return
    while True:
        with _locked(file, silent=True, shared=True):
            if not (folder / COMING).is_dir():
                yield
                return
        with changing(folder):  # whoever was putting them in place was killed
            pass


@contextmanager
def storing(store: Path, shared: bool = False) -> Iterator[None]:
    """Holds a store for the moment in which stages are put in place or pruned; shared: while one is read."""
    with _locked(store / STORE_LOCK, silent=True, shared=shared):
        yield


@contextmanager
def held(file: Path) -> Iterator[None]:
    """Holds a file of this process's own, so that others see whether it lives."""
    with _locked(file, silent=True):
        yield


def is_held(file: Path) -> bool:
    """Whether a process, this one or another, holds the file."""
    if str(file.absolute()) in _held:
        return True
    try:
        with _locked(file, wait=False):
            return False
    except ComposerError:
        return True


def put_in_place(folder: Path, made: Path) -> None:
    """Gives a run's folder the results in `made`, a folder in it, in place of those that it has of the same names."""
    with changing(folder), writing(folder):
        made.rename(folder / COMING)
        finish_coming(folder)


def finish_coming(folder: Path) -> None:
    """Moves whole new results into place, also those of a run that was killed meanwhile."""
    coming = folder / COMING
    if not coming.is_dir():
        return
    with writing(folder):
        for entry in sorted(coming.iterdir()):
            target = folder / entry.name
            if entry.is_dir() or target.is_dir():
                remove(target)
            entry.replace(target)
        coming.rmdir()


@contextmanager
def _locked(file: Path, wait: bool = True, silent: bool = False, shared: bool = False) -> Iterator[None]:
    name, mine = str(file.absolute()), threading.get_ident()
    if _held.get(name, (None, 0))[0] == mine:
        yield
        return
    handle = _acquired(file, wait, silent, shared)
    if not shared:
        _held[name] = (mine, handle)
        _write_holder(handle)
    try:
        yield
    finally:
        if not shared:
            del _held[name]
        os.close(handle)


def _acquired(file: Path, wait: bool, silent: bool, shared: bool) -> int:
    """The open file, locked; it is opened anew where somebody deleted it meanwhile."""
    said = silent
    while True:
        with writing(file):
            handle = os.open(file, os.O_RDONLY if shared else os.O_RDWR | os.O_CREAT, 0o666)
        if _try(handle, file, shared):
            with suppress(OSError):
                if os.path.samestat(os.fstat(handle), file.stat()):
                    return handle
        else:
            holder = _holder(handle)
            if not wait:
                os.close(handle)
                raise ComposerError(
                    f"another run is working in {file.parent}{holder}; wait for it, or name another folder (--output)"
                )
            if not said:
                log.warning("another run is working in %s%s; waiting", file.parent, holder)
                said = True
            time.sleep(PAUSE)
        os.close(handle)


def _try(handle: int, file: Path, shared: bool) -> bool:
    """Whether the lock was to be had; a disk without locks counts as one where it was, with a warning."""
    try:
        if os.name == "nt":
            import msvcrt

            os.lseek(handle, 1 << 20, os.SEEK_SET)  # beyond the text, which others read
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined,unused-ignore]
        else:
            import fcntl

            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in BUSY:
            return False
        if error.errno not in UNKNOWN:
            raise ComposerError(f"{file}: cannot be locked: {error.strerror or error}") from error
        log.warning("%s: this disk knows no locks; let only one run at a time work in the folder", file.parent)
    return True


def _write_holder(handle: int) -> None:
    with suppress(OSError):  # only for what others are told while they wait
        os.ftruncate(handle, 0)
        os.lseek(handle, 0, os.SEEK_SET)
        os.write(handle, json.dumps({"pid": os.getpid(), "host": platform.node()}).encode())


def _holder(handle: int) -> str:
    """` (pid 12, host)`, as the one that holds the lock wrote it."""
    try:
        os.lseek(handle, 0, os.SEEK_SET)
        facts = json.loads(os.read(handle, 4096))
        return f" (pid {facts['pid']}, {facts['host']})"
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def _leave_to_parent() -> None:
    """A forked child lets go of its copies: it would keep the lock of a parent that is killed."""
    for _, handle in _held.values():
        with suppress(OSError):
            os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_leave_to_parent)
