"""What training pictures must not show."""

from __future__ import annotations

from collections.abc import Sequence

from composer import Split
from composer_drawings.factors import FACTOR_OF, FACTORS, possible


def kept_apart(split: Split, concept: str, held_out: Sequence[str]) -> tuple[list[list[str]], list[str]]:
    """(groups of concepts that no training picture of `concept` shows all of, concepts that it shows none of).

    Of each group that the recipe keeps apart, an attribute's pictures do not show the object (the last of it), nor the
    object's all of the attributes. Of those `held_out`, a kind's pictures show no colour, pattern or size, and all
    others no kind.
    """
    groups = [_hidden(group, concept) for group in split.kept_apart if possible(group)]
    never = [other for other in held_out if (FACTOR_OF.get(other) == "kind") != (FACTOR_OF.get(concept) == "kind")]
    apart = [group for group in groups if group and not set(group) & set(never)]
    return [list(group) for group in dict.fromkeys(map(tuple, apart))], never


def giving_way(group: Sequence[str]) -> str:
    """Which of a group another value takes the place of where a picture would show all of it: of the most values."""
    return max(group, key=lambda concept: len(FACTORS[FACTOR_OF[concept]]))


def used_up(split: Split, concept: str, held_out: Sequence[str]) -> list[str]:
    """The factors of which no value is left for the concept's training pictures."""
    groups, never = kept_apart(split, concept, held_out)
    taken = {*never, *map(giving_way, groups)}
    return [factor for factor, values in FACTORS.items() if taken & set(values) and set(values) <= taken]


def _hidden(group: Sequence[str], concept: str) -> list[str]:
    """Which of a group the pictures of a concept must not show all of: so they show the group neither."""
    *attributes, last = group
    of_the_object = FACTOR_OF.get(last, last) == FACTOR_OF.get(concept, concept)
    return [other for other in (attributes if of_the_object else [last]) if other in FACTOR_OF]
