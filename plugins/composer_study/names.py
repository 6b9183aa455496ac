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


def sources(members: Sequence[str], parents: Sequence[Sequence[str]]) -> list[tuple[int, int] | None]:
    """For each member (parent, index) of the one it was made from, as far as its name says; parents attribute first.

    `M A` was made from M of the object, `M B` from M of an attribute (`M B small`: from the attribute that comes
    first in name order of parents with an M), `M shuffled` from M of any parent. M is a member's name or its number.
    """
    by_name = [{name: index for index, name in enumerate(parent)} for parent in parents]
    by_number = [numbered(parent) for parent in parents]
    found: list[tuple[int, int] | None] = []
    for member in members:
        base, _, ending = member.rpartition(" ")
        order = list(range(len(parents)))
        if ending == "A":
            order = order[-1:]
        elif ending == "B":
            order = order[:-1]
        elif ending != "shuffled":
            order = []
        found.append(_find(base, order, by_name, by_number, ending in ("A", "B")))
    return found


def _find(
    base: str,
    order: Sequence[int],
    by_name: Sequence[dict[str, int]],
    by_number: Sequence[dict[int, int]],
    numbers: bool,
) -> tuple[int, int] | None:
    for parent in order:
        if base in by_name[parent]:
            return parent, by_name[parent][base]
    if numbers and base.isdigit():
        for parent in order:
            if int(base) in by_number[parent]:
                return parent, by_number[parent][int(base)]
    return None
