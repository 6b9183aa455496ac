"""What an evaluator's class declares of its scores: what people call them, and what they are for.

Nothing here imports torch when it is imported, so that recipes and reports are read quickly.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

Labels = Literal["scoring", "fitting"]
Statistic = Literal["picked", "interval", "median", "best", "best_by_luck"]


@dataclass(frozen=True)
class ScoreInfo:
    """One score of an evaluator, by the name that its reports give it (`kmeans.accuracy`).

    title: what a sentence calls it. column: the heading of its column, lines parted by newlines; without one it has no
    column. main: compositions are compared and chosen by it. compared: differences from controls are tested in it;
    left out, they are in a main score. gain: composition gain is measured in it. higher_is_better, labels: as of every
    `Score` of this name. shows: which numbers its columns hold; left out, the picked member's and, of a main score, its
    interval.
    """

    name: str
    title: str
    column: str = ""
    main: bool = False
    compared: bool | None = None
    gain: bool = False
    higher_is_better: bool = True
    labels: Labels = "scoring"
    shows: tuple[Statistic, ...] = ()

    def __post_init__(self) -> None:
        if not self.name or not self.title:
            raise ValueError(f"a score needs a name and a title, not {self.name!r} and {self.title!r}")
        object.__setattr__(self, "compared", self.main if self.compared is None else self.compared)
        usual: tuple[Statistic, ...] = ("picked", "interval") if self.main else ("picked",)
        object.__setattr__(self, "shows", tuple(self.shows) or usual)

    def facts(self) -> dict[str, Any]:
        """As report.json shows it."""
        return {key: list(value) if key == "shows" else value for key, value in asdict(self).items() if key != "name"}


Declared = Mapping[str, ScoreInfo]
"""`LABEL.NAME` of a score, as reports name it -> what is declared of it, in the order of the recipe and the class."""


def read_declared(report: Mapping[str, Any]) -> dict[str, ScoreInfo]:
    """What the content of report.json says of its scores; nothing where an older composer wrote it."""
    return {name: ScoreInfo(name, **facts) for name, facts in report.get("declared", {}).items()}


def main_score(declared: Declared, present: Iterable[str]) -> str | None:
    """The score to go by, among those that there are: a main one, else a declared one, else the first."""
    there = list(dict.fromkeys(present))
    mains = [name for name, info in declared.items() if info.main and name in there]
    others = [name for name in declared if name in there]
    return next(iter([*mains, *others, *there]), None)


def title_of(declared: Declared, name: str) -> str:
    """What a sentence calls a score: its title or, where nobody declared it, its name."""
    return declared[name].title if name in declared else name


def best_of(values: Mapping[str, float], higher_is_better: bool) -> str:
    """Whose value is best, of equals the first."""
    return (max if higher_is_better else min)(values, key=lambda name: values[name])
