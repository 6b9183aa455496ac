"""What each stage of a folder's last run was made from, so that the next one can say why it computes again."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from composer.data.files import read_json, remove, write_json

LAST = ".last.json"


def recall(folder: Path) -> dict[str, dict[str, Any]]:
    """`stage for subject` -> what it was made from; empty where there was no run, or the record is damaged."""
    try:
        known = read_json(folder / LAST)
    except (OSError, ValueError, RecursionError):
        return {}
    items = known.items() if isinstance(known, dict) else ()
    return {title: identity for title, identity in items if isinstance(identity, dict)}


def remember(folder: Path, identities: Mapping[str, Mapping[str, Any]]) -> None:
    """Writes down what the stages of this run were made from."""
    if (folder / LAST).is_dir():
        remove(folder / LAST)
    write_json(folder / LAST, dict(identities))
