"""Files of weights as a population: every file is checked against the architecture."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from composer import Architecture, ComposerError, Population, Preprocessing, Run, stack
from composer_checkpoints import Checkpoints
from composer_checkpoints.files import COUNTER, read_state
from composer_checkpoints.matching import may_be_stacked

Shapes = Mapping[str, tuple[int, ...]]


def read_population(options: Checkpoints, concept: str, run: Run) -> Population:
    """The population of all matched files; ComposerError names the file that cannot be part of it."""
    files = options.files()
    architecture = options.architecture
    first = read_state(files[0])
    head = first.get(f"{architecture.head}.weight")
    stacked = head is not None and head.ndim == 3 and may_be_stacked(files)  # [M, K, D], alone [K, D]
    outputs = head.shape[-2] if head is not None and head.ndim in (2, 3) else 2  # else the shapes are wrong anyhow
    if not set(options.outputs) < set(range(outputs)):
        raise ComposerError(
            f"checkpoints: outputs {list(options.outputs)} cannot mean the concept: {files[0]} has outputs 0 to "
            f"{outputs - 1}, of which some must mean it and others not"
        )
    shapes = expected_shapes(architecture, outputs)
    if stacked:
        weights, names = _stacked(files[0], first, shapes, options)
    else:
        weights = stack(list(_states(run.progress(files, "reading checkpoints", len(files)), shapes, architecture)))
        names = member_names(files)
    require_finite(weights, names)
    preprocessing = Preprocessing(input_size(architecture), options.mean, options.std)
    return Population(concept, architecture, weights, names, preprocessing, options.outputs)


def _states(files: Iterable[Path], shapes: Shapes, architecture: Architecture) -> Iterable[dict[str, Tensor]]:
    for file in files:
        state = read_state(file)
        require_shapes(file, {key: tuple(tensor.shape) for key, tensor in state.items()}, shapes, architecture)
        yield {name: state[name] for name in shapes}


def _stacked(
    file: Path, state: Mapping[str, Tensor], shapes: Shapes, options: Checkpoints
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Weights and names of the members in one file."""
    members = len(state[f"{options.architecture.head}.weight"])
    met = {key: tuple(tensor.shape) for key, tensor in state.items()}
    require_shapes(file, met, {key: (members, *shape) for key, shape in shapes.items()}, options.architecture)
    wanted = options.members or members
    if wanted > members:
        raise ComposerError(f"checkpoints: members: {wanted} networks are asked for, and {file} holds {members}")
    names = tuple(f"{file.stem} {member}" for member in range(wanted))
    return {name: state[name][:wanted].clone() for name in shapes}, names


def input_size(architecture: Architecture) -> int:
    """Height and width of an architecture's input, from its option `size`."""
    size = getattr(architecture, "size", None)
    if not isinstance(size, int):
        raise ComposerError(f"architecture {architecture.name!r} has no option 'size', the pixels a side of its input")
    return size


def expected_shapes(architecture: Architecture, outputs: int) -> Shapes:
    """key -> shape of a member's weights and running statistics."""
    with torch.device("meta"):
        state = architecture.build(outputs).state_dict()
    return {key: tuple(tensor.shape) for key, tensor in state.items() if not key.endswith(COUNTER)}


def require_shapes(file: Path, met: Shapes, wanted: Shapes, architecture: Architecture) -> None:
    """Raises ComposerError that says all that does not fit."""
    faults = [
        f"{key!r} is {list(met[key])} instead of {list(shape)}"
        for key, shape in wanted.items()
        if key in met and met[key] != shape
    ]
    if missing := [key for key in wanted if key not in met]:
        faults.append(f"missing: {_some(missing)}")
    if left_over := [key for key in met if key not in wanted]:
        faults.append(f"left over: {_some(left_over)}")
    if faults:
        raise ComposerError(
            f"{file}: is no checkpoint of architecture {architecture.name!r}: {'; '.join(faults)}. "
            "Change the options of the architecture, or narrow the pattern"
        )


def require_finite(weights: Mapping[str, Tensor], names: Sequence[str]) -> None:
    """Raises ComposerError where a weight is NaN or infinite."""
    for key, tensor in weights.items():
        finite = tensor.flatten(1).isfinite().all(1)
        if broken := [name for name, fine in zip(names, finite.tolist(), strict=True) if not fine]:
            raise ComposerError(
                f"checkpoints: {key!r} holds NaN or infinite numbers in {_some(broken)}; leave them out"
            )


def member_names(files: Sequence[Path]) -> tuple[str, ...]:
    """The files' names without endings, or their paths from a common folder where two would be called the same."""
    names = tuple(file.stem for file in files)
    if len(set(names)) == len(names):
        return names
    home = os.path.commonpath([file.parent for file in files])
    return tuple(file.relative_to(home).as_posix() for file in files)


def _some(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
