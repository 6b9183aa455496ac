"""Hashes of all that a run holds and was made from, in its run.json; nothing here imports torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from composer.data.files import write_json

RUN = "run.json"
STAGE = "stage.json"
FILES = "files"
"""In a stage's record: each of its files -> sha256."""
SEAL = "seal"
NO_RESULTS = ("stages", "pictures.png")
"""In a run's folder, and yet no result: the stages that older versions kept there, and `composer pictures`' sheet."""
KEPT = ("data.safetensors", "data.json")
"""Of a stage in the store: its result."""


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
    """The results in a run's folder, by name: everything but run.json, what is no result, and hidden files."""
    found = []
    for file in sorted(folder.rglob("*")):
        parts = file.relative_to(folder).parts
        hidden = any(part.startswith(".") for part in parts)
        if file.is_file() and not hidden and parts[0] not in NO_RESULTS and parts != (RUN,):
            found.append(file)
    return found


def kept_digests(stages: Iterable[Path]) -> dict[str, str]:
    """`stage/file` -> sha256 of the results in some stages of the store, as they were hashed when they were written."""
    found = {}
    for stage in sorted(stages):
        stored = json.loads((stage / STAGE).read_text(encoding="utf-8"))[FILES]
        found.update({f"{stage.name}/{name}": stored[name] for name in KEPT})
    return found


def seal(folder: Path, inputs: Mapping[str, str], store: Path, kept: Mapping[str, str]) -> None:
    """Adds to a finished run's run.json what it holds and was made from, as docs/report.md describes it.

    inputs: file -> sha256. kept: the same of the stages in the store that the results came from.
    """
    run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    run["inputs"] = dict(inputs)
    run["store"] = str(store.absolute())
    run["stages_kept"] = dict(kept)
    run["files"] = _digests(folder, own_files(folder))
    _write(folder, run)


def renew(folder: Path, *names: str) -> None:
    """Takes files that composer has written anew, such as `report.html`, into the hashes of a sealed run."""
    run = json.loads((folder / RUN).read_text(encoding="utf-8"))
    if "files" in run:
        run["files"] = dict(sorted({**run["files"], **_digests(folder, (folder / name for name in names))}.items()))
        _write(folder, run)


def sealed(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record, the sha256 of its own content added or renewed."""
    content = {key: value for key, value in record.items() if key != SEAL}
    own = hashlib.sha256(json.dumps(content, sort_keys=True, ensure_ascii=False).encode()).hexdigest()
    return {**content, SEAL: own}


def is_sealed(record: Mapping[str, Any]) -> bool:
    """Whether a record's content is what `sealed` hashed."""
    return bool(record.get(SEAL) == sealed(record)[SEAL])


def read_sealed(file: Path) -> dict[str, Any] | None:
    """The record that `sealed` made; None where there is none, or where it is not what was written."""
    try:
        record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    return record if isinstance(record, dict) and is_sealed(record) else None


def _digests(folder: Path, files: Iterable[Path]) -> dict[str, str]:
    return {file.relative_to(folder).as_posix(): file_digest(file) for file in files}


def _write(folder: Path, run: dict[str, Any]) -> None:
    write_json(folder / RUN, sealed(run))
