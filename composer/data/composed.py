"""A composed model: one or more populations whose log-odds are combined."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import torch
from torch import Tensor

from composer.data.dependence import INDEPENDENT, Dependence
from composer.data.expressions import Expression
from composer.data.images import Images
from composer.data.population import Population, count_parameters


@dataclass(frozen=True)
class ComposedModel:
    """M models of the target. Each part has M members, or one that serves all.

    A single part is a network of its own; several are run side by side, and their log-odds combined as the target says
    (`Dependence.log_odds`). Parts that share a body are one network with several heads: the body is kept, counted and
    run once. target: a formula of the parts' concepts; left out, all of them at once. labels: how many labelled
    pictures of the target it was made with. dependence: how the parts' concepts are taken to hang together.
    """

    parts: tuple[Population, ...]
    members: tuple[str, ...]
    target: Expression | None = None
    labels: int = 0
    dependence: Dependence = INDEPENDENT

    def __post_init__(self) -> None:
        for part in self.parts:
            if len(part) not in (1, len(self.members)):
                raise ValueError(f"a part has {len(part)} members, the model {len(self.members)}")
        parts = list(self.parts)
        for index, first in enumerate(self.bodies):
            if first != index:
                parts[index] = parts[index].on_body_of(parts[first])
        object.__setattr__(self, "parts", tuple(parts))

    def __len__(self) -> int:
        return len(self.members)

    @property
    def has_log_odds(self) -> bool:
        """Whether every part has a head."""
        return all(part.has_head for part in self.parts)

    @property
    def knows(self) -> tuple[str, ...]:
        """The concepts that formulas may ask for: those of a single network's head of cells, else one of each part."""
        if len(self.parts) == 1 and self.parts[0].cells:
            return self.parts[0].cells
        return tuple(dict.fromkeys(part.concept for part in self.parts))

    @property
    def parameters(self) -> int:
        """Parameters of one member, all parts together."""
        return sum(
            part.parameters if first == index else count_parameters(part.head_weights)
            for index, (part, first) in enumerate(zip(self.parts, self.bodies, strict=True))
        )

    @cached_property
    def bodies(self) -> tuple[int, ...]:
        """For each part the first part that has the same body: its own number where none before it has."""
        found: list[int] = []
        for index, part in enumerate(self.parts):
            before = (first for first in dict.fromkeys(found) if part.shares_body(self.parts[first]))
            found.append(next(before, index))
        return tuple(found)

    def select(self, indices: Sequence[int]) -> ComposedModel:
        """The members at `indices`, in that order; the model itself where these are all."""
        if list(indices) == list(range(len(self))):
            return self
        parts = tuple(part if len(part) == 1 else part.select(indices) for part in self.parts)
        return replace(self, parts=parts, members=tuple(self.members[index] for index in indices))

    def features(self, images: Images, device: torch.device | str = "cpu") -> Tensor:
        """Features of all bodies, float32 [M, N, D]."""
        features = [self.parts[first].features(images, device) for first in dict.fromkeys(self.bodies)]
        return torch.cat([part.expand(len(self), -1, -1) for part in features], dim=-1)

    def log_odds(self, images: Images, device: torch.device | str = "cpu") -> Tensor:
        """Log-odds of the target, float32 [M, N]; ValueError where a part has no head."""
        each = [part.log_odds(images, device).expand(len(self), -1) for part in self.parts]
        return combined([part.concept for part in self.parts], each, self.target, self.dependence)

    def decisions(self, images: Images, device: torch.device | str = "cpu") -> Tensor:
        """Whether each picture counts as the target where every part decides at 0.5 for itself, bool [M, N]."""
        each = [part.log_odds(images, device).expand(len(self), -1) > 0 for part in self.parts]
        return decided([part.concept for part in self.parts], each, self.target)

    def answering(self, target: Expression) -> ComposedModel:
        """The same networks, asked for as much of `target` as they know.

        Of a head of cells other outputs count; networks side by side are combined in another way. A single network
        without such a head says its concept or, where the target asks for it, that it is not shown. Networks that know
        nothing that decides the target stay as they are.
        """
        (first, *others) = self.parts
        asked = target.restricted(self.knows)
        if asked is None or asked.is_certain:
            return self
        if first.cells and not others:
            return replace(self, parts=(first.knowing(asked),), target=asked)
        said = None if not others and asked == Expression.of(first.concept) else asked
        return self if said == self.target else replace(self, target=said)


def combined(
    concepts: Sequence[str],
    log_odds: Sequence[Tensor],
    target: Expression | None,
    dependence: Dependence = INDEPENDENT,
) -> Tensor:
    """Log-odds of the target out of those of its parts.

    Parts that share a concept are experts of it: all of them have to hold. Those of a single part are the target's
    already, unless the target is a formula of its concept alone.
    """
    if len(log_odds) == 1 and _is_the_target(concepts[0], target):
        return log_odds[0]
    if target is None:
        experts = _numbered(log_odds)
        return dependence.log_odds(Expression.all_of(experts), experts)
    each = _by_concept(concepts, log_odds)
    said = {concept: combined([concept], own, None, dependence) for concept, own in each.items()}
    return dependence.log_odds(target, said)


def decided(concepts: Sequence[str], shown: Sequence[Tensor], target: Expression | None) -> Tensor:
    """Whether the target counts as shown, bool, where each part has decided for itself."""
    if len(shown) == 1 and _is_the_target(concepts[0], target):
        return shown[0]
    if target is None:
        experts = _numbered(shown)
        return Expression.all_of(experts).holds(experts)
    each = _by_concept(concepts, shown)
    return target.holds({concept: decided([concept], own, None) for concept, own in each.items()})


def _is_the_target(concept: str, target: Expression | None) -> bool:
    """Whether the answer of the only part is the target's as it is: of a head of cells those outputs were chosen."""
    return target is None or target.concepts != (concept,)


def _numbered(values: Sequence[Tensor]) -> dict[str, Tensor]:
    return {str(number): value for number, value in enumerate(values)}


def _by_concept(concepts: Sequence[str], values: Sequence[Tensor]) -> dict[str, list[Tensor]]:
    found: dict[str, list[Tensor]] = {}
    for concept, value in zip(concepts, values, strict=True):
        found.setdefault(concept, []).append(value)
    return found


def side_by_side(parents: Sequence[Population]) -> ComposedModel:
    """Networks of one member each; of several what each says of its own concept."""
    members = (" x ".join(parent.members[0] for parent in parents),)
    return ComposedModel(tuple(parents), members)
