"""Models at hand taken for concepts: of runs and model folders, of model sources, and populations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import Field

from composer.data.files import read_part
from composer.data.images import Images
from composer.data.population import Population
from composer.data.records import ParentRecord, PicturesRecord, Record
from composer.data.run import Run
from composer.errors import ComposerError
from composer.interfaces import ModelSource
from composer.models.at_hand import fetched_from
from composer.models.cards import licence_of
from composer.models.folder_files import CARD, MODELS, REPORT
from composer.models.model_folder import ModelFolder, open_folder
from composer.zoo.entry import FILE, Concept, read_concept
from composer.zoo.learning import described, renamed
from composer.zoo.writing import Entry, read_probes


class ParentsRecord(Record):
    """As much of report.json as says how well parents know their concepts."""

    parents: dict[str, ParentRecord] = Field(default={})
    images: PicturesRecord | None = None


def entry_of(model: Population | ModelSource | str | Path, concept: str, source: str = "", called: str = "") -> Entry:
    """A model as the entry of a concept; ComposerError where it does not know it, or gives no log-odds.

    called: what the model itself calls the concept: a class or a network of a composition; default the concept's name.
    """
    if isinstance(model, Population):
        return _entry(model, concept, source)
    if isinstance(model, ModelSource):
        called = called or concept
        for option, message in model.problems((called,)):
            raise ComposerError(": ".join(part for part in (model.name, option, message) if part))
        what = described(model) if called == concept else f"{described(model)}, {called}"
        return _entry(model.load(called, Run()), concept, source or what)
    place, where = fetched_from(model)
    with open_folder(place) as home:
        return _of_folder(home, concept, source or where, called)


def _of_folder(home: ModelFolder, concept: str, source: str, called: str) -> Entry:
    names = [part["concept"] for part in home.parts]
    wanted = called or concept
    if wanted not in names and (called or len(names) > 1):
        raise ComposerError(
            f"{home.path}: its networks know {', '.join(names)}; name one of them (--output), or "
            f"give the folder of another composition, in {MODELS}/"
        )
    index = names.index(wanted) if wanted in names else 0
    population = home.population(index)
    picked = home.member(None) if len(population) > 1 else 0
    entry = replace(_entry(population, concept, source or f"{home.name} of {_run(home).name}"), picked=picked)
    if (home.path / FILE).is_file():
        return _with_facts(entry, read_concept(home.path.absolute(), anywhere=True), source)
    entry = replace(entry, licence=licence_of(home.path / CARD))
    quality = _quality(_run(home) / REPORT, names[index])
    return entry if quality is None else replace(entry, auc=quality[0], pictures=quality[1])


def _with_facts(entry: Entry, known: Concept, source: str) -> Entry:
    """The entry with all that another zoo knows of it, its pictures too."""
    probes = read_probes(known)
    if probes is not None:
        probes = Images(probes.names, {entry.name: probes.labels[known.name]}, probes.at(entry.probe_size))
    return replace(
        entry,
        synonyms=tuple(word for word in known.synonyms if word != entry.name),
        kind=known.kind,
        auc=known.auc,
        pictures=known.pictures,
        source=source or known.source,
        licence=known.licence,
        probes=probes,
    )


def _entry(population: Population, concept: str, source: str) -> Entry:
    if not population.has_head:
        raise ComposerError(f"{concept}: {population.why_no_log_odds}")
    return Entry(renamed(population, concept), source=source)


def _run(home: ModelFolder) -> Path:
    place = home.path.absolute()
    return place.parent.parent if place.parent.name == MODELS else place


def _quality(file: Path, concept: str) -> tuple[float, int] | None:
    """(median AUC on the run's test pictures, their number) of a parent; None where the run does not say."""
    if not file.is_file():
        return None
    report = read_part(file, ParentsRecord)
    scores: Mapping[str, Any] = report.get("parents", {}).get(concept, {}).get("scores", {})
    images = report.get("images")
    if "auc" not in scores or images is None:
        return None
    return float(scores["auc"]["median"]), int(images["count"])
