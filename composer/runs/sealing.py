"""Hashes of all that a run holds and was made from, in its run.json; nothing here imports torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from composer.runs.files import write_json

RUN = "run.json"
STAGE = "stage.json"
FILES = "files"
"""In a stage's record: each of its files -> sha256."""
SEAL = "seal"
NO_RESULTS = ("stages", "pictures.png")
"""In a run's folder, and yet no result: the cache that may be deleted, and the sheet of `composer pictures`."""
KEPT = ("data.safetensors", "data.json", STAGE)
"""Of a stage in the cache; the rest of its files is made again from these."""


def file_digest(file: Path) -> str:
    """sha256 of a file's content, read once per process unless the file changes."""
    facts = file.stat()
    known = (str(file), facts.st_ino, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_size)
    if known not in _digests_known:
        with file.open("rb") as content:
            _digests_known[known] = hashlib.file_digest(content, "sha256").hexdigest()
    return _digests_known[known]


_digests_known: dict[tuple[str, int, int, int, int], str] = {}


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
    run["stages_kept"] = {}
    for stage in sorted(stages):
        home = f"{stage.parent.name}/{stage.name}"
        stored = json.loads((stage / STAGE).read_text(encoding="utf-8"))[FILES]  # hashed when they were written
        kept = {name: stored.get(name) or file_digest(stage / name) for name in KEPT}
        run["stages_kept"] |= {f"{home}/{name}": digest for name, digest in kept.items()}
    run["files"] = _digests(folder, own_files(folder))
    _write(folder, run)


def renew(folder: Path, *names: str) -> None:
    """Takes files that composer has written anew, such as `report.html`, into the hashes of a sealed run."""
    run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    if "files" in run:
        run["files"] = dict(sorted({**run["files"], **_digests(folder, (folder / name for name in names))}.items()))
        _write(folder, run)


def seal_of(run: Mapping[str, Any]) -> str:
    """sha256 of a record's own content, its `seal` left out."""
    content = {key: value for key, value in run.items() if key != SEAL}
    return hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record, its own hash added."""
    return {**record, SEAL: seal_of(record)}


def read_sealed(file: Path) -> dict[str, Any] | None:
    """The record that `sealed` made; None where there is none, or where it is not what was written."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and record.get(SEAL) == seal_of(record) else None


def _digests(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    return {file.relative_to(folder).as_posix(): file_digest(file) for file in files}


def _write(folder: Path, run: dict[str, Any]) -> None:
    write_json(folder / RUN, sealed(run))
