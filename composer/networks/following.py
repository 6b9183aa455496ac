"""What is known of the tensors of a network that is being followed: which unit each of their numbers belongs to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves
from torch.utils.weak import WeakTensorKeyDictionary

from composer.errors import ComposerError
from composer.networks.units import FIXED, NONE, Units, along, compact, constant, first_along, varying

Planes = tuple[Tensor, ...]
"""Labels of every number of a tensor: one plane of its shape; of a parameter one for each of its axes."""


class Followed:
    """The units of one network, and the planes of all tensors that were met so far."""

    def __init__(self, network: nn.Module) -> None:
        self.units = Units()
        self.path = [""]
        """The modules that are running, the innermost last."""
        self.used: dict[str, int] = {}
        """Tensors of the state dict, in the order in which the network uses them."""
        self._names: dict[int, str] = {}
        named = network.state_dict(keep_vars=True).items()
        self._state = {name: tensor for name, tensor in named if tensor.ndim and tensor.is_floating_point()}
        self._planes = WeakTensorKeyDictionary()
        for name, tensor in self._state.items():
            if id(tensor) not in self._names:
                self._names[id(tensor)] = name
                sizes = enumerate(tensor.shape)
                self[tensor] = tuple(
                    along(self.units.fresh(name, axis, size), axis, tensor.shape) for axis, size in sizes
                )

    @property
    def aliases(self) -> dict[str, str]:
        """Each name of the state dict -> the name under which its tensor is followed."""
        return {name: self._names[id(tensor)] for name, tensor in self._state.items()}

    def __contains__(self, tensor: Tensor) -> bool:
        return tensor in self._planes

    def __getitem__(self, tensor: Tensor) -> Planes:
        """All planes of a tensor; of a constant a single one that may not move."""
        planes: Planes = self._planes[tensor] if tensor in self else (constant(FIXED, tensor.shape),)
        return planes

    def __setitem__(self, tensor: Tensor, planes: Planes) -> None:
        self._planes[tensor] = planes

    def use(self, tensors: Iterable[Tensor]) -> None:
        """Notes which tensors of the state dict the network uses."""
        for tensor in tensors:
            if name := self._names.get(id(tensor)):
                self.used.setdefault(name, len(self.used))

    def freeze(self, values: Any) -> None:
        """Lets no unit of these tensors move."""
        for tensor in tree_leaves(values):
            if isinstance(tensor, Tensor) and tensor in self:
                for plane in self[tensor]:
                    self.units.freeze(*compact(plane))

    def freeze_unused(self) -> None:
        """Lets nothing move that the network did not use: nobody can say what it is for."""
        self.freeze([tensor for tensor in self._state.values() if self._names[id(tensor)] not in self.used])

    def refusal(self, why: str) -> ComposerError:
        """What to raise where the network cannot be followed."""
        return ComposerError(f"module {self.path[-1] or 'at the top'!r}: {why}")

    def vector(self, plane: Tensor, axis: int) -> Tensor:
        """The labels along one axis; where they also vary along others, all of them are frozen."""
        if varying(plane) <= {axis}:
            return first_along(plane, axis)
        plane = self.units.rooted(plane)
        units = plane.movedim(axis, 0).flatten(1).amax(1)  # NONE, such as pixels of padding, gives way to any
        if varying(torch.where(plane == NONE, along(units, axis, plane.shape), plane)) <= {axis}:
            return units
        self.units.freeze(*compact(plane))
        return torch.full((plane.shape[axis],), FIXED)

    def activation(self, tensor: Tensor) -> Tensor:
        """The only plane of a tensor."""
        planes = self[tensor]
        if len(planes) != 1:
            raise self.refusal("a parameter of several axes is used where an activation is expected")
        return planes[0]

    def weight(self, tensor: Tensor) -> Planes:
        """The planes of a parameter, one for each of its axes."""
        planes = self[tensor]
        if len(planes) < 2:
            raise self.refusal("its weight is computed out of other tensors before it is used")
        return planes

    def one_plane(self, tensor: Tensor, axes: set[int]) -> Tensor:
        """The plane of an activation; of a parameter the one that varies along `axes`, and the others are frozen."""
        if tensor not in self:
            flat = tensor.flatten()
            return constant(NONE if bool((flat == flat[:1]).all()) else FIXED, tensor.shape)
        planes = self[tensor]
        if len(planes) == 1:
            return planes[0]
        chosen = next((plane for plane in planes if axes and varying(plane) == axes), None)
        for plane in planes:
            if plane is not chosen:
                self.units.freeze(*compact(plane))
        return constant(FIXED, tensor.shape) if chosen is None else chosen

    def together(self, tensors: Sequence[Tensor]) -> list[list[Tensor]]:
        """Planes of several tensors with as many axes, for each plane one of every tensor."""
        known = [self[tensor] for tensor in tensors if tensor in self]
        if len(known) == len(tensors) and len({len(planes) for planes in known}) == 1:
            return [list(planes) for planes in zip(*known, strict=True)]
        axes = {axis for planes in known if len(planes) == 1 for axis in varying(planes[0])}
        return [[self.one_plane(tensor, axes) for tensor in tensors]]

    def one_after_another(self, planes: Sequence[Tensor], axis: int) -> Sequence[Tensor]:
        """Planes that are put after one another along an axis of places, such as tokens: all have the same units.

        Along the axis of units itself each keeps its own.
        """
        along_which = {frozenset(varying(plane)) for plane in planes}
        if len(along_which) > 1 or len(own := along_which.pop()) != 1 or axis in own:
            return planes
        (units,) = own
        first = first_along(planes[0], units)
        for plane in planes[1:]:
            self.units.join(first, first_along(plane, units))
        return [along(first, units, plane.shape) for plane in planes]

    def joined(self, plane: Tensor, other: Tensor) -> Tensor:
        """One plane for numbers that are added or multiplied: their units become one."""
        own, others = compact(plane, other)
        self.units.join(own, others)
        return torch.where(own == NONE, others, own).expand(plane.shape)

    def freeze_against(self, plane: Tensor, fixed: Tensor) -> None:
        """Freezes units that meet another number of a constant than their neighbours do."""
        for axis in varying(plane):
            own = axis - plane.ndim + fixed.ndim
            if own >= 0 and fixed.shape[own] > 1 and bool((fixed != fixed.narrow(own, 0, 1)).any()):
                self.units.freeze(*compact(plane))
