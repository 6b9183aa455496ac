"""Networks that composer knows by name: the architectures of its plugins, and torchvision's classifiers."""

from __future__ import annotations

import typing
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from composer.data.population import Population, Preprocessing
from composer.data.run import Run
from composer.errors import ComposerError
from composer.interfaces import ModelSource
from composer.networks.architecture import Architecture
from composer.networks.layers import Shapes
from composer.networks.shapes import differences, network_shapes
from composer.registry import Registry, load_registry, nearest

FAMILIES: Mapping[str, tuple[str, ...]] = {
    "layer1.0.conv1.weight": ("resnet", "resnext", "wide_resnet"),
    "features.denseblock1.denselayer1.conv1.weight": ("densenet",),
    "features.0.weight": ("alexnet", "vgg", "squeezenet"),
    "features.0.0.weight": ("convnext", "efficientnet", "mobilenet", "swin"),
    "encoder.layers.encoder_layer_0.ln_1.weight": ("vit",),
    "stem.0.weight": ("regnet",),
    "stem.0.0.weight": ("maxvit",),
    "layers.0.weight": ("mnasnet",),
    "conv1.0.weight": ("shufflenet",),
    "conv1.conv.weight": ("googlenet",),
    "Conv2d_1a_3x3.conv.weight": ("inception",),
}
"""A parameter -> families of torchvision whose members have it: building all to compare takes ten seconds."""


@dataclass(frozen=True)
class Known:
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
    torchvision: str | None = None
    """What torchvision calls it, where it is one of its networks and no plugin's."""
    differences: tuple[str, ...] = field(default=())
    """Shapes in which a checkpoint with the same names differs."""


class _WeightsOnMeta(TorchFunctionMode):
    """Parameters cost neither time nor memory. Networks that compute with tensors while they are built still can."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def torchvision_names() -> list[str]:
    """All classifiers for pictures that torchvision has."""
    from torchvision import models  # takes seconds to import

    names: list[str] = models.list_models(module=models)
    return names


def torchvision_network(name: str, outputs: int | None = None) -> Known:
    """A classifier of torchvision with the preprocessing and the classes of its newest published weights."""
    from torchvision import models  # takes seconds to import

    weights = models.get_model_weights(name)["DEFAULT"]
    network = _torchvision_module(name, outputs or 1000)
    prepare = weights.transforms()
    classes = tuple(weights.meta["categories"])
    text = (
        f"shorter side to {prepare.resize_size[0]}, {prepare.crop_size[0]}x{prepare.crop_size[0]} from the middle, "
        f"{prepare.interpolation.value}; mean {tuple(prepare.mean)}, std {tuple(prepare.std)} (torchvision's; "
        f"composer resizes the whole picture and cuts nothing off)"
    )
    return Known(
        f"torchvision's {name}",
        network,
        last_linear(network),
        text,
        classes if (outputs or 1000) == len(classes) else (),
        prepared=Preprocessing(prepare.crop_size[0], tuple(prepare.mean), tuple(prepare.std)),
        torchvision=name,
    )


def require_torchvision_name(name: str, other: list[str]) -> None:
    """ComposerError with the nearest names unless torchvision has such a classifier."""
    names = torchvision_names()
    if name in names:
        return
    from torchvision import models

    if name in models.list_models():
        raise ComposerError(f"{name}: is a model of torchvision, but no classifier of pictures")
    hint = nearest(name, [*names, *other], 3)
    raise ComposerError(f"{name}: there is no such file or folder, and no model of torchvision is called so{hint}")


def recognise(shapes: Shapes, file: Path, registry: Registry) -> Known | None:
    """The network whose names and shapes a checkpoint has; with the same names alone, what differs; or None."""
    near: Known | None = None
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
    return near or _recognise_torchvision(shapes)


def title_of(tensors: Mapping[str, Tensor]) -> str | None:
    """What the network is called whose names and shapes these are; None where nobody knows it."""
    shapes = shapes_of(tensors)
    for architecture in _instances(load_registry()):
        head = shapes.get(f"{architecture.head}.weight")
        if compare(shapes, architecture.blueprint(head[0] if head else 1)) == ():
            return _title(architecture)
    known = _recognise_torchvision(shapes)
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


def last_linear(network: nn.Module) -> str | None:
    """Name of the last linear layer, where it is also the last layer with weights."""
    named = [(name, module) for name, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    return named[-1][0] if named and isinstance(named[-1][1], nn.Linear) else None


def _known_architecture(
    architecture: Architecture, network: nn.Module, differences: tuple[str, ...], file: Path, registry: Registry
) -> Known:
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
    return Known(
        title, network, architecture.head, preprocessing, classes, name, architecture, prepared, differences=differences
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


def _recognise_torchvision(shapes: Shapes) -> Known | None:
    """The order of the names plays no part: safetensors sort them."""
    for name in _family(shapes):
        network = _torchvision_module(name, 1000)
        if compare(shapes, network) is None:
            continue
        outputs = shapes[f"{_last_layer(network)}.weight"][0]
        if compare(shapes, _torchvision_module(name, outputs)) == ():
            return torchvision_network(name, outputs)
    return None


def _family(shapes: Shapes) -> list[str]:
    families = tuple(family for key, names in FAMILIES.items() if key in shapes for family in names)
    return [name for name in torchvision_names() if name.startswith(families)] if families else []


def _last_layer(network: nn.Module) -> str:
    """Name of the last layer with kernels: it gives the outputs."""
    names: list[str] = [name for name, module in network.named_modules() if isinstance(module, (nn.Linear, nn.Conv2d))]
    return names[-1]


def _torchvision_module(name: str, outputs: int) -> nn.Module:
    from torchvision import models

    with warnings.catch_warnings(), torch.random.fork_rng(devices=[]), _WeightsOnMeta():
        # googlenet and inception_v3 warn that their random start will change; here none is used.
        warnings.filterwarnings("ignore", message="The default weight initialization", category=FutureWarning)
        network: nn.Module = models.get_model(name, weights=None, num_classes=outputs)
    return network


def trained(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Without whole numbers, such as counts of steps and tables of indices."""
    return {name: tensor for name, tensor in tensors.items() if tensor.is_floating_point()}


def shapes_of(tensors: Mapping[str, Tensor]) -> Shapes:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}
