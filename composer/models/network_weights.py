"""Weights from a file under the names of the network that they are for, each checked against its shape."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor

from composer.errors import ComposerError
from composer.interfaces import Architecture
from composer.models.state_file import COUNTERS, StateFile, read_state_file
from composer.models.weights_file import require_float_weights

Shapes = Mapping[str, tuple[int, ...]]


def read_weights(file: Path, architecture: Architecture, key: str | None = None) -> dict[str, Tensor]:
    """One network's weights and running statistics from whatever file, float32 on the CPU.

    They have the names and shapes of `architecture.build(outputs)`, with as many outputs as the file has; a single
    one, meant for a sigmoid, becomes two with the same log-odds. key: as for `read_state_file`.
    ComposerError that says what is missing, left over and of another shape, and which network it is, if it is known.
    """
    return WeightsReader(architecture).read(file, key)


class WeightsReader:
    """Reads many files of one architecture, as `read_weights` reads one."""

    def __init__(self, architecture: Architecture) -> None:
        self.architecture = architecture
        self.head = (f"{architecture.head}.weight", f"{architecture.head}.bias")
        with torch.device("meta"):
            state = architecture.build(outputs=2).state_dict()
        self.shapes: Shapes = {
            name: tuple(tensor.shape) for name, tensor in state.items() if not name.endswith(COUNTERS)
        }
        self.dtypes = {name: tensor.dtype for name, tensor in state.items()}

    def read(self, file: Path, key: str | None = None) -> dict[str, Tensor]:
        """The network in one file."""
        return self.fit(read_state_file(file, key), file)

    def fit(self, found: StateFile, file: Path) -> dict[str, Tensor]:
        """The network in a file that has been read."""
        weights = self._fitted(found, file, None)
        require_finite(weights, file)
        if len(weights[self.head[0]]) > 1:
            return weights
        # A row of zeros beside the only output: their difference is the log-odds.
        return {**weights, **{name: torch.cat([weights[name], torch.zeros_like(weights[name])]) for name in self.head}}

    def members(self, found: StateFile) -> int | None:
        """How many networks are stacked in a file along the first axis; None where it holds a single one."""
        weight = self._own(found).get(self.head[0])
        return len(weight) if weight is not None and weight.ndim == 3 else None

    def fit_stacked(self, found: StateFile, file: Path, members: int) -> dict[str, Tensor]:
        """The networks stacked in a file: parameter -> [M, ...]."""
        weights = self._fitted(found, file, members)
        require_finite(weights, file)
        return weights

    def _fitted(self, found: StateFile, file: Path, members: int | None) -> dict[str, Tensor]:
        usual, stacked = self.architecture.usual_name, () if members is None else (members,)
        state = self._own(found)
        weight = state.get(self.head[0])
        rows = weight.shape[-2] if weight is not None and weight.ndim == 2 + len(stacked) else 2
        wanted = {
            name: (*stacked, rows, *shape[1:]) if name in self.head else (*stacked, *shape)
            for name, shape in self.shapes.items()
        }
        if faults := self._faults(state, wanted):
            whole = _title(self.architecture)
            raise ComposerError(f"{file}: is no checkpoint of {whole}: {'; '.join(faults)}. {_hint(found)}")
        require_float_weights(((usual(name), state[name], self.dtypes[name]) for name in wanted), file)
        return {name: state[name].float() if state[name].is_floating_point() else state[name] for name in wanted}

    def _own(self, found: StateFile) -> Mapping[str, Tensor]:
        """The tensors under the network's names; where none is known so, without what stands before them.

        That comes from the class that a training script put the network in: `model.conv1.weight`. What lies beside
        the network then, such as a loss with weights, is left out.
        """
        best = self.architecture.own_state(found.tensors)
        if self.shapes.keys() & best.keys():
            return best
        for prefix in _prefixes(found.tensors):
            inside = self.architecture.own_state(
                {name.removeprefix(prefix): t for name, t in found.tensors.items() if name.startswith(prefix)}
            )
            if len(self.shapes.keys() & inside.keys()) > len(self.shapes.keys() & best.keys()):
                best = inside
        return best

    def _faults(self, state: Mapping[str, Tensor], wanted: Shapes) -> list[str]:
        usual = self.architecture.usual_name
        faults = [
            f"{usual(name)!r} is {list(state[name].shape)} instead of {list(shape)}"
            for name, shape in wanted.items()
            if name in state and state[name].shape != shape
        ]
        if len(faults) > 4:
            faults = [*faults[:4], f"{len(faults) - 4} more are of another shape"]
        if missing := [usual(name) for name in wanted if name not in state]:
            faults.append(f"missing: {some(missing)}")
        if left_over := [usual(name) for name in state if name not in wanted]:
            faults.append(f"left over: {some(left_over)}")
        return faults


def require_finite(weights: Mapping[str, Tensor], file: Path) -> None:
    """Raises ComposerError where a weight is NaN or infinite."""
    if broken := [name for name, tensor in weights.items() if not bool(tensor.isfinite().all())]:
        raise ComposerError(f"{file}: holds NaN or infinite numbers in {some(broken)}; leave it out")


def some(names: Sequence[str], most: int = 4) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def _prefixes(names: Iterable[str]) -> list[str]:
    """`model.` and `model.net.` of `model.net.conv1.weight`, for every name."""
    found: dict[str, None] = {}
    for name in names:
        first, dot, rest = name.partition(".")
        second, more, _ = rest.partition(".")
        if dot:
            found[f"{first}."] = None
        if more:
            found[f"{first}.{second}."] = None
    return list(found)


def _title(architecture: Architecture) -> str:
    options = ", ".join(f"{name}: {value}" for name, value in architecture.options().items() if name != "use")
    return f"architecture {architecture.name!r}" + (f" ({options})" if options else "")


def _hint(found: StateFile) -> str:
    """What to do about a file that does not fit."""
    from composer.models.known_networks import (
        title_of,  # knows all plugins, of which reading a file that fits needs none
    )

    title = title_of(found.tensors)
    if title is not None:
        return f"These are the names and shapes of {title}"
    beside = f"; beside {found.key!r} the file holds {some(found.beside)}, see the option `key`" if found.beside else ""
    return f"Change the options of the architecture, or take another file{beside}"
