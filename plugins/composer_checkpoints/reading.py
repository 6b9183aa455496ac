"""Files of weights as a population: every file is checked against the architecture."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from composer import (
    ComposerError,
    FoundNetwork,
    Population,
    Preprocessing,
    Run,
    StateFile,
    WeightsReader,
    read_state_file,
    stack,
)
from composer_checkpoints import Checkpoints
from composer_checkpoints.matching import may_be_stacked


def read_population(options: Checkpoints, concept: str, run: Run, *, headless: bool = False) -> Population:
    """The population of all matched files; ComposerError names the file that cannot be part of it.

    headless: read for the features alone, so that no head is needed and none is there.
    """
    files = options.files()
    reader = WeightsReader(options.architecture)
    first = read_state_file(files[0], options.key)
    held = reader.members(first) if may_be_stacked(files) and not headless else None
    preprocessing = usual_preprocessing(options)
    head = f"{options.architecture.head}.weight"
    if held is not None:
        weights, names = _stacked(reader, first, files[0], held, options)
        count = rows = weights[head].shape[1]
    else:
        found = run.progress(_each(files, first, options), "reading checkpoints", len(files))
        networks = [reader.find(state, file, headless=headless) for file, state in found]
        weights, names = stack([network.weights for network in networks]), member_names(files)
        _tell(networks, run)
        preprocessing = stored_preprocessing(preprocessing, networks, files, options)
        if headless:
            return Population(concept, options.architecture, weights, names, preprocessing, ())
        count, rows = networks[0].outputs, weights[head].shape[1]
    outputs = concept_outputs(options, concept, count, rows, files[0])
    if options.outputs_are == "sigmoids" and count > 1:
        weights, outputs = sigmoid_of(weights, options.architecture.head, outputs, concept), (0,)
    return Population(concept, options.architecture, weights, names, preprocessing, outputs)


def _tell(networks: Sequence[FoundNetwork], run: Run) -> None:
    """Warns once of what was taken where files hold several networks."""
    notes = [note for network in networks for note in network.notes]
    if notes:
        more = f"; the same of {len(notes) - 1} more files" if len(notes) > 1 else ""
        run.warn(notes[0] + more)


def usual_preprocessing(options: Checkpoints) -> Preprocessing:
    """As the options say, else as is usual for the architecture."""
    mean, std = options.mean or options.architecture.mean, options.std or options.architecture.std
    return Preprocessing(options.architecture.input_size, mean, std)


def stored_preprocessing(
    usual: Preprocessing, networks: Sequence[FoundNetwork], files: Sequence[Path], options: Checkpoints
) -> Preprocessing:
    """With the mean and std that lie inside the networks, where they do; all must agree."""
    for file, network in zip(files, networks, strict=True):
        if network.normalisation != networks[0].normalisation:
            raise ComposerError(f"{file}: normalises pixels otherwise than {files[0]}; read them as two populations")
    if networks[0].normalisation is None:
        return usual
    if options.mean is not None or options.std is not None:
        raise ComposerError(
            f"{files[0]}: holds its own mean and std of pixels, {networks[0].normalisation}; leave out the options "
            "`mean` and `std`"
        )
    return replace(usual, mean=networks[0].normalisation[0], std=networks[0].normalisation[1])


def sigmoid_of(weights: Mapping[str, Tensor], head: str, outputs: Sequence[int], concept: str) -> Mapping[str, Tensor]:
    """Two outputs whose log-odds are the concept's own logit: its row, and one of zeros beside it."""
    if len(outputs) != 1:
        raise ComposerError(
            f"checkpoints: outputs_are: {len(outputs)} outputs mean {concept!r}, and of independent sigmoids one must"
        )
    rows = {name: weights[name][:, list(outputs)] for name in (f"{head}.weight", f"{head}.bias")}
    return {**weights, **{name: torch.cat([row, torch.zeros_like(row)], dim=1) for name, row in rows.items()}}


def _each(files: Sequence[Path], first: StateFile, options: Checkpoints) -> Iterator[tuple[Path, StateFile]]:
    yield files[0], first
    for file in files[1:]:
        yield file, read_state_file(file, options.key)


def _stacked(
    reader: WeightsReader, found: StateFile, file: Path, held: int, options: Checkpoints
) -> tuple[Mapping[str, Tensor], tuple[str, ...]]:
    """Weights and names of the members in one file."""
    wanted = options.members or held
    if wanted > held:
        raise ComposerError(f"checkpoints: members: {wanted} networks are asked for, and {file} holds {held}")
    weights = reader.fit_stacked(found, file, held)
    names = tuple(f"{file.stem} {member}" for member in range(wanted))
    return {name: tensor[:wanted].clone() for name, tensor in weights.items()}, names


def concept_outputs(options: Checkpoints, concept: str, count: int, rows: int, file: Path) -> tuple[int, ...]:
    """Which outputs mean the concept: as asked for, or by their names; none where nothing says so.

    count: outputs in the file, of which a single one means the concept. rows: what they are read as.
    """
    names = options.output_names()
    if names is not None and len(names) != count:
        raise ComposerError(f"checkpoints: names: there are {len(names)}, and {file} has {count} outputs")
    if options.outputs is not None:
        if not set(options.outputs) < set(range(rows)):
            raise ComposerError(
                f"checkpoints: outputs {list(options.outputs)} cannot mean the concept: {file} has outputs 0 to "
                f"{rows - 1}, of which some must mean it and others not"
            )
        return options.outputs
    if names is None:
        return (0,) if count == 1 else ()
    named = tuple(index for index, name in enumerate(names) if name == concept)
    return tuple(options.class_groups().get(concept, named))


def member_names(files: Sequence[Path]) -> tuple[str, ...]:
    """The files' names without endings, or their paths from a common folder where two would be called the same."""
    names = tuple(file.stem for file in files)
    if len(set(names)) == len(names):
        return names
    home = os.path.commonpath([file.parent for file in files])
    return tuple(file.relative_to(home).as_posix() for file in files)
