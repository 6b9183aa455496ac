"""Models whose heads were moved by labelled pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from composer import (
    ComposedModel,
    ComposerError,
    Expression,
    Images,
    Population,
    Run,
)
from composer_few.curve import learning_curve
from composer_few.moving import Moved, Shown, moved
from composer_few.reading import handful, unlabelled
from composer_few.spreading import beside, trials

if TYPE_CHECKING:
    from composer_few import FewAlone, FewShot

Flags = NDArray[np.bool_]


def few_shot(options: FewShot, parents: Sequence[Population], run: Run) -> ComposedModel:
    """The parents side by side, their heads moved by the pictures of a folder."""
    return with_moved_heads(options, parents, run, stay=True)


def few_alone(options: FewAlone, parents: Sequence[Population], run: Run) -> ComposedModel:
    """The parents' bodies, or untrained ones, with heads that know the pictures of a folder and nothing else."""
    if options.bodies == "untrained":
        parents = [with_untrained_body(parent, run.seed + index) for index, parent in enumerate(parents)]
    return with_moved_heads(options, [without_knowledge(parent) for parent in parents], run, stay=False)


@dataclass(frozen=True)
class Handful:
    """What one member of every parent says of labelled pictures, and of unlabelled ones where there are any."""

    labelled: Shown
    unlabelled: Shown | None

    def moved(self, options: FewShot | FewAlone, *, stay: bool) -> Moved | None:
        """How the labels move heads; None where there are unlabelled pictures and all pictures look the same."""
        if self.unlabelled is None:
            return moved(self.labelled, stay=stay)
        joint = beside(self.labelled, self.unlabelled, options.neighbours, options.alpha, knowing=stay)
        return None if joint is None else moved(self.labelled, stay=stay, beside=trials(joint))


def with_moved_heads(
    options: FewShot | FewAlone, parents: Sequence[Population], run: Run, *, stay: bool
) -> ComposedModel:
    """The product of the parents after what labelled pictures teach them; without any, the product itself.

    Members go together one by one, as many as the smallest population has; a parent of one member serves all, and is
    moved by the mean of what each of them asks of it. ComposerError where a parent has no head.
    stay: whether heads stay as they are where nothing is clearly better.
    """
    rng = run.rng()
    pictures, yes = handful(options.name, options.folder, options.most, rng)
    for parent in parents:
        if not parent.has_head:
            raise ComposerError(f"{options.name}: {parent.why_no_log_odds}")
    several = [len(parent) for parent in parents if len(parent) > 1]
    count = min(several, default=1)
    parts = [parent if len(parent) in (1, count) else parent.select(range(count)) for parent in parents]
    names = zip(*(part.members * (count // len(part)) for part in parts), strict=True)
    members = tuple(" x ".join(own) for own in names)
    if not len(pictures):
        return ComposedModel(tuple(parts), members)
    others = unlabelled(options, rng)
    known = _asked(options.name, parts, pictures, run)
    guessed = None if others is None else _asked(options.name, parts, others, run)
    found = []
    for member in run.progress(range(count), "moving heads", count):
        shown = _shown(parts, known, member, yes, run)
        spread = None if guessed is None else _shown(parts, guessed, member, None, run)
        one = Handful(shown, spread).moved(options, stay=stay)
        if one is None:
            run.warn(f"{members[member]}: all pictures look the same to it, so that no label was spread")
        found.append(moved(shown, stay=stay) if one is None else one)
    if stay:
        run.figure("labels", learning_curve(_shown(parts, known, 0, yes, run), rng))
    run.measure("freedom", [one.freedom for one in found])
    if others is not None:
        run.measure("spread", [one.spread for one in found])
    changed = tuple(_with_head(part, index, found) for index, part in enumerate(parts))
    return ComposedModel(changed, members, labels=len(pictures))


def _asked(who: str, parts: Sequence[Population], pictures: Images, run: Run) -> list[tuple[Tensor, Tensor]]:
    """Features [M, N, D] and log-odds [M, N] of each parent; ComposerError where they are not finite."""
    found = []
    for part in parts:
        own, said = part.features(pictures, run.device).double(), part.log_odds(pictures, run.device).double()
        if not bool(own.isfinite().all() and said.isfinite().all()):
            raise ComposerError(
                f"{who}: what the networks of {part.concept!r} say of the pictures is not finite; their training or "
                "their file is broken"
            )
        found.append((own, said))
    return found


def _shown(
    parts: Sequence[Population], known: Sequence[tuple[Tensor, Tensor]], member: int, yes: Flags | None, run: Run
) -> Shown:
    """What one member of each parent says; without labels each picture is as likely the target as not."""
    each = [(own[member % len(own)], said[member % len(said)]) for own, said in known]
    log_odds = torch.stack([said for _, said in each])
    return Shown(
        tuple(part.concept for part in parts),
        run.target or Expression.all_of([part.concept for part in parts]),
        [own for own, _ in each],
        log_odds,
        torch.full_like(log_odds[0], 0.5) if yes is None else torch.from_numpy(yes).double(),
    )


def _with_head(part: Population, index: int, found: Sequence[Moved]) -> Population:
    """The population with a step added to the outputs that mean its concept: its log-odds move by just that step."""
    slopes = torch.stack([one.slopes[index] for one in found])  # [M, D]
    shifts = torch.stack([one.shifts[index] for one in found])  # [M]
    if len(part) == 1:
        slopes, shifts = slopes.mean(0, keepdim=True), shifts.mean(0, keepdim=True)
    if not slopes.any() and not shifts.any():
        return part
    head, outputs = part.architecture.head, list(part.outputs)
    weight, bias = part.weights[f"{head}.weight"].clone(), part.weights[f"{head}.bias"].clone()
    weight[:, outputs] += slopes[:, None].to(weight)
    bias[:, outputs] += shifts[:, None].to(bias)
    return replace(part, weights={**part.weights, f"{head}.weight": weight, f"{head}.bias": bias}, _memo={})


def without_knowledge(parent: Population) -> Population:
    """The same body with a head of one output, zero: it says that all pictures show the concept as likely as not."""
    head = parent.architecture.head
    if not parent.has_head:
        return parent
    weight = torch.zeros_like(parent.weights[f"{head}.weight"][:, :1])
    weights = {**parent.weights, f"{head}.weight": weight, f"{head}.bias": torch.zeros_like(weight[..., 0])}
    return replace(parent, weights=weights, outputs=(0,), cells=(), _memo={})


def with_untrained_body(parent: Population, seed: int) -> Population:
    """Networks of the same architecture as their layers initialise themselves; the random state is kept."""
    head = f"{parent.architecture.head}."
    fresh: dict[str, list[Tensor]] = {name: [] for name in parent.weights if not name.startswith(head)}
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        for _ in range(len(parent)):
            state = parent.architecture.build(1).state_dict()
            for name, own in fresh.items():
                own.append(state[name].detach())
    made = {name: torch.stack(own) for name, own in fresh.items()}
    return replace(parent, weights={**parent.weights, **made}, _memo={})
