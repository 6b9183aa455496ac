"""Files that a component opens for writing where nobody would look for them."""

from __future__ import annotations

import os
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_noting: list[list[Path]] = []
_hooked = False


@contextmanager
def noting_writes(folder: Path) -> Iterator[list[Path]]:
    """A list that fills with the files outside `folder` that Python opens for writing meanwhile.

    Left out are temporary files, devices, what libraries keep below a hidden folder of the user's (`~/.cache`), and
    compiled modules. Files that a C library opens by itself are not seen.
    """
    _hook()
    opened: list[Path] = []
    _noting.append(opened)
    found: list[Path] = []
    try:
        yield found
    finally:
        _noting.remove(opened)
        allowed = [place.resolve() for place in (folder, Path(tempfile.gettempdir()), Path("/dev"), Path("/proc"))]
        allowed += [Path(sysconfig.get_path("purelib")).resolve()]
        met = dict.fromkeys(path.resolve() for path in opened)
        found += [file for file in met if not _hidden(file) and not any(map(file.is_relative_to, allowed))]


def _hidden(file: Path) -> bool:
    home = Path.home().resolve()
    below = file.relative_to(home).parts[0] if file.is_relative_to(home) and file != home else ""
    return below.startswith(".") or "__pycache__" in file.parts


def _hook() -> None:
    """An audit hook cannot be taken away again, so there is one for the whole process."""
    global _hooked
    if not _hooked:
        sys.addaudithook(_note)
        _hooked = True


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if event != "open" or not _noting:
        return
    path, mode, flags = arguments
    writes = any(sign in mode for sign in "wax+") if isinstance(mode, str) else flags & (os.O_WRONLY | os.O_RDWR)
    if writes and isinstance(path, str | bytes | os.PathLike):
        for opened in _noting:
            opened.append(Path(os.fsdecode(path)).absolute())
