"""Weights from a file under the names of the network that they are for, each checked against its shape."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from composer.errors import ComposerError
from composer.networks.architecture import Architecture
from composer.networks.leftovers import Colours, find_head, listed, pixel_normalisation
from composer.networks.shapes import differences
from composer.networks.state_file import StateFile, read_state_file
from composer.networks.tensor_names import HARMLESS, Claim, by_prefix, claim, joined, some
from composer.networks.weights_file import require_float_weights

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class FoundNetwork:
    """A network in a file, and what the file says of it beside the weights."""

    weights: dict[str, Tensor]
    """Under the names of `architecture.build`, float32 on the CPU."""
    outputs: int
    """As many as the file has; a single one lies in `weights` as two."""
    normalisation: tuple[Colours, Colours] | None = None
    """Mean and std of the pixels, where they are stored inside the network."""
    notes: tuple[str, ...] = ()
    """What was taken and what was left out, where there was a choice."""


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
        architecture.require_usable()
        self.architecture = architecture
        self.head = (f"{architecture.head}.weight", f"{architecture.head}.bias")
        self.shapes: Shapes = {name: tuple(shape) for name, shape in architecture.shapes(2).items()}
        self.dtypes = {name: tensor.dtype for name, tensor in architecture.blueprint(2).state_dict().items()}
        self.body = {name: shape for name, shape in self.shapes.items() if name not in self.head}

    def read(self, file: Path, key: str | None = None) -> dict[str, Tensor]:
        """The network in one file."""
        return self.fit(read_state_file(file, key), file)

    def fit(self, found: StateFile, file: Path) -> dict[str, Tensor]:
        """The weights of the network in a file that has been read; ComposerError where they are not the whole."""
        network = self.find(found, file)
        if network.normalisation is not None:
            raise ComposerError(
                f"{file}: holds a normalisation of pixels inside the network, which only the model sources "
                "'checkpoints', 'timm' and 'torchvision' take over; read it with one of those"
            )
        return network.weights

    def find(self, found: StateFile, file: Path, *, headless: bool = False) -> FoundNetwork:
        """The network in a file that has been read: every tensor is used, known to be harmless, or named.

        headless: for its features alone. `weights` then lack the head, and what lies behind the body plays no part.
        """
        place, notes = self._chosen(found, file)
        if assumption := self.architecture.assumption():
            notes = (*notes, f"{file.name}: {assumption}")
        return self._body(place, notes, found, file) if headless else self._whole(place, notes, found, file)

    def _body(self, place: Place, notes: tuple[str, ...], found: StateFile, file: Path) -> FoundNetwork:
        weights = {name: tensor for name, tensor in place.own.items() if name in self.body}
        if faults := self._faults(weights, self.body):
            raise ComposerError(_no_checkpoint(self.architecture, faults, found, file))
        normalisation, rest = pixel_normalisation(place.rest)
        usual = {self.architecture.usual_name(name) for name in self.head}
        if rest := {name: tensor for name, tensor in rest.items() if name.removeprefix(place.prefix) not in usual}:
            notes = (*notes, f"{file.name}: read for its features alone, without {listed(rest)}")
        weights = self._floats(weights, file)
        require_finite(weights, file)
        return FoundNetwork(weights, 0, normalisation, notes)

    def _whole(self, place: Place, notes: tuple[str, ...], found: StateFile, file: Path) -> FoundNetwork:
        usual = self.architecture.usual_name(self.head[0]).removesuffix(".weight")
        head = find_head(place.rest, f"{place.prefix}{usual}", self.shapes[self.head[0]][1])
        weights = {name: tensor for name, tensor in place.own.items() if name in self.shapes}
        if head.weight is not None and head.bias is not None:
            weights |= dict(zip(self.head, (head.weight, head.bias), strict=True))
        rest = {name: tensor for name, tensor in place.rest.items() if name not in head.names}
        self._require_whole(weights, found, file, head.problem or ("" if place.prefix else _left_over(rest)))
        normalisation, rest = pixel_normalisation(rest)
        if rest:
            raise ComposerError(f"{file}: {_unexplained(rest, place)}")
        weights = self._floats(weights, file)
        require_finite(weights, file)
        rows = len(weights[self.head[0]])
        if rows == 1:  # A row of zeros beside the only output: their difference is the log-odds.
            weights |= {name: torch.cat([weights[name], torch.zeros_like(weights[name])]) for name in self.head}
        if len(head.names) == 1:
            notes = (*notes, f"{file.name}: its head {head.names[0]!r} has no bias; it is read as 0")
        return FoundNetwork(weights, rows, normalisation, notes)

    def members(self, found: StateFile) -> int | None:
        """How many networks are stacked in a file along the first axis; None where it holds a single one."""
        weight = self.architecture.own_state(found.tensors).get(self.head[0])
        return len(weight) if weight is not None and weight.ndim == 3 else None

    def fit_stacked(self, found: StateFile, file: Path, members: int) -> dict[str, Tensor]:
        """The networks stacked in a file: parameter -> [M, ...]."""
        state = self.architecture.own_state(found.tensors)
        wanted = {name: (members, *shape) for name, shape in self._wanted(state).items()}
        if faults := self._faults(state, wanted):
            raise ComposerError(_no_checkpoint(self.architecture, faults, found, file))
        weights = self._floats(state, file)
        require_finite(weights, file)
        return weights

    def _wanted(self, state: Mapping[str, Tensor]) -> Shapes:
        """The network's shapes, with as many outputs as the state dict has."""
        weight = state.get(self.head[0])
        rows = weight.shape[-2] if weight is not None and weight.ndim >= 2 else 2
        return {name: (rows, *shape[1:]) if name in self.head else shape for name, shape in self.shapes.items()}

    def _floats(self, state: Mapping[str, Tensor], file: Path) -> dict[str, Tensor]:
        """float32 in the network's order; ComposerError where a weight is none of a dense tensor's real numbers."""
        usual = self.architecture.usual_name
        names = [name for name in self.shapes if name in state]
        require_float_weights(((usual(name), state[name], self.dtypes[name]) for name in names), file)
        return {name: state[name].float() if state[name].is_floating_point() else state[name] for name in names}

    def _chosen(self, found: StateFile, file: Path) -> tuple[Place, tuple[str, ...]]:
        """Where in the file the network lies, and what to say of that; ComposerError where others claim the same.

        Where it is nowhere whole, the place that has most of it.
        """
        places = [place for state in (found, *found.others) for place in self._places(state)]
        whole = [
            place
            for place in places
            if all(name in place.own and tuple(place.own[name].shape) == shape for name, shape in self.body.items())
        ]
        if not whole:
            return max(places, key=lambda place: len(self.shapes.keys() & place.own.keys())), ()
        best = max(place.claim for place in whole)
        equal = [place for place in whole if place.claim is best]
        names = sorted(place.path for place in equal)
        if best is Claim.NONE:
            raise ComposerError(
                f"{file}: only what is called {some(map(repr, names))} could be the network, and by its name it is "
                f"none; `key: {names[0]}` reads it all the same"
            )
        if len(equal) > 1:
            raise ComposerError(
                f"{file}: holds {len(equal)} networks, {some(map(repr, names), 12)}, and nothing says which to read; "
                f"choose with `key`, such as `key: {names[0]}`"
            )
        (place,) = equal
        others = sorted({other.path for other in whole} - {place.path})
        if not others:
            return place, ()
        siblings = tuple(p.prefix for p in whole if p.state is place.state and not place.prefix.startswith(p.prefix))
        rest = {name: t for name, t in place.rest.items() if not name.startswith(siblings)} if siblings else place.rest
        taken = f"the network under {place.path!r}" if place.path else "the network that is not under a key"
        note = f"{file.name}: took {taken}; it also holds {some(map(repr, others), 8)} (`key` chooses)"
        return replace(place, rest=rest), (note,)

    def _places(self, state: StateFile) -> Iterator[Place]:
        """Every prefix of a state dict under which enough tensors lie, the whole first.

        Prefixes come from the class that a training script put the network in: `model.conv1.weight`.
        """
        usual = self.architecture.usual_name
        for prefix, inside in by_prefix(state.tensors).items():
            if prefix and 2 * len(inside) < len(self.shapes) - len(self.head):
                continue
            own = self.architecture.own_state(inside)
            rest = {f"{prefix}{usual(name)}": t for name, t in own.items() if name not in self.body}
            rest |= {name: t for name, t in state.tensors.items() if not name.startswith(prefix)}
            yield Place(state, prefix, own, {name: t for name, t in rest.items() if not HARMLESS.search(name)})

    def _require_whole(self, weights: Mapping[str, Tensor], found: StateFile, file: Path, *more: str) -> None:
        """Raises ComposerError where weights are missing or of another shape, with what else was met."""
        if faults := self._faults(weights, self._wanted(weights)):
            raise ComposerError(
                _no_checkpoint(self.architecture, "; ".join([faults, *filter(None, more)]), found, file)
            )

    def _faults(self, state: Mapping[str, Tensor], wanted: Shapes) -> str:
        usual = self.architecture.usual_name
        met = {usual(name): tuple(tensor.shape) for name, tensor in state.items() if name in wanted}
        return str(differences(met, {usual(name): shape for name, shape in wanted.items()}))


@dataclass(frozen=True)
class Place:
    """Where in a file a network may lie."""

    state: StateFile
    prefix: str
    own: Mapping[str, Tensor]
    """What stands under the prefix, under the names of `architecture.build`."""
    rest: Mapping[str, Tensor]
    """What is not the network's body, under the file's names; without what is known to be harmless."""

    @property
    def path(self) -> str:
        """What `key` would have to be."""
        return joined(self.state.key, self.prefix)

    @property
    def claim(self) -> Claim:
        """How good its claim is to be the file's network; a key that was asked for takes none of it."""
        return claim(joined(self.prefix) if self.state.asked else self.path)


def require_finite(weights: Mapping[str, Tensor], file: Path) -> None:
    """Raises ComposerError where a weight is NaN or infinite."""
    if broken := [name for name, tensor in weights.items() if not bool(tensor.isfinite().all())]:
        raise ComposerError(f"{file}: holds NaN or infinite numbers in {some(broken)}; leave it out")


def _left_over(rest: Mapping[str, Tensor]) -> str:
    return f"left over: {some(rest)}" if rest else ""


def _unexplained(rest: Mapping[str, Tensor], place: Place) -> str:
    """What to say of tensors that may take part in the answers."""
    where = f"beside the network under {place.path!r}" if place.path else "beside the network"
    way_out = f"`key: {place.path}` reads the network without them" if place.prefix else "save the network alone"
    return (
        f"{where} it holds {listed(rest)}, which may change the answers in a way that is not in the file; if they do "
        f"not, {way_out}"
    )


def _no_checkpoint(architecture: Architecture, faults: str, found: StateFile, file: Path) -> str:
    return f"{file}: is no checkpoint of {architecture_title(architecture)}: {faults}. {_hint(found)}"


def architecture_title(architecture: Architecture) -> str:
    """`architecture 'cnn' (filters: [6, 16], size: 32)`."""
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
