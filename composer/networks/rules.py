"""How units go through what computes: convolutions, linear layers, norms, pooling, sums and attention."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from composer.networks.following import Followed
from composer.networks.units import FIXED, NONE, along, compact, constant, varying

Rule = Callable[[Followed, Sequence[Any], Mapping[str, Any], Sequence[Tensor]], Tensor]
"""The plane of the first output, from the arguments of an operation and its outputs."""


def convolution(network: Followed, args: Sequence[Any], named: Mapping[str, Any], outputs: Sequence[Tensor]) -> Tensor:
    """Inputs meet the weight's axis of inputs; with groups, a group's inputs and outputs are one block."""
    pixels, weight, bias = args[:3]
    transposed, groups = args[6], args[8]
    inputs = network.vector(network.activation(pixels), 1)
    planes = network.weight(weight)
    if len(planes) != weight.ndim:
        raise network.refusal("its weight is computed out of other tensors before it is used")
    for plane in planes[2:]:
        network.units.freeze(*compact(plane))
    if groups == 1:
        given, made = (0, 1) if transposed else (1, 0)
        _meet(network, inputs, network.vector(planes[given], given))
        found = network.vector(planes[made], made)
    elif transposed:
        raise network.refusal("a transposed convolution with groups cannot be followed")
    else:
        found = _blocks(network, inputs, planes, groups)
    if bias is not None:
        network.units.join(found, network.vector(network.activation(bias), 0))
    return along(found, 1, outputs[0].shape)


def _blocks(network: Followed, inputs: Tensor, planes: Sequence[Tensor], groups: int) -> Tensor:
    found = network.vector(planes[0], 0)
    network.units.freeze(*compact(planes[1]))
    for own, others in zip(inputs.chunk(groups), found.chunk(groups), strict=True):
        if bool((own == NONE).any()):
            network.units.freeze(others)
        network.units.weld(torch.cat([own, others]))
    return found


def _meet(network: Followed, inputs: Tensor, wanted: Tensor) -> None:
    """Joins an activation with a weight's inputs; weights for constant inputs stay where they are."""
    network.units.join(inputs, wanted)
    network.units.freeze(wanted[inputs == NONE])


def linear(network: Followed, args: Sequence[Any], named: Mapping[str, Any], outputs: Sequence[Tensor]) -> Tensor:
    """`mm(rows, weight)`, or `addmm(bias, rows, weight)`."""
    *bias, rows, weight = args
    planes = network[weight]
    if len(planes) == 1:
        return constant(_welded(network, [network.activation(rows), planes[0]]), outputs[0].shape)
    made = next((plane for plane in planes if 1 in varying(plane)), None)
    if made is None:
        made = next((plane for plane in planes if 0 not in varying(plane)), planes[0])
    others = [plane for plane in planes if plane is not made]
    met = next((plane for plane in others if 0 in varying(plane)), others[-1])
    for plane in others:
        if plane is not met:
            network.units.freeze(*compact(plane))
    _meet(network, network.vector(network.activation(rows), 1), network.vector(met, 0))
    found = network.vector(made, 1)
    for tensor in bias:
        network.units.join(found, network.vector(network.activation(tensor), tensor.ndim - 1))
    return along(found, 1, outputs[0].shape)


def bmm(network: Followed, args: Sequence[Any], named: Mapping[str, Any], outputs: Sequence[Tensor]) -> Tensor:
    """Attention spelled out: all that meets in one matrix of the batch is one unit, a head."""
    *added, first, second = args
    if added:
        raise network.refusal("'baddbmm' cannot be followed")
    planes = [network.activation(tensor) for tensor in (first, second)]
    units = [_welded(network, each) for each in zip(*planes, strict=True)]
    return along(torch.tensor(units), 0, outputs[0].shape)


def _welded(network: Followed, planes: Sequence[Tensor]) -> int:
    """The label of the block that all these labels become."""
    labels = torch.cat([small.flatten() for plane in planes for small in compact(plane)])
    labels = labels[labels != NONE]
    network.units.weld(labels)
    return int(labels[0]) if len(labels) else NONE


def attention(network: Followed, args: Sequence[Any], named: Mapping[str, Any], outputs: Sequence[Tensor]) -> Tensor:
    """Query, key and value [N, heads, tokens, width]: each head is one unit."""
    planes = [network.activation(tensor).movedim(1, 0) for tensor in args[:3]]
    if len({len(plane) for plane in planes}) > 1:
        raise network.refusal("attention with fewer keys than queries cannot be followed")
    heads = torch.tensor([_welded(network, each) for each in zip(*planes, strict=True)])
    for mask in [*args[3:], *named.values()]:
        if isinstance(mask, Tensor) and mask.ndim == 4 and mask.shape[1] == len(heads) > 1:
            network.units.join(heads, network.vector(network.one_plane(mask, {1}), 1))
    return along(heads, 1, outputs[0].shape)


def batch_norm(network: Followed, args: Sequence[Any], named: Mapping[str, Any], outputs: Sequence[Tensor]) -> Tensor:
    """Each channel with its own scale, shift and running statistics."""
    labels = network.vector(network.activation(args[0]), 1)
    return along(_scaled(network, labels, args[1:5]), 1, outputs[0].shape)


def _scaled(network: Followed, labels: Tensor, parameters: Sequence[Any]) -> Tensor:
    """The same labels joined with those of parameters [D]; where there were none, those of the parameters."""
    for tensor in parameters:
        if isinstance(tensor, Tensor):
            own = network.vector(network.activation(tensor), tensor.ndim - 1)
            network.units.join(labels, own)
            labels = torch.where(labels == NONE, own, labels)
    return labels


def layer_norm(network: Followed, args: Sequence[Any], named: Mapping[str, Any], outputs: Sequence[Tensor]) -> Tensor:
    """Over the last axis, along which units may move; over several axes nothing may."""
    values, shape, *parameters = args
    plane = network.activation(values)
    if len(shape) == 1:
        labels = _scaled(network, network.vector(plane, plane.ndim - 1), parameters)
        return along(labels, plane.ndim - 1, outputs[0].shape)
    network.freeze([values, parameters])
    return constant(FIXED, outputs[0].shape)


def group_norm(network: Followed, args: Sequence[Any], named: Mapping[str, Any], outputs: Sequence[Tensor]) -> Tensor:
    """Units may change places with those of their own group only."""
    values, weight, bias, *_ = args
    groups = args[6]
    labels = _scaled(network, network.vector(network.activation(values), 1), (weight, bias))
    if groups > 1:
        for group, own in enumerate(labels.chunk(groups)):
            network.units.tag(own, (network.path[-1], group))
    return along(labels, 1, outputs[0].shape)


def pool(network: Followed, args: Sequence[Any], named: Mapping[str, Any], outputs: Sequence[Tensor]) -> Tensor:
    """Pixels of each channel by itself."""
    axis = args[0].ndim - 3
    return along(network.vector(network.activation(args[0]), axis), axis, outputs[0].shape)


def reduction(network: Followed, args: Sequence[Any], named: Mapping[str, Any], outputs: Sequence[Tensor]) -> Tensor:
    """What is the same along the axes keeps its unit; a sum over all units of an axis belongs to none."""
    plane = network.activation(args[0])
    axes = _axes(args, named, plane.ndim)
    if axes & varying(plane):
        beside = varying(plane) - axes
        if beside:
            network.units.freeze(*compact(plane))
        plane = constant(FIXED if beside else NONE, plane.shape)
    for axis in axes:
        plane = plane.narrow(axis, 0, 1)
    return plane.reshape(outputs[0].shape)


def _axes(args: Sequence[Any], named: Mapping[str, Any], count: int) -> set[int]:
    """The axes that are summed over: given as a list before all other arguments, or all of them."""
    asked = next((arg for arg in args[1:] if isinstance(arg, (list, tuple))), named.get("dim"))
    return {axis % count for axis in asked} if asked else set(range(count))


def softmax(network: Followed, args: Sequence[Any], named: Mapping[str, Any], outputs: Sequence[Tensor]) -> Tensor:
    """Units may move along the axis or beside it, and not both."""
    plane = network.activation(args[0])
    if args[1] % plane.ndim in varying(plane) and len(varying(plane)) > 1:
        network.units.freeze(*compact(plane))
    return plane


RULES: dict[str, Rule] = {
    "convolution": convolution,
    "addmm": linear,
    "mm": linear,
    "bmm": bmm,
    "native_layer_norm": layer_norm,
    "_fused_rms_norm": layer_norm,
    "native_group_norm": group_norm,
    **dict.fromkeys(("native_batch_norm", "cudnn_batch_norm"), batch_norm),
    **dict.fromkeys(("_softmax", "_log_softmax", "_safe_softmax"), softmax),
    **dict.fromkeys(("mean", "sum", "amax", "amin", "var", "std", "var_mean", "linalg_vector_norm"), reduction),
    **dict.fromkeys(
        (
            "_scaled_dot_product_flash_attention_for_cpu",
            "_scaled_dot_product_flash_attention",
            "_scaled_dot_product_efficient_attention",
            "_scaled_dot_product_attention_math",
        ),
        attention,
    ),
    **dict.fromkeys(
        (
            "max_pool2d_with_indices",
            "avg_pool2d",
            "_adaptive_avg_pool2d",
            "adaptive_max_pool2d",
            "upsample_nearest2d",
            "upsample_bilinear2d",
            "upsample_bicubic2d",
        ),
        pool,
    ),
}
"""By the name of the operation; what only moves numbers and what works on each by itself needs none."""
