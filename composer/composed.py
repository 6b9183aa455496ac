"""A composed model: one or more populations whose log-odds are combined."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from composer.images import Images
from composer.population import Population


def product_of_experts(log_odds: Tensor) -> Tensor:
    """Log-odds of all concepts at once, from [P, ...] log-odds of each: log p = sum of log P(concept).

    Hinton 2002, "Training products of experts by minimizing contrastive divergence", eq. 1, for independent experts.
    """
    log_probability = logsigmoid(log_odds.double()).sum(0)
    # log(1 - p) by expm1, exact where p is near 0; near 1 the clamp keeps it finite.
    log_other = torch.log(-torch.expm1(log_probability.clamp(max=-1e-12)))
    return (log_probability - log_other).float()


@dataclass(frozen=True)
class ComposedModel:
    """M models of the target. Each part has M members, or one that serves all.

    A single part is a network of its own; several are run side by side and their log-odds multiplied
    as probabilities (`product_of_experts`).
    """

    parts: tuple[Population, ...]
    members: tuple[str, ...]

    def __post_init__(self) -> None:
        for part in self.parts:
            if len(part) not in (1, len(self.members)):
                raise ValueError(f"a part has {len(part)} members, the model {len(self.members)}")

    def __len__(self) -> int:
        return len(self.members)

    @property
    def has_log_odds(self) -> bool:
        """Whether every part has a head."""
        return all(part.has_head for part in self.parts)

    @property
    def parameters(self) -> int:
        """Parameters of one member, all parts together."""
        return sum(part.parameters for part in self.parts)

    def features(self, images: Images, device: torch.device | str = "cpu") -> Tensor:
        """Features of all parts, float32 [M, N, D]."""
        features = [part.features(images, device) for part in self.parts]
        return torch.cat([part.expand(len(self), -1, -1) for part in features], dim=-1)

    def log_odds(self, images: Images, device: torch.device | str = "cpu") -> Tensor:
        """Log-odds of the target, float32 [M, N]; ValueError where a part has no head."""
        each = [part.log_odds(images, device).expand(len(self), -1) for part in self.parts]
        return each[0] if len(each) == 1 else product_of_experts(torch.stack(each))
