"""What a recipe's evaluators declare of their scores; nothing here imports torch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

from composer.data.score_info import ScoreInfo
from composer.interfaces import Evaluator


def declared_scores(evaluators: Mapping[str, Evaluator]) -> dict[str, ScoreInfo]:
    """What a recipe's evaluators declare; where two of them have a title, their labels tell them apart."""
    found = {f"{label}.{info.name}": info for label, one in evaluators.items() for info in type(one).scores}
    titles = Counter(info.title for info in found.values())
    return {
        name: _labelled(info, name.partition(".")[0]) if titles[info.title] > 1 else info
        for name, info in found.items()
    }


def _labelled(info: ScoreInfo, label: str) -> ScoreInfo:
    return replace(info, title=f"{info.title} ({label})", column=f"{label}\n{info.column}" if info.column else "")
