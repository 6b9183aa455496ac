"""The words of the drawn world, and the phrases over it that were written down before they could be read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from composer_english.words import Choose, Kind, Words

LIST = Path(__file__).with_name("phrases.yaml")


@dataclass(frozen=True)
class Entry:
    """As much of a zoo's concept as words need."""

    name: str
    synonyms: Sequence[str] = ()
    kind: Kind | None = None


@cache
def listed() -> dict[str, Any]:
    content: dict[str, Any] = yaml.safe_load(LIST.read_text(encoding="utf-8"))
    return content


def drawn(choose: Choose | None = None, without: Sequence[str] = (), kinds: bool = True) -> Words:
    """The words of the drawn world, with the synonyms of the list."""
    named: dict[Kind, dict[str, list[str]]] = listed()["concepts"]
    entries = [
        Entry(name, synonyms, kind if kinds else None)
        for kind, concepts in named.items()
        for name, synonyms in concepts.items()
        if name not in without
    ]
    return Words(entries, choose)
