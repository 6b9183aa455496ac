"""One pick per composition: the member that people get, chosen without labels by a criterion."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import overload

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from composer.data.composed import ComposedModel
from composer.data.images import Images
from composer.data.run import Run
from composer.data.scores import ROUNDING, Pick, tells_apart
from composer.errors import ComposerError
from composer.interfaces import Criterion

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]
ONLY = "the only member"
AT_ONCE = 128
"""Members whose features are computed at a time where those of all would take too much memory."""
MOST_BYTES = 2**30
"""Of features that are held at once."""


class CriterionError(ComposerError):
    """A criterion gave something else than a number for each member."""


def pick_member(criterion: Criterion, model: ComposedModel, images: Images, run: Run) -> Pick:
    """The criterion's values of all members that tell pictures apart, minus infinity for the others.

    A warning says how many do not. CriterionError where the criterion does not give a number for each.
    """
    log_odds = model.log_odds(images, run.device).double().numpy() if model.has_log_odds else None
    if log_odds is None:
        each = MemberFeatures(model, images, run.device, range(len(model)))
        finite, alive = (np.asarray(found) for found in zip(*map(_finite_and_alive, each), strict=True))
    else:
        finite, alive = np.isfinite(log_odds).all(axis=1), tells_apart(log_odds)
    _warn("features" if log_odds is None else "log-odds", finite, alive, model, run)
    if len(model) == 1:
        return Pick(np.where(alive, 0.0, -np.inf), ONLY)
    values = np.full(len(model), -np.inf)
    if alive.any():
        among = MemberFeatures(model, images, run.device, np.flatnonzero(alive).tolist())
        found = criterion.values(None if log_odds is None else log_odds[alive], among, run)
        if fault := values_fault(found, len(among)):
            raise CriterionError(f"criterion {criterion.name!r} gave {fault}")
        values[alive] = found
    return Pick(values, criterion.picked_by)


def values_fault(found: object, members: int) -> str | None:
    """What is wrong with that which a criterion gave for so many members; None if nothing."""
    if not isinstance(found, np.ndarray) or found.shape != (members,) or found.dtype != np.float64:
        met = f"{found.dtype} {list(found.shape)}" if isinstance(found, np.ndarray) else f"a {type(found).__name__}"
        return f"{met} for {members} members; give float64 [{members}]"
    if not np.isfinite(found).all():
        return f"NaN or infinity for {int((~np.isfinite(found)).sum())} of {members} members that tell pictures apart"
    return None


class MemberFeatures(Sequence[Tensor]):
    """Features [N, D] of some members, computed when they are asked for; held as far as memory allows."""

    def __init__(self, model: ComposedModel, images: Images, device: str, members: Sequence[int]) -> None:
        self.model = model
        self.images = images
        self.device = device
        self.members = members
        self._held: tuple[int, Tensor] | None = None

    def __len__(self) -> int:
        return len(self.members)

    @overload
    def __getitem__(self, index: int) -> Tensor: ...
    @overload
    def __getitem__(self, index: slice) -> list[Tensor]: ...
    def __getitem__(self, index: int | slice) -> Tensor | list[Tensor]:
        if isinstance(index, slice):
            return [self[one] for one in range(len(self))[index]]
        member = self.members[index]
        start = 0 if self._fits else member - member % AT_ONCE
        if self._held is None or self._held[0] != start:
            stop = len(self.model) if self._fits else min(start + AT_ONCE, len(self.model))
            self._held = start, self.model.select(range(start, stop)).features(self.images, self.device)
        return self._held[1][member - start]

    @cached_property
    def _fits(self) -> bool:
        """Whether the features of all members can be held."""
        one = self.model.select([0]).features(self.images.select([0]), self.device)
        return len(self.model) * len(self.images) * one.shape[-1] * one.element_size() <= MOST_BYTES


def _finite_and_alive(features: Tensor) -> tuple[bool, bool]:
    """Whether features [N, D] are finite, and whether those of any two pictures differ, rounding aside."""
    if not bool(features.isfinite().all()):
        return False, False
    spread = (features.amax(0) - features.amin(0)).amax()
    return True, bool(spread > ROUNDING * features.abs().amax())


def _warn(what: str, finite: Flags, alive: Flags, model: ComposedModel, run: Run) -> None:
    """Says how many members are dead, and how many have diverged."""
    if broken := int((~finite).sum()):
        names = ", ".join(repr(model.members[index]) for index in np.flatnonzero(~finite)[:3])
        run.warn(f"the {what} of {broken} of {len(model)} members are not finite ({names}); they are never picked")
    if dead := int((finite & ~alive).sum()):
        run.warn(f"{dead} of {len(model)} members are dead: they have the same {what} for every picture")
