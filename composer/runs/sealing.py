"""Hashes of all that a run holds and was made from, in its run.json; nothing here imports torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any
from uuid import uuid4

RUN = "run.json"
NO_RESULTS = ("stages", "pictures.png")
"""In a run's folder, and yet no result: the cache that may be deleted, and the sheet of `composer pictures`."""
KEPT = ("data.safetensors", "data.json", "stage.json")
"""Of a stage in the cache; the rest of its files is made again from these."""


def file_digest(file: Path) -> str:
    """sha256 of a file's content, read once per process unless the file changes."""
    facts = file.stat()
    return _file_digest(file, facts.st_mtime_ns, facts.st_size)


@cache
def _file_digest(file: Path, modified: int, size: int) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def own_files(folder: Path) -> list[Path]:
    """The results in a run's folder, by name: everything but run.json, the stage cache and hidden files."""
    found = []
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if file.is_file() and not hidden and parts[0] not in NO_RESULTS and parts != (RUN,):
            found.append(file)
    return found


def seal(folder: Path, inputs: Mapping[str, str], stages: Iterable[Path]) -> None:
    """Adds to a finished run's run.json what it holds and was made from, as docs/report.md describes it.

    inputs: file -> sha256. stages: the folders in the cache that the results came from.
    """
    run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    run["inputs"] = dict(inputs)
    kept = (stage / name for stage in sorted(stages) for name in KEPT)
    run["stages_kept"] = _digests(folder, (file for file in kept if file.exists()))
    run["files"] = _digests(folder, own_files(folder))
    _write(folder, run)


def renew(folder: Path, *names: str) -> None:
    """Takes files that composer has written anew, such as `report.html`, into the hashes of a sealed run."""
    run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    if "files" in run:
        run["files"] = dict(sorted({**run["files"], **_digests(folder, (folder / name for name in names))}.items()))
        _write(folder, run)


def seal_of(run: Mapping[str, Any]) -> str:
    """sha256 of run.json's own content, its `seal` left out."""
    content = {key: value for key, value in run.items() if key != "seal"}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def _digests(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    return {file.relative_to(folder).as_posix(): file_digest(file) for file in files}


def _write(folder: Path, run: dict[str, Any]) -> None:
    run["seal"] = seal_of(run)
    part = folder / f".{RUN}-{uuid4().hex}"  # composer.running.storage would import torch
    try:
        part.write_text(json.dumps(run, indent=2, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")
        part.replace(folder / RUN)
    finally:
        part.unlink(missing_ok=True)
