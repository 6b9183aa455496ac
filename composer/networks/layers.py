"""The layers of a network, and what can be done with each and with the whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import Literal

from torch import nn

from composer.networks.architecture import Architecture

Shapes = Mapping[str, tuple[int, ...]]

Kind = Literal[
    "convolution", "grouped convolution", "linear", "head", "normalisation", "attention", "other convolution", "other"
]
LEAVES = ("weight", "bias", "running_mean", "running_var", "num_batches_tracked", "in_proj_weight", "in_proj_bias")

HEADS = frozenset({"fc", "head", "heads", "classifier", "logits", "linear", "output"})
"""What people call the layer whose outputs are the classes."""


@dataclass(frozen=True)
class Layer:
    """One layer with weights of its own, and why it can or cannot be used."""

    name: str
    kind: Kind
    shape: tuple[int, ...]
    """Of its weight; of the first of its tensors where none is called so."""
    parameters: int
    groups: int = 1
    extract: bool = False
    align: Literal["yes", "with the layer before", "no"] = "no"
    assemble: bool = False
    why: str = ""


@dataclass(frozen=True)
class Ability:
    """Whether one thing can be done with the whole network, and why not."""

    what: str
    able: bool
    why: str


def layers_of_network(network: nn.Module, head: str | None) -> list[Layer]:
    """Its layers in network order, each of the kind that its class says."""
    layers = []
    for name, module in network.named_modules():
        own = {key: tuple(tensor.shape) for key, tensor in module.named_parameters(recurse=False)}
        kind = "head" if name == head else _kind_of_module(module)
        if kind == "other":
            layers += [Layer(f"{name}.{key}".lstrip("."), kind, shape, prod(shape)) for key, shape in own.items()]
        elif own:
            shape = own.get("weight") or own.get("in_proj_weight") or next(iter(own.values()))
            layers.append(Layer(name, kind, shape, _count(own.values()), int(getattr(module, "groups", 1))))
    return judged(layers)


def layers_of_shapes(shapes: Shapes) -> list[Layer]:
    """The layers of a checkpoint of a network that nobody knows, guessed from names and shapes."""
    grouped: dict[str, dict[str, tuple[int, ...]]] = {}
    for key, shape in shapes.items():
        name, _, leaf = key.rpartition(".")
        place, leaf = (name, leaf) if leaf in LEAVES else (key, "")
        grouped.setdefault(place, {})[leaf] = shape
    layers: list[Layer] = []
    for name, own in grouped.items():
        shape = own.get("weight") or own.get("in_proj_weight") or next(iter(own.values()))
        trained = [value for leaf, value in own.items() if not leaf.startswith(("running_", "num_"))]
        kind, groups = _guessed_kind(own, shape, layers)
        layers.append(Layer(name, kind, shape, _count(trained), groups))
    head = _guessed_head(layers)
    return judged([replace(layer, kind="head") if layer is head else layer for layer in layers])


def _guessed_head(layers: Sequence[Layer]) -> Layer | None:
    """The linear layer that is called so, outermost and last; else the last layer, where it is linear.

    Names go first since safetensors sort them: there, the last layer of a network is anywhere.
    """
    called = [layer for layer in layers if layer.kind == "linear" and HEADS.intersection(layer.name.split("."))]
    if called:
        outermost = min(layer.name.count(".") for layer in called)
        return [layer for layer in called if layer.name.count(".") == outermost][-1]
    last = next((layer for layer in reversed(layers) if layer.kind in ("convolution", "linear")), None)
    return last if last is not None and last.kind == "linear" else None


def judged(layers: Sequence[Layer]) -> list[Layer]:
    """The same layers with what can be done with each. Without convolutions linear layers have the kernels."""
    convolutional = any(layer.kind == "convolution" for layer in layers)
    return [_judge(layer, convolutional) for layer in layers]


def unfilled(architecture: Architecture) -> str:
    """The layers of an architecture's body that kernels and their biases cannot fill, in words; empty for none."""
    layers = layers_of_network(architecture.blueprint(), architecture.head)
    stuck = [layer for layer in layers if not layer.assemble and layer.kind != "head"]
    return _some(stuck) if stuck else ""


def abilities(layers: Sequence[Layer], has_head: bool) -> tuple[Ability, ...]:
    """What the whole network can be used for."""
    extracted = [layer for layer in layers if layer.extract]
    stuck = [layer for layer in layers if layer.align == "no" and layer.kind != "head"]
    kept_out = [layer for layer in layers if not layer.assemble and layer.kind != "head"]
    count = f"{len(extracted)} of {len(layers)} layers"
    return (
        Ability(
            "extract kernels",
            bool(extracted),
            count if extracted else "no layer has kernels: no ungrouped convolution, no linear layer below the head",
        ),
        Ability(
            "align units with another network's",
            bool(extracted) and not stuck,
            "every layer's units can be reordered; those joined by a shortcut only together"
            if not stuck
            else f"the units of {_some(stuck)} cannot be reordered freely",
        ),
        Ability(
            "assemble a network from kernels alone (transplant, refit)",
            bool(extracted) and not kept_out,
            "the body is nothing but kernels and their biases"
            if not kept_out
            else f"kernels cannot fill {_some(kept_out)}",
        ),
        Ability(
            "be a parent as it is (product)",
            has_head,
            "its outputs can mean a concept"
            if has_head
            else "it has no linear head whose outputs could mean a concept",
        ),
    )


def _judge(layer: Layer, convolutional: bool) -> Layer:
    match layer.kind:
        case "convolution":
            return replace(layer, extract=True, align="yes", assemble=True)
        case "linear" if convolutional:
            why = "linear layers count as kernels in networks without convolutions, elsewhere by extractor: linear"
            return replace(layer, align="yes", why=why)
        case "linear":
            return replace(layer, extract=True, align="yes", assemble=True, why="taken as 1x1 kernels")
        case "head":
            why = "the head: read for log-odds; fitted anew where a composition makes a new body"
            return replace(layer, align="with the layer before", why=why)
        case "normalisation":
            return replace(layer, align="with the layer before", why="a scale and a shift for each channel, no kernels")
        case "grouped convolution" if layer.groups == layer.shape[0]:
            why = "depthwise: each kernel sees one channel only"
            return replace(layer, align="with the layer before", why=why)
        case "grouped convolution":
            why = f"grouped: each kernel sees 1 of {layer.groups} groups of channels, and these cannot be mixed"
            return replace(layer, why=why)
        case "attention":
            return replace(layer, why="attention: rows belong to heads and are no kernels")
        case "other convolution":
            return replace(layer, why="not a 2-D convolution")
        case _:
            return replace(layer, why="single parameters that belong to no known kind of layer")


def _kind_of_module(module: nn.Module) -> Kind:
    if isinstance(module, nn.Conv2d):
        return "convolution" if module.groups == 1 else "grouped convolution"
    if isinstance(module, nn.modules.conv._ConvNd):
        return "other convolution"
    if isinstance(module, nn.MultiheadAttention):
        return "attention"
    if isinstance(module, nn.Linear):
        return "linear"
    if isinstance(module, (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)):
        return "normalisation"
    return "other"


def _guessed_kind(
    own: Mapping[str, tuple[int, ...]], shape: tuple[int, ...], before: Sequence[Layer]
) -> tuple[Kind, int]:
    """(kind, groups of a convolution)."""
    if "in_proj_weight" in own:
        return "attention", 1
    if "running_mean" in own:
        return "normalisation", 1
    if "weight" in own and len(shape) == 4:
        return _guessed_groups(shape, before)
    if "weight" in own and len(shape) in (3, 5):
        return "other convolution", 1
    if "weight" in own and len(shape) == 2:
        return "linear", 1
    return ("normalisation" if len(shape) == 1 and "bias" in own else "other"), 1


def _guessed_groups(shape: tuple[int, ...], before: Sequence[Layer]) -> tuple[Kind, int]:
    """A convolution whose kernels see fewer channels than any layer before it gives is a grouped one."""
    outputs, inputs = shape[:2]
    given = [layer.shape[0] for layer in before if "convolution" in layer.kind]
    if given and inputs == 1:
        return "grouped convolution", outputs
    if given and inputs not in given and given[-1] % inputs == 0 and outputs % (given[-1] // inputs) == 0:
        groups = given[-1] // inputs
        return ("grouped convolution", groups) if groups > 1 else ("convolution", 1)
    return "convolution", 1


def unstacked(shapes: Shapes) -> tuple[int | None, Shapes]:
    """(members, shapes of one) where a file holds networks stacked along the first axis; otherwise (None, shapes)."""
    leading = {shape[0] if shape else 0 for shape in shapes.values()}
    biases = [shape for name, shape in shapes.items() if name.endswith("bias")]
    weights = [shape for name, shape in shapes.items() if name.endswith("weight")]
    stacked = len(leading) == 1 and weights and biases and all(len(shape) == 2 for shape in biases)
    if not stacked or not any(len(shape) in (3, 5) for shape in weights):
        return None, shapes
    return leading.pop(), {name: shape[1:] for name, shape in shapes.items()}


def _some(layers: Sequence[Layer]) -> str:
    kinds = sorted({layer.kind for layer in layers})
    more = f" and {len(layers) - 1} more" if len(layers) > 1 else ""
    return f"{layers[0].name}{more} ({', '.join(kinds)})"


def _count(shapes: Iterable[Sequence[int]]) -> int:
    return sum(prod(shape) for shape in shapes)
