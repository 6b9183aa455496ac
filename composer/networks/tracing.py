"""Following the units of a network through one forward pass.

Whatever moves numbers moves their labels in the same way, and whatever adds or multiplies numbers joins their units.
So residual sums, concatenation, flattening and shuffling need no rule of their own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from composer.networks.following import Followed, Planes
from composer.networks.rules import RULES
from composer.networks.units import FIXED, NONE, compact, constant, first_along, varying

MOVES = frozenset(
    (
        "alias",
        "cat",
        "channel_shuffle",
        "clone",
        "constant_pad_nd",
        "contiguous",
        "detach",
        "expand",
        "flip",
        "index",
        "index_select",
        "lift_fresh",
        "narrow",
        "native_channel_shuffle",
        "permute",
        "pixel_shuffle",
        "pixel_unshuffle",
        "repeat",
        "roll",
        "select",
        "slice",
        "split",
        "split_with_sizes",
        "squeeze",
        "stack",
        "t",
        "transpose",
        "unbind",
        "unsafe_split",
        "unsafe_split_with_sizes",
        "unsqueeze",
    )
)
"""Operations that only move numbers."""
RESHAPES = frozenset(("view", "reshape", "_reshape_alias", "_unsafe_view", "unflatten", "as_strided_"))
"""Operations that keep numbers in their order."""
POINTWISE = frozenset(("_to_copy", "hardswish", "hardswish_", "native_dropout")) | frozenset(
    ("celu_", "elu_", "hardsigmoid_", "hardtanh_", "leaky_relu", "leaky_relu_", "selu_")  # of torch 2.11 only
)
"""Operations on each number by itself that torch does not tag so."""
FACTORIES = frozenset(
    ("empty_like", "full_like", "new_empty", "new_full", "new_ones", "new_zeros", "ones_like", "zeros_like")
)
"""Operations that look at a tensor's shape only."""


@dataclass(frozen=True)
class Seen:
    """Where units can be watched: the labels along one axis of what a module without parts gives."""

    module: str
    axis: int
    labels: Tensor


@dataclass(frozen=True)
class Trace:
    """What one forward pass has shown."""

    followed: Followed
    seen: tuple[Seen, ...]


def traced(network: nn.Module, pixels: Tensor) -> Trace:
    """The units of a network in evaluation; ComposerError, by module, where it cannot be followed."""
    followed = Followed(network)
    followed[pixels] = (constant(FIXED, pixels.shape),)
    seen: list[Seen] = []
    hooks = []
    for name, module in network.named_modules():
        hooks.append(module.register_forward_pre_hook(partial(_enter, followed, name)))
        hooks.append(module.register_forward_hook(partial(_leave, followed, name, seen)))
    try:
        # With gradients: without, some networks take a short cut through an operation that does all at once.
        with torch.enable_grad(), _Tracer(followed):
            outputs = network(pixels)
    finally:
        for hook in hooks:
            hook.remove()
    followed.freeze(outputs)
    followed.freeze_unused()
    return Trace(followed, tuple(seen))


def _enter(followed: Followed, name: str, module: nn.Module, inputs: Any) -> None:
    followed.path.append(name)


def _leave(followed: Followed, name: str, seen: list[Seen], module: nn.Module, inputs: Any, output: Any) -> None:
    followed.path.pop()
    if next(module.children(), None) is not None or not isinstance(output, Tensor) or output not in followed:
        return
    plane, *others = followed[output]
    if not others and len(axes := varying(plane)) == 1:
        axis = axes.pop()
        seen.append(Seen(name, axis, first_along(plane, axis)))


class _Tracer(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch types its modes in part
    def __init__(self, followed: Followed) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.followed = followed

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # nothing is compiled here, and to say so to the compiler imports it, which takes seconds

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        named = kwargs or {}
        out = func(*args, **named)
        given = [leaf for leaf in tree_leaves((args, named)) if isinstance(leaf, Tensor)]
        if any(tensor in self.followed for tensor in given):
            self.followed.use(given)
            outputs = [each for each in tree_leaves(out) if isinstance(each, Tensor)]
            # Of several outputs, those without planes are indices and the like.
            for each, planes in zip(outputs, _planes(self.followed, func, args, named, given, outputs), strict=False):
                self.followed[each] = planes
        return out


def _planes(
    followed: Followed,
    func: Any,
    args: Sequence[Any],
    named: Mapping[str, Any],
    given: Sequence[Tensor],
    outputs: Sequence[Tensor],
) -> list[Planes]:
    """The planes of each output of an operation."""
    name = func.overloadpacket.__name__
    if name in RULES:
        plane = RULES[name](followed, args, named, outputs)
        return [(plane,)] * (len(outputs) if name == "var_mean" else 1)
    if name in FACTORIES:
        return []
    if (
        name in RESHAPES and outputs[0].numel() == args[0].numel()
    ):  # labels that are repeated lie in memory in another way, so that `view` would fail
        return [tuple(plane.reshape(outputs[0].shape) for plane in followed[args[0]])]
    if name in MOVES:
        return _moved(followed, func, args, named)
    if name in POINTWISE or torch.Tag.pointwise in func.tags:
        return [_pointwise(followed, given, outputs[0].shape)] if outputs else []
    if all(bool((small <= FIXED).all()) for each in given for plane in followed[each] for small in compact(plane)):
        return [(constant(FIXED, each.shape),) for each in outputs]
    raise followed.refusal(f"the operation {name!r} cannot be followed")


def _moved(followed: Followed, func: Any, args: Sequence[Any], named: Mapping[str, Any]) -> list[Planes]:
    first, *rest = args
    if func.overloadpacket.__name__ == "constant_pad_nd":
        rest = [rest[0], NONE]
    named = {key: value for key, value in named.items() if key != "memory_format"}
    several = isinstance(first, (list, tuple))
    each = followed.together(first) if several else [[plane] for plane in followed[first]]
    if several and len(each) == 1 and func.overloadpacket.__name__ == "cat":
        axis = (rest[0] if rest else named.get("dim", 0)) % first[0].ndim
        each = [list(followed.one_after_another(each[0], axis))]
    moved = [tree_leaves(func(planes if several else planes[0], *rest, **named)) for planes in each]
    return [tuple(planes) for planes in zip(*moved, strict=True)]


def _pointwise(followed: Followed, given: Sequence[Tensor], shape: torch.Size) -> Planes:
    known = [tensor for tensor in given if tensor in followed]
    if len(known) == 1:
        planes = tuple(plane.expand(shape) for plane in followed[known[0]])
    else:
        single = [followed[tensor][0] for tensor in known if len(followed[tensor]) == 1]
        if not single:
            raise followed.refusal("parameters are combined with each other before they are used")
        axes = {axis - plane.ndim for plane in single for axis in varying(plane)}  # from the last axis
        own = [followed.one_plane(tensor, {axis + tensor.ndim for axis in axes}).expand(shape) for tensor in known]
        total = own[0]
        for plane in own[1:]:
            total = followed.joined(total, plane)
        planes = (total,)
    for plane in planes:
        for tensor in given:
            if tensor not in followed:
                followed.freeze_against(plane, tensor)
    return planes
