"""The network in a file of weights, recognised by names and shapes or said by the user, as a population of one."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from composer.data.population import Population, Preprocessing
from composer.data.run import Run
from composer.errors import ComposerError
from composer.models.inspection import recognised_in
from composer.models.network_weights import WeightsReader
from composer.networks.architecture import Architecture
from composer.networks.state_file import StateFile, read_state_file
from composer.registry import load_registry

MAPPING = "{use: NAME, ...}"
"""How an architecture is written, as messages say it."""
SAY_WHICH = f"--architecture '{MAPPING}'"
"""How to say what network a file holds."""


@dataclass(frozen=True)
class Recognised:
    """An architecture that a plugin offers, how pixels become its input, and its classes, where they are known."""

    architecture: Architecture
    prepared: Preprocessing | None = None
    classes: tuple[str, ...] = ()


def read_network(
    file: Path, architecture: Architecture | None, run: Run, say_which: str = SAY_WHICH
) -> tuple[Population, int, tuple[str, ...]]:
    """The network in a file, how many outputs it has, and their names where they are known.

    architecture: left out, recognised. say_which: how to say it of this file. Where the file holds several networks,
    `run` is warned of which was taken. ComposerError where no plugin knows the network.
    """
    state = read_state_file(file)
    known = recognised_architecture(file, state, say_which) if architecture is None else Recognised(architecture)
    population, outputs, notes = population_of(file, state, known.architecture, known.prepared)
    for note in notes:
        run.warn(note if file.name in note else f"{file.name}: {note}")
    return population, outputs, known.classes


def recognised_architecture(file: Path, state: StateFile, say_which: str = SAY_WHICH) -> Recognised:
    """The architecture of a file's network; ComposerError where no plugin knows it."""
    known, _ = recognised_in(state, file, load_registry())
    if known is None or known.differences or known.instance is None:
        raise ComposerError(f"{file}: holds no network that a plugin knows; say which it is, {say_which}")
    return Recognised(known.instance, known.prepared, known.classes)


def population_of(
    file: Path, state: StateFile, architecture: Architecture, prepared: Preprocessing | None
) -> tuple[Population, int, tuple[str, ...]]:
    """A network of an architecture, how many outputs it has, and notes; of several stacked in the file the first.

    prepared: how pixels become its input, if that is known; else what is usual for the architecture.
    """
    reader = WeightsReader(architecture)
    prepared = prepared or Preprocessing(architecture.input_size, architecture.mean, architecture.std)
    members = reader.members(state)
    if members is not None:
        weights = {name: tensor[:1] for name, tensor in reader.fit_stacked(state, file, members).items()}
        outputs = weights[reader.head[0]].shape[1]
        notes: tuple[str, ...] = (f"the first of the {members} networks in the file",)
    else:
        found = reader.find(state, file)
        weights, outputs, notes = {name: each[None] for name, each in found.weights.items()}, found.outputs, found.notes
        if found.normalisation is not None:
            prepared = Preprocessing(prepared.size, *found.normalisation)
    return Population(architecture.name, architecture, weights, (file.stem,), prepared), outputs, notes
