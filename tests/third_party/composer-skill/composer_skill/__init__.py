"""The evaluator `skill`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from composer import Component, Contract, Evaluator, Run, ScoreInfo, hook
from pydantic import Field

if TYPE_CHECKING:
    from composer import ComposedModel, Images, Report

Rule = Literal["brier", "log"]


class Skill(Evaluator):
    """Skill of the probabilities: how much better their proper score is than that of always saying the target's share.

    1 is perfect, 0 no better than that constant, and below 0 worse. Models without log-odds get no score.
    """

    name = "skill"
    scores = (
        ScoreInfo("brier", "Brier skill score", "Brier\nskill", main=True),
        ScoreInfo("log", "log skill score", "log\nskill", compared=True),
    )
    contract = Contract(reference="Gneiting and Raftery 2007, doi:10.1198/016214506000001437")

    rules: tuple[Rule, ...] = Field(("brier", "log"), min_length=1, description="proper scoring rules to judge by")

    def evaluate(self, model: ComposedModel, images: Images, run: Run) -> Report:
        from composer_skill.forecasts import evaluate  # imports torch and scoringrules

        return evaluate(model, images, self.rules, run)


@hook
def composer_components() -> Iterable[type[Component]]:
    return [Skill]
