"""What brings a network's log-odds to the frequency with which it is right: held-out pictures, and a rising curve."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class HeldOut:
    """What members said of those of their own training pictures that they were not trained on.

    log_odds: float32 [M, N]; NaN where a member was trained on the picture. shown: bool [N].
    how: what was held out from what, for people. balanced: whether members were trained as if as many pictures showed
    the concept as did not.
    """

    log_odds: Tensor
    shown: Tensor
    how: str
    balanced: bool = False

    def select(self, indices: Sequence[int]) -> HeldOut:
        """The members at `indices`, in that order."""
        return replace(self, log_odds=self.log_odds[list(indices)])

    @classmethod
    def joined(cls, groups: Sequence[HeldOut]) -> HeldOut:
        """What the members of all groups said of the same pictures."""
        return replace(groups[0], log_odds=torch.cat([each.log_odds for each in groups]))


@dataclass(frozen=True)
class Curve:
    """A curve for each member that never falls: straight lines between points, and on beyond the outermost.

    x, y: float64 [M, K], of rising points; below, above: float64 [M], the slopes beyond the first and the last.
    """

    x: Tensor
    y: Tensor
    below: Tensor
    above: Tensor

    def __post_init__(self) -> None:
        members = self.x.shape[:1]
        if (
            self.x.ndim != 2
            or self.x.shape != self.y.shape
            or members != self.below.shape
            or members != self.above.shape
        ):
            raise ValueError("a curve needs points [M, K], and two slopes for each of the M")
        finite = all(bool(own.isfinite().all()) for own in (self.x, self.y, self.below, self.above))
        rising = bool((self.x.diff() > 0).all()) and bool((self.y.diff() >= 0).all())
        if not finite or not rising or bool((self.below < 0).any()) or bool((self.above < 0).any()):
            raise ValueError("a curve's points must rise, its slopes must not fall, and all must be finite")

    @classmethod
    def line(cls, slope: Tensor, shift: Tensor) -> Curve:
        """slope * x + shift; both [M]."""
        slope, shift = slope.double(), shift.double()
        return cls(torch.zeros(len(slope), 1, dtype=torch.float64), shift[:, None], slope, slope)

    def __len__(self) -> int:
        return len(self.x)

    def __call__(self, log_odds: Tensor) -> Tensor:
        """float32 [M, N] from [M, N]: a sum of what never falls, so that rounding keeps the order of pictures."""
        x, y = self.x.to(log_odds.device), self.y.to(log_odds.device)
        given = log_odds.double()
        first, last = x[:, :1], x[:, -1:]
        total = y[:, :1] + self.below.to(x)[:, None] * (given - first).clamp(max=0)
        if x.shape[1] > 1:
            shares = ((given[..., None] - x[:, None, :-1]) / x.diff()[:, None]).clamp(0, 1)  # [M, N, K - 1]
            total = total + (shares * y.diff()[:, None]).sum(-1)
        return (total + self.above.to(x)[:, None] * (given - last).clamp(min=0)).float()

    def shifted(self, by: Tensor) -> Curve:
        """The curve with [M] added to what it gives."""
        return Curve(self.x, self.y + by.double()[:, None], self.below, self.above)

    def select(self, indices: Sequence[int]) -> Curve:
        """The curves of the members at `indices`, in that order."""
        index = list(indices)
        return Curve(self.x[index], self.y[index], self.below[index], self.above[index])

    def facts(self) -> dict[str, Any]:
        """What JSON holds of it: a mapping for each member, so that one can be read alone."""
        rows = zip(self.x.tolist(), self.y.tolist(), self.below.tolist(), self.above.tolist(), strict=True)
        return {"calibration": [dict(zip(("x", "y", "below", "above"), row, strict=True)) for row in rows]}

    @classmethod
    def of_facts(cls, rows: Sequence[Mapping[str, Any]]) -> Curve:
        """The inverse of `facts`."""
        x, y, below, above = (
            torch.tensor([row[name] for row in rows], dtype=torch.float64) for name in ("x", "y", "below", "above")
        )
        return cls(x, y, below, above)
