"""What a run is about to replace in its folder, so that nobody loses results without a word; no torch in here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from composer.data.files import read_part
from composer.data.records import RunRecord
from composer.errors import ComposerError
from composer.results.comparing import changed_keys, flatten, short
from composer.running.sealing import RUN

MOST_KEYS = 3


def replacement(folder: Path, document: Mapping[str, Any]) -> str:
    """Which run a run of `document` replaces, and how to keep both; empty where there is none, or the same recipe's."""
    if not (folder / RUN).is_file():
        return ""
    try:
        then, now = (flatten(each) for each in (read_part(folder / RUN, RunRecord).get("document", {}), document))
    except ComposerError:  # damaged: there is nothing to keep
        return ""
    keys = [key for key in changed_keys(then, now) if key != "root"]
    if not keys:
        return ""
    shown = list(dict.fromkeys(["seed", *keys]))
    before, after = (_listed(values, shown) for values in (then, now))
    return (
        f"{folder} holds the run with {before}; this one with {after} replaces it. "
        f"To keep both: --output {_beside(folder, now.get('seed') if 'seed' in keys else None)}"
    )


def _listed(values: Mapping[str, Any], keys: Sequence[str]) -> str:
    texts = [f"{key} {short(values.get(key))}" for key in keys[: MOST_KEYS + 1]]
    more = len(keys) - len(texts)
    return ", ".join(texts) + (f" and {more} more options" if more > 0 else "")


def _beside(folder: Path, seed: Any) -> Path:
    """A folder that is not there yet."""
    base = folder.name if seed is None else f"{folder.name}-seed-{seed}"
    names = [base, *(f"{base}-{number}" for number in range(2, 1000))]
    return next((folder.with_name(name) for name in names if not folder.with_name(name).exists()), folder)
