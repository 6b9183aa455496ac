"""Members' names and the numbers in them: `cat_model_0229` is the source of `229 A`; no torch in here."""

from __future__ import annotations

import re
from collections.abc import Sequence


def number(name: str) -> int | None:
    """The last whole number in a name, or None: 229 of `cat_model_0229`."""
    found = re.findall(r"\d+", name)
    return int(found[-1]) if found else None


def numbered(members: Sequence[str]) -> dict[int, int]:
    """number -> index of the member that bears it; the first of several, and none for names without a number."""
    found: dict[int, int] = {}
    for index, name in enumerate(members):
        bears = number(name)
        if bears is not None:
            found.setdefault(bears, index)
    return found
