"""Concepts written into a zoo's folder: whole or not at all, by any number of processes at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError

from composer.data.composed import ComposedModel
from composer.data.files import (
    clear_parts,
    make_writable,
    part_of,
    put_in_place,
    remove,
    write_json,
    write_text,
    writing,
)
from composer.data.images import Images
from composer.data.population import Population
from composer.errors import ComposerError
from composer.models.cards import front_matter, licence_facts
from composer.models.folder_files import CARD, CONFIG, WEIGHTS
from composer.models.model_folder import about
from composer.running.locking import held
from composer.running.storage import pack, read_tensors, write_tensors
from composer.version import __version__
from composer.zoo.entry import (
    FILE,
    FORMAT,
    PROBES,
    Concept,
    ConceptRecord,
    Kind,
    how_known,
    is_concept,
    require_replaceable,
)

LOCK = ".zoo.lock"
"""Held for the moment in which a concept is put in place or taken away."""
MOST_PROBES = 16
"""Pictures that are kept of a concept, with it and without it each."""
PROBE_SIZE = 128
"""Height and width of these at most."""


@dataclass(frozen=True)
class Entry:
    """What is written of a concept: its networks, its facts, and a few pictures that it did not learn from.

    picked: the member that people get. probes: labelled with the concept.
    """

    population: Population
    synonyms: tuple[str, ...] = ()
    kind: Kind | None = None
    auc: float | None = None
    pictures: int | None = None
    source: str = ""
    licence: str = ""
    picked: int = 0
    probes: Images | None = None

    @property
    def name(self) -> str:
        return self.population.concept

    @property
    def probe_size(self) -> int:
        """Height and width of the pictures that are kept."""
        return min(self.population.preprocessing.size, PROBE_SIZE)

    def record(self) -> ConceptRecord:
        """The content of concept.json."""
        return ConceptRecord(
            format=FORMAT,
            composer_version=__version__,
            name=self.name,
            synonyms=list(self.synonyms),
            kind=self.kind,
            auc=None if self.auc is None else round(self.auc, 6),
            pictures=self.pictures,
            source=self.source,
            licence=self.licence,
        )

    def config(self) -> dict[str, Any]:
        """What `composer.load` needs to know beside the weights, as of any model folder."""
        facts, _ = pack(self._model())
        picked_by = "agreement with the other members" if len(self.population) > 1 else "the only member"
        name, architectures = self.name, [self.population.architecture.name]
        known = about(architectures, name, [name], name, (self.picked, picked_by))
        return {"type": "ComposedModel", **facts, **known}

    def write(self, folder: Path) -> None:
        """Fills an empty folder."""
        _, tensors = pack(self._model())
        write_tensors(folder / WEIGHTS, tensors)
        write_json(folder / CONFIG, self.config())
        if self.probes is not None:
            shown = torch.from_numpy(self.probes.labels[self.name])
            write_tensors(folder / PROBES, {"pixels": self.probes.at(self.probe_size), "shown": shown})
        write_text(folder / CARD, card(self.record()))
        write_json(folder / FILE, self.record().model_dump())

    def _model(self) -> ComposedModel:
        return ComposedModel((self.population,), self.population.members)


def put(zoo: Path, entry: Entry, replace: bool = False) -> Path:
    """Writes a concept into the zoo; ComposerError where one of that name is there and is not to be replaced."""
    home = zoo / entry.name
    part = part_of(home)
    with _prepared(zoo):
        try:
            part.mkdir()
            entry.write(part)
            with held(zoo / LOCK):
                if os.path.lexists(home):
                    require_replaceable(home, replace)
                put_in_place(part, home)
        finally:
            remove(part)
    return home


def take_away(zoo: Path, name: str) -> None:
    """Removes a concept's folder, or one that is damaged; ComposerError where there is none."""
    home = zoo / name
    old = part_of(home)
    with writing(home):
        with held(zoo / LOCK):
            if not is_concept(home):
                raise ComposerError(f"the zoo {zoo} has no concept {name!r} any more")
            home.rename(old)
        remove(old)


def read_probes(concept: Concept) -> Images | None:
    """The pictures that are kept of a concept, labelled with it; None where there are none."""
    file = concept.folder / PROBES
    if not file.is_file():
        return None
    try:
        tensors = read_tensors(file)
        pixels, shown = tensors["pixels"], tensors["shown"].numpy()
        names = [f"{concept.name} {'yes' if one else 'no'} {index}" for index, one in enumerate(shown)]
        return Images(names, {concept.name: shown}, pixels)
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        raise ComposerError(f"{file}: damaged ({error}); learn {concept.name!r} again") from error


def card(record: ConceptRecord) -> str:
    """What the folder is, for people who open it."""
    facts = {
        "also called": ", ".join(record.synonyms),
        "how well it is known": how_known(record),
        "where it came from": record.source or "not said",
        "licence": record.licence or "not said",
    }
    lines = "\n".join(f"- **{what}**: {said}" for what, said in facts.items() if said)
    return (
        f"{concept_front_matter(record.licence)}\n# {record.name}\n\n"
        f"Tells pictures that show **{record.name}** from all others: a concept of a zoo of composer "
        f"{record.composer_version}.\n\n{lines}\n\n```python\nimport composer\n\n"
        'model = composer.load(".")\nprint(model.predict(["a.jpg"]))\n```\n'
    )


def concept_front_matter(licence: str = "") -> str:
    """How a card begins. licence: in words, empty where it is not known."""
    facts = {"library_name": "composer", "pipeline_tag": "image-classification"}
    return front_matter(facts | licence_facts(licence))


def prepare(zoo: Path) -> None:
    """Makes the zoo's folder where it is missing; ComposerError where it cannot be written, before any work."""
    another = "; name another folder (--zoo, or the environment variable COMPOSER_ZOO)"
    make_writable(zoo, f"the zoo {zoo}", another)


@contextmanager
def _prepared(zoo: Path) -> Iterator[None]:
    """The zoo's folder, made where it is missing, and cleared of what dead processes left."""
    prepare(zoo)
    with writing(zoo):
        if os.name != "nt":  # there nothing tells whether a process of that number is alive
            clear_parts(zoo)
        yield
