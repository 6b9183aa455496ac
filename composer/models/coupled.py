"""The couplings of a network in a file or a folder, as `composer inspect --couplings` shows them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from composer.errors import ComposerError
from composer.models.file_networks import recognised_architecture
from composer.models.inspection import named_source
from composer.models.model_folder import find_model
from composer.models.network_weights import WeightsReader, architecture_title
from composer.networks.architecture import Architecture
from composer.networks.couplings import CouplingGroup
from composer.networks.state_file import read_state_file
from composer.registry import load_registry


@dataclass(frozen=True)
class CoupledAxis:
    """An axis of a tensor along which units lie, each with `places` places."""

    tensor: str
    axis: int
    places: int


@dataclass(frozen=True)
class CoupledUnits:
    """Units that can change places with each other, which moves all these axes together."""

    name: str
    units: int
    axes: tuple[CoupledAxis, ...]


def couplings_of_model(model: str, architecture: Architecture | None = None) -> Mapping[str, tuple[CoupledUnits, ...]]:
    """For each network of a model, by its architecture's title, the groups of units that can change places.

    model: a checkpoint, the folder of a composition or run, or a model source that needs no option. architecture: of a
    checkpoint whose network is not recognised. ComposerError where it is not known, or cannot be followed.
    """
    networks = _networks(model) if architecture is None else [_said(Path(model), architecture)]
    return {
        architecture_title(network): tuple(_units(*named) for named in network.couplings().groups.items())
        for network in networks
    }


def _said(file: Path, architecture: Architecture) -> Architecture:
    """The architecture that was said, if the file's weights are of it."""
    if not file.is_file():
        raise ComposerError(f"--architecture is for a file of weights, and {file} is none")
    state, reader = read_state_file(file), WeightsReader(architecture)
    if reader.members(state) is None:
        reader.find(state, file)
    return architecture


def _networks(model: str) -> list[Architecture]:
    path = Path(model)
    if path.is_dir():
        home = find_model(path)
        return [part.architecture for part in home.read(home.member(None)).parts]
    if path.is_file():
        return [recognised_architecture(path, read_state_file(path)).architecture]
    if source := named_source(model, load_registry()):
        return [source.network]
    raise ComposerError(f"{model}: there is no such file, folder or model source")


def _units(name: str, group: CouplingGroup) -> CoupledUnits:
    axes = tuple(CoupledAxis(side.tensor, side.axis, side.places.shape[1]) for side in group.sides)
    return CoupledUnits(name, len(group), axes)
