"""Files of weights as a population: every file is checked against the architecture."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from torch import Tensor

from composer import (
    Architecture,
    ComposerError,
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


def read_population(options: Checkpoints, concept: str, run: Run) -> Population:
    """The population of all matched files; ComposerError names the file that cannot be part of it."""
    files = options.files()
    reader = WeightsReader(options.architecture)
    first = read_state_file(files[0], options.key)
    held = reader.members(first) if may_be_stacked(files) else None
    if held is not None:
        weights, names = _stacked(reader, first, files[0], held, options)
    else:
        found = run.progress(_each(files, first, options), "reading checkpoints", len(files))
        weights, names = stack([reader.fit(state, file) for file, state in found]), member_names(files)
    outputs = concept_outputs(options, concept, weights[f"{options.architecture.head}.weight"].shape[1], files[0])
    mean, std = options.mean or options.architecture.mean, options.std or options.architecture.std
    preprocessing = Preprocessing(input_size(options.architecture), mean, std)
    return Population(concept, options.architecture, weights, names, preprocessing, outputs)


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


def concept_outputs(options: Checkpoints, concept: str, count: int, file: Path) -> tuple[int, ...]:
    """Which of the `count` outputs mean the concept: as asked for, by their names, or else the first."""
    names = options.class_names()
    if names is not None and len(names) != count:
        raise ComposerError(f"checkpoints: names: there are {len(names)}, and {file} has {count} outputs")
    if options.outputs is not None:
        if not set(options.outputs) < set(range(count)):
            raise ComposerError(
                f"checkpoints: outputs {list(options.outputs)} cannot mean the concept: {file} has outputs 0 to "
                f"{count - 1}, of which some must mean it and others not"
            )
        return options.outputs
    if names is None:
        return (0,)
    called = tuple(index for index, name in enumerate(names) if name == concept)
    return tuple(options.class_groups().get(concept, called))


def input_size(architecture: Architecture) -> int:
    """Height and width of an architecture's input, from its option `size`."""
    size = getattr(architecture, "size", None)
    if not isinstance(size, int):
        raise ComposerError(f"architecture {architecture.name!r} has no option 'size', the pixels a side of its input")
    return size


def member_names(files: Sequence[Path]) -> tuple[str, ...]:
    """The files' names without endings, or their paths from a common folder where two would be called the same."""
    names = tuple(file.stem for file in files)
    if len(set(names)) == len(names):
        return names
    home = os.path.commonpath([file.parent for file in files])
    return tuple(file.relative_to(home).as_posix() for file in files)
