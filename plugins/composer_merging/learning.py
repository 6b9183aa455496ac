"""A scorer of units that learns from many pairs of parents: what its choice costs is found by least squares.

Of two networks side by side it keeps some units of each layer. The next layer is fitted by least squares to what it
gave, and a head to the parents' log-odds, both in closed form and differentiable; the error of the head on other
pictures is what the scorer lowers. No picture of any pair's target, and no label, is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import cos, isfinite, pi
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from composer import ComposerError, Images, Population, Run
from composer_cnn import CNN
from composer_merging.merging import one_member, require_alike
from composer_merging.mixtures import Mixer
from composer_merging.moments import called, moments, views
from composer_merging.reducing import built
from composer_merging.scorer import Scorer, Units, described

if TYPE_CHECKING:
    from composer_merging import Learning

CERTAIN = 4.0
"""Log-odds are clipped to +-CERTAIN, as where heads are fitted."""
WARMTH = 0.1
"""Of the sigmoid that a choice is while it is learned, in units of the scores: greedy ones lie between 0 and 1."""
SLIGHT = 0.01
"""How much of a unit that is not kept is signal at least, so that gradients say what it would bring."""

Pair = tuple[Sequence[Population], Sequence[Images]]
"""Two parents, and the pictures of each."""


@dataclass(frozen=True)
class Example:
    """Two networks of `cnn`, and what their layers make of some pictures."""

    units: tuple[Units, Units]
    hidden: Tensor  # [N, 2 n, h, w]: what the first layers of both give
    kernel: int
    wanted: Tensor  # [N, 2 m, h, w]: what the second layers give before they are pooled
    said: Tensor  # [N, 2]: the parents' log-odds

    def missed(self, first: Tensor, second: Tensor, ridge: float) -> Tensor:
        """Share of the log-odds of the last third of the pictures that is missed with units kept [2 n] and [2 m].

        Layer and head are fitted to the first two thirds; 1 is no better than to say the same of every picture. kept: 1
        for a unit that is kept, down to nearly 0 for one whose weights least squares holds at zero.
        """
        fitted = 2 * len(self.hidden) // 3
        given = F.unfold(self.hidden, self.kernel).mT  # [N, places, d]
        wanted = self.wanted.flatten(2).mT
        own, target = given[:fitted].flatten(0, 1), wanted[:fitted].flatten(0, 1)
        mean, level = own.mean(0), target.mean(0)
        layer = solved(own - mean, target - level, first.repeat_interleave(self.kernel**2), ridge)
        made = ((given - mean) @ layer + level).mT.reshape(self.wanted.shape)
        features = F.max_pool2d(made, 2).relu().flatten(1)
        mean, level = features[:fitted].mean(0), self.said[:fitted].mean(0)
        kept = second.repeat_interleave(features.shape[1] // len(second))
        head = solved(features[:fitted] - mean, self.said[:fitted] - level, kept, 0.1)
        told = (features[fitted:] - mean) @ head + level
        spread = (self.said[fitted:] - level).square().mean(0).clamp(min=1e-6)
        share: Tensor = ((told - self.said[fitted:]).square().mean(0) / spread).mean()
        return share


def solved(inputs: Tensor, outputs: Tensor, kept: Tensor, ridge: float) -> Tensor:
    """[d, m]: ridge regression, its strength in units of the inputs' mean square. Differentiable.

    kept: [d], of each input, how much of it is signal: the rest is as if it were noise of its own variance.
    """
    count, width = inputs.shape
    squares = inputs.square().sum(0)
    strength = ridge * squares.mean().clamp(min=1e-6) + squares * (1 - kept) / kept
    found: Tensor
    if width <= count:
        found = torch.linalg.solve(inputs.T @ inputs + strength.diag(), inputs.T @ outputs)
        return found
    spread = inputs / strength
    found = spread.T @ torch.linalg.solve(spread @ inputs.T + torch.eye(count), outputs)
    return found


def kept_softly(scores: Tensor, count: int) -> Tensor:
    """[units] between SLIGHT and 1 - SLIGHT: above a half for the `count` units with the highest scores."""
    ordered = scores.sort(descending=True).values
    middle = (ordered[count - 1] + ordered[count]).detach() / 2
    return SLIGHT + (1 - 2 * SLIGHT) * ((scores - middle) / WARMTH).sigmoid()


def learn(options: Learning, pairs: Sequence[Pair], run: Run) -> Scorer:
    """A scorer that has learned from all pairs: `options.members` networks of each."""
    if not pairs:
        raise ComposerError("learn_scorer: there are no pairs to learn from")
    examples = [
        example(parents, pictures, member, options.pictures, run)
        for parents, pictures in run.progress(pairs, "looking at the zoo's networks", len(pairs))
        for member in range(min(options.members, *map(len, parents)))
    ]
    random = run.generator()
    scorer = Scorer.fresh(options.hidden, random)
    learned = [tensor.requires_grad_() for tensor in scorer.weights.values()]
    optimiser = torch.optim.Adam(learned, options.learning_rate)
    for step in run.progress(range(options.steps), "learning to choose", options.steps):
        for group in optimiser.param_groups:
            group["lr"] = options.learning_rate * (1 + cos(pi * step / options.steps)) / 2
        drawn = torch.randint(len(examples), (options.networks,), generator=random).tolist()
        loss = torch.stack([_error(scorer, examples[place], options.ridge) for place in drawn]).mean()
        if not isfinite(float(loss.detach())):
            raise ComposerError(
                f"learn_scorer: it diverged in step {step + 1} of {options.steps}; lower learning_rate "
                f"({options.learning_rate:g})"
            )
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    concepts = dict.fromkeys(parent.concept for parents, _ in pairs for parent in parents)
    return Scorer({name: tensor.detach() for name, tensor in scorer.weights.items()}, tuple(concepts))


def _error(scorer: Scorer, own: Example, ridge: float) -> Tensor:
    first, second = (kept_softly(scorer(units), len(units.start) // 2) for units in own.units)
    return own.missed(first, second, ridge)


@torch.no_grad()
def example(parents: Sequence[Population], pictures: Sequence[Images], member: int, most: int, run: Run) -> Example:
    """Member i of two parents on at most so many of their pictures, drawn with the run's seed.

    ComposerError for networks that are not `cnn`, or of two architectures.
    """
    require_alike("learn_scorer", parents)
    architecture = parents[0].architecture
    if len(parents) != 2 or any(parent.architecture != architecture for parent in parents):
        raise ComposerError("learn_scorer: each pair is two parents of one architecture")
    if not isinstance(architecture, CNN):
        raise ComposerError(f"learn_scorer: it learns from networks of `cnn`, not of {architecture.name!r}")
    size = parents[0].preprocessing.size
    raw = torch.cat([images.at(size) for images in pictures])
    raw = raw[torch.randperm(len(raw), generator=run.generator())[:most]]
    shown = Images([str(place) for place in range(len(raw))], {}, raw)
    said = torch.stack([parent.log_odds(shown).mean(0) for parent in parents], 1).clamp(-CERTAIN, CERTAIN)
    pixels = parents[0].preprocessing(raw)
    weights = [one_member(parent, member, with_head=True) for parent in parents]
    networks = [built(architecture, own, "cpu") for own in weights]
    mixer = Mixer(architecture, architecture)
    seen = views(mixer, "inputs", called(networks[0], pixels[:1]))
    answers = moments(seen, networks, pixels)
    units = {
        name: described(torch.stack([each.covariance() for each in own]).sum(0), mixer.demand(name, weights))
        for name, own in answers.items()
    }
    hidden = [F.max_pool2d(_layer(network, "conv1")(pixels), 2).relu() for network in networks]
    wanted = [_layer(network, "conv2")(own) for network, own in zip(networks, hidden, strict=True)]
    return Example(
        (units["conv1"], units["conv2"]), torch.cat(hidden, 1), architecture.kernel_size, torch.cat(wanted, 1), said
    )


def _layer(network: nn.Module, name: str) -> nn.Module:
    return network.get_submodule(name)
