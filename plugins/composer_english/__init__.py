"""Reads phrases in English: "small black cats without stripes" as a formula of a zoo's concepts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from composer import hook

if TYPE_CHECKING:
    from composer import Concept, Understanding


@hook
def composer_understand(
    phrase: str, concepts: Sequence[Concept], choose: Callable[[str, Sequence[str]], str] | None
) -> Understanding:
    from composer_english.near_words import usual_encoder
    from composer_english.reading import understand
    from composer_english.words import Words

    return understand(phrase, Words(concepts, choose, usual_encoder()))
