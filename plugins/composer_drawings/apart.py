"""What training pictures must not show."""

from __future__ import annotations

from collections.abc import Sequence

from composer import Split
from composer_drawings.factors import FACTOR_OF


def kept_apart(split: Split, concept: str, held_out: Sequence[str]) -> tuple[list[str], list[str]]:
    """(concepts that no training picture of `concept` shows all of, concepts that it shows none of).

    An attribute's pictures do not show the recipe's object, nor the object's all of the recipe's attributes. Of those
    `held_out`, a kind's pictures show no colour, pattern or size, and all others no kind.
    """
    last = split.concepts[-1]
    together = [other for other in (split.concepts[:-1] if concept == last else (last,)) if other in FACTOR_OF]
    never = [other for other in held_out if (FACTOR_OF[other] == "kind") != (FACTOR_OF[concept] == "kind")]
    return ([] if set(together) & set(never) else together), never
