"""Parents side by side."""

from __future__ import annotations

from collections.abc import Sequence

from composer import ComposedModel, ComposerError, Population, Run


def product(parents: Sequence[Population], run: Run) -> ComposedModel:
    """Members i of all parents together, as many as the smallest has; a parent of one member serves all.

    ComposerError where a parent has no head.
    """
    require_heads(parents, "product")
    several = [len(parent) for parent in parents if len(parent) > 1]
    count = min(several, default=1)
    left_out = sum(members - count for members in several)
    if left_out:
        run.warn(f"product: members go together one by one, and {left_out} of the larger populations had no partner")
    parts = tuple(parent if len(parent) in (1, count) else parent.select(range(count)) for parent in parents)
    names = zip(*(part.members * (count // len(part)) for part in parts), strict=True)
    return ComposedModel(parts, tuple(" x ".join(members) for members in names))


def require_heads(parents: Sequence[Population], who: str) -> None:
    """Raises ComposerError unless all parents give log-odds."""
    for parent in parents:
        if not parent.has_head:
            raise ComposerError(f"{who}: {parent.why_no_log_odds}")
