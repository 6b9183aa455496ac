"""What report.json and run.json of a run must hold to be read; more may stand there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from composer.data.expressions import cell_name
from composer.data.score_info import Statistic

Pair = Annotated[list[float], Field(min_length=2, max_length=2)]
Place = Annotated[str, StringConstraints(pattern=r"^[^\x00]+$")]
Digests = dict[Place, str]


class Record(BaseModel):
    """A mapping of which some keys are known: numbers are finite, and nothing is converted."""

    model_config = ConfigDict(extra="allow", strict=True, allow_inf_nan=False)


class ScoreRecord(Record):
    median: float
    picked: float
    picked_by: str
    picked_member: int = Field(ge=0)
    best: float
    best_member: int = Field(ge=0)
    interval: Pair | None
    labels: str
    higher_is_better: bool
    quartiles: Pair = Field(default=[0.0, 0.0])
    best_of_controls: dict[str, float] | None = None
    best_by_luck: float | None = None
    best_by_luck_of: str | None = None
    beats_controls: bool | None = None


class ArmRecord(Record):
    control: bool
    members: int = Field(ge=1)
    parameters: int = Field(ge=0)
    picked_member: int = Field(default=0, ge=0)
    picked_by: str = ""
    dead: int = Field(default=0, ge=0)
    labels: int = Field(default=0, ge=0)
    scores: dict[str, ScoreRecord]

    @model_validator(mode="after")
    def _has_its_members(self) -> ArmRecord:
        if self.picked_member >= self.members:
            raise ValueError(f"member {self.picked_member} was picked of the {self.members} that there are")
        for name, score in self.scores.items():
            if max(score.picked_member, score.best_member) >= self.members:
                raise ValueError(f"{name} is of a member beyond the {self.members} that there are")
        return self


def target_of(report: Mapping[str, Any]) -> str:
    """What a report's compositions were made for: `black+cat`; runs that were written before have no target."""
    return str(report.get("target") or cell_name(report["concepts"]))


def title_of_row(name: str, arm: Mapping[str, Any]) -> str:
    """A composition as tables name it: `few (20 labels)` where labelled pictures of the target were used."""
    labels = arm.get("labels", 0)  # runs that were written before have none
    return f"{name} ({labels} label{'' if labels == 1 else 's'})" if labels else name


class DeclaredRecord(Record):
    title: str = Field(min_length=1)
    column: str
    main: bool
    compared: bool
    gain: bool
    higher_is_better: bool
    labels: Literal["scoring", "fitting"]
    shows: list[Statistic]


class JudgedModels(Record):
    """As much of report.json as whoever loads a model needs."""

    name: str
    concepts: list[str] = Field(min_length=1)
    seed: int
    compositions: dict[str, ArmRecord]
    declared: dict[str, DeclaredRecord] = Field(default={})


class ParentRecord(Record):
    members: int
    parameters: int
    measured: dict[str, dict[str, float]]
    scores: dict[str, ScoreRecord]


class ComparisonRecord(Record):
    composition: str
    control: str
    score: str
    difference: float
    interval: Pair
    p: float
    p_holm: float
    verdict: str


class PicturesRecord(Record):
    count: int
    positives: int
    cells: dict[str, int]


class GainRecord(Record):
    value: float | None
    interval: Pair | None
    why: str


class OracleRecord(Record):
    trained: bool
    why: str
    score: str = ""
    scores: dict[str, ScoreRecord] = Field(default={})
    parents: dict[str, dict[str, ScoreRecord]] = Field(default={})
    gains: dict[str, GainRecord] = Field(default={})


class ReportRecord(JudgedModels):
    """report.json."""

    version: str
    images: PicturesRecord | None
    not_judged: str | None = None
    parents: dict[str, ParentRecord] = Field(default={})
    comparisons: list[ComparisonRecord]
    warnings: list[str]
    oracle: OracleRecord | None = None

    @model_validator(mode="after")
    def _names_what_is_there(self) -> ReportRecord:
        if (self.images is None) != (self.not_judged is not None):
            raise ValueError("images and not_judged: one of the two is null, and only one")
        named = [name for one in self.comparisons for name in (one.composition, one.control)]
        named += list(self.oracle.gains) if self.oracle else []
        for name in named:
            if name not in self.compositions:
                raise ValueError(f"{name!r} is compared and is none of the compositions")
        return self


class RunRecord(Record):
    """run.json; what `verify` compares is there once the run is sealed."""

    finished: str
    versions: dict[str, str]
    device: str
    peak_memory: int = 0
    device_memory: int = 0
    seal: str | None = None
    inputs: Digests = Field(default={})
    store: str = ""
    stages_kept: Digests = Field(default={})
    files: Digests = Field(default={})
    document: dict[str, Any] = Field(default={})
    recipe_file: list[Place] | None = Field(default=None, min_length=2, max_length=2)

    @model_validator(mode="after")
    def _is_whole_once_sealed(self) -> RunRecord:
        needed = ("inputs", "stages_kept", "files", "document", "recipe_file")
        if self.seal is not None and (lacking := [name for name in needed if name not in self.model_fields_set]):
            raise ValueError(f"it has a seal and lacks {', '.join(lacking)}")
        return self


class PageRecord(Record):
    """page.json; its format decides who reads it."""

    format: int
