"""Networks that composer knows: the architectures of plugins, and those of libraries that plugins know by name."""

from __future__ import annotations

import typing
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

from pydantic import ValidationError
from torch import Tensor, nn

from composer.data.population import Population, Preprocessing
from composer.data.run import Run
from composer.errors import ComposerError
from composer.interfaces import ModelSource
from composer.networks.architecture import Architecture
from composer.networks.layers import Shapes
from composer.networks.shapes import differences, network_shapes
from composer.registry import Registry, load_registry, nearest


@dataclass(frozen=True)
class KnownNetwork:
    """A network without its weights, and what is known of how to use it."""

    title: str
    network: nn.Module
    """Its parameters lie on the meta device: names and shapes, no numbers."""
    head: str | None
    preprocessing: str = ""
    classes: tuple[str, ...] = ()
    architecture: str | None = None
    """What a recipe calls it, where a plugin knows it."""
    instance: Architecture | None = None
    """The architecture itself then."""
    prepared: Preprocessing | None = None
    """How pixels become its input, where that is known."""
    written: Mapping[str, Any] = field(default_factory=dict)
    """The architecture as a recipe writes it."""
    differences: tuple[str, ...] = ()
    """Shapes in which a checkpoint with the same names differs."""


class NetworkLibrary(ABC):
    """The networks of a library, so that they are known by its own names and in files that it wrote."""

    name: ClassVar[str]
    """What the library is called."""

    @abstractmethod
    def names(self) -> Sequence[str]:
        """What its classifiers of pictures are called."""

    @abstractmethod
    def network(self, name: str, outputs: int | None = None) -> KnownNetwork:
        """One of them, with so many outputs; left out, as many as its published weights have."""

    @abstractmethod
    def candidates(self, names: Collection[str]) -> Iterable[str]:
        """Those that may have parameters of these names: building all networks to compare would take long."""

    def why_none(self, name: str) -> str:
        """Why something of the library that is called so is none of its classifiers of pictures, in words."""
        return ""


def named_network(name: str, others: Sequence[str], registry: Registry) -> KnownNetwork:
    """A network by the name that its library gives it; ComposerError with the nearest names where none is called so."""
    libraries: list[NetworkLibrary] = registry.hook.composer_networks()
    for library in libraries:
        if name in library.names():
            return library.network(name)
        if why := library.why_none(name):
            raise ComposerError(f"{name}: {why}")
    hint = nearest(name, [*(known for library in libraries for known in library.names()), *others], 3)
    titles = " or ".join(library.name for library in libraries)
    called = f"no model of {titles} is called so" if libraries else "no model is called so"
    raise ComposerError(f"{name}: there is no such file or folder, and {called}{hint}")


def recognise(shapes: Shapes, file: Path, registry: Registry) -> KnownNetwork | None:
    """The network whose names and shapes a checkpoint has; with the same names alone, what differs; or None."""
    near: KnownNetwork | None = None
    for architecture in _instances(registry):
        head = shapes.get(f"{architecture.head}.weight")
        network = architecture.blueprint(head[0] if head else 1)
        differences = compare(shapes, network)
        if differences is None:
            continue
        known = _known_architecture(architecture, network, differences, file, registry)
        if not differences:
            return known
        near = near or known
    return near or _recognised_by_library(shapes, registry)


def title_of(tensors: Mapping[str, Tensor]) -> str | None:
    """What the network is called whose names and shapes these are; None where nobody knows it."""
    shapes, registry = shapes_of(tensors), load_registry()
    for architecture in _instances(registry):
        head = shapes.get(f"{architecture.head}.weight")
        if compare(shapes, architecture.blueprint(head[0] if head else 1)) == ():
            return _title(architecture)
    known = _recognised_by_library(shapes, registry)
    return known.title if known else None


def compare(shapes: Shapes, network: nn.Module) -> tuple[str, ...] | None:
    """What differs in shape; None where already the names differ."""
    found = differences(shapes, network_shapes(network))
    return None if found.missing or found.left_over else found.reshaped


def source_population(source: ModelSource, concept: str) -> Population | None:
    """What a source gives; None where it cannot be read."""
    try:
        return source.load(concept, Run())
    except ComposerError:
        return None


def describe_preprocessing(population: Population) -> str:
    prepared = population.preprocessing
    mean, std = (tuple(round(value, 4) for value in values) for values in (prepared.mean, prepared.std))
    return f"{prepared.size}x{prepared.size} pixels, bilinear; mean {mean}, std {std}"


def _known_architecture(
    architecture: Architecture, network: nn.Module, differences: tuple[str, ...], file: Path, registry: Registry
) -> KnownNetwork:
    title = _title(architecture)
    size = architecture.input_size
    preprocessing = f"{size}x{size} pixels; mean and std are not in such a file"
    classes: tuple[str, ...] = ()
    prepared: Preprocessing | None = None
    source = _source(architecture, file, registry)
    if source is not None:
        classes = tuple(source.class_names() or ())
        population = source_population(source, architecture.name) if not differences else None
        if population is not None:
            preprocessing = f"{describe_preprocessing(population)} (by models: {source.name})"
            prepared = population.preprocessing
    name = architecture.name
    written = architecture.options()
    return KnownNetwork(
        title, network, architecture.head, preprocessing, classes, name, architecture, prepared, written, differences
    )


def _title(architecture: Architecture) -> str:
    options = {key: value for key, value in architecture.options().items() if key != "use"}
    written = ", ".join(f"{key}: {value}" for key, value in options.items())
    return f"architecture {architecture.name} ({written})" if written else f"architecture {architecture.name}"


def _source(architecture: Architecture, file: Path, registry: Registry) -> ModelSource | None:
    """The model source of the architecture's own name, made to read the file."""
    for component, _ in registry.components("models"):
        if component.name != architecture.name:
            continue
        required = [name for name, option in component.model_fields.items() if option.is_required()]
        shared = {
            name: getattr(architecture, name)
            for name in component.model_fields
            if name in type(architecture).model_fields
        }
        try:
            source = component.model_validate({**shared, **dict.fromkeys(required, file)})
        except ValidationError:
            return None
        return source if isinstance(source, ModelSource) else None
    return None


def _instances(registry: Registry) -> Iterator[Architecture]:
    """Every architecture of the plugins with its defaults, and with each value of the options that offer a choice."""
    for component, _ in registry.components("architecture"):
        choices = {
            name: typing.get_args(option.annotation)
            for name, option in component.model_fields.items()
            if typing.get_origin(option.annotation) is typing.Literal
        }
        for values in product(*choices.values()):
            try:
                made = component.model_validate(dict(zip(choices, values, strict=True)))
            except ValidationError:  # an option without a default: it is not known what to try
                continue
            assert isinstance(made, Architecture)
            yield made


def _recognised_by_library(shapes: Shapes, registry: Registry) -> KnownNetwork | None:
    """The order of the names plays no part: safetensors sort them."""
    for library in registry.hook.composer_networks():
        for name in library.candidates(shapes):
            network = library.network(name).network
            if compare(shapes, network) is not None:
                outputs = shapes[f"{_last_layer(network)}.weight"][0]
                known: KnownNetwork = library.network(name, outputs)
                if compare(shapes, known.network) == ():
                    return known
    return None


def _last_layer(network: nn.Module) -> str:
    """Name of the last layer with kernels: it gives the outputs."""
    names: list[str] = [name for name, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    return names[-1]


def trained(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without whole numbers, such as counts of steps and tables of indices."""
    return {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}


def shapes_of(tensors: Mapping[str, Tensor]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
