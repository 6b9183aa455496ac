"""The result of a stage that makes neither models nor scores: what JSON can hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Facts:
    """Texts, finite numbers, lists and mappings by name, such as what the page shows of a composition."""

    content: Mapping[str, Any]
