"""Models whose heads were moved by labelled pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from composer import (
    ComposedModel,
    ComposerError,
    Expression,
    FileDecoder,
    Images,
    Population,
    Run,
    UnreadablePictureError,
    picture_files,
)
from composer_few import layout
from composer_few.moving import Moved, Shown, moved

Flags = NDArray[np.bool_]


def few_shot(who: str, folder: Path, most: int | None, parents: Sequence[Population], run: Run) -> ComposedModel:
    """The parents side by side, their heads moved by the pictures of a folder."""
    pictures, yes = labelled(who, folder, most, run)
    return with_moved_heads(who, parents, pictures, yes, run, stay=True)


def few_alone(
    who: str, folder: Path, most: int | None, parents: Sequence[Population], run: Run, *, untrained: bool
) -> ComposedModel:
    """The parents' bodies, or untrained ones, with heads that know the pictures of a folder and nothing else."""
    pictures, yes = labelled(who, folder, most, run)
    if untrained:
        parents = [with_untrained_body(parent, run.seed + index) for index, parent in enumerate(parents)]
    return with_moved_heads(who, [without_knowledge(parent) for parent in parents], pictures, yes, run, stay=False)


def labelled(who: str, folder: Path, most: int | None, run: Run) -> tuple[Images, Flags]:
    """The pictures taken of a folder, and which of them show the target; ComposerError for any that cannot be read."""
    for option, message in layout.problems(folder, most):
        raise ComposerError(f"{who}: {option}: {message}")
    rng = run.rng()
    taken: list[Path] = []
    yes: list[bool] = []
    for answer in layout.ANSWERS:
        own = picture_files(folder / answer)
        count = len(own) if most is None else most
        taken += [own[index] for index in sorted(rng.permutation(len(own))[:count])]
        yes += [answer == "yes"] * count
    decode = FileDecoder(tuple(map(str, taken)))

    def at(size: int) -> Tensor:
        try:
            return decode(size)
        except UnreadablePictureError as error:
            raise ComposerError(f"{who}: folder: {error}") from None

    return Images([str(path.relative_to(folder)) for path in taken], {}, at), np.asarray(yes, dtype=np.bool_)


def with_moved_heads(
    who: str, parents: Sequence[Population], pictures: Images, yes: Flags, run: Run, *, stay: bool
) -> ComposedModel:
    """The product of the parents after what labelled pictures teach them; without any, the product itself.

    Members go together one by one, as many as the smallest population has; a parent of one member serves all, and is
    moved by the mean of what each of them asks of it. ComposerError where a parent has no head.
    stay: whether heads stay as they are where nothing is clearly better.
    """
    for parent in parents:
        if not parent.has_head:
            raise ComposerError(f"{who}: {parent.why_no_log_odds}")
    several = [len(parent) for parent in parents if len(parent) > 1]
    count = min(several, default=1)
    parts = [parent if len(parent) in (1, count) else parent.select(range(count)) for parent in parents]
    names = zip(*(part.members * (count // len(part)) for part in parts), strict=True)
    members = tuple(" x ".join(own) for own in names)
    if not len(pictures):
        return ComposedModel(tuple(parts), members)
    target = run.target or Expression.all_of([part.concept for part in parts])
    known = [
        (part.features(pictures, run.device).double(), part.log_odds(pictures, run.device).double()) for part in parts
    ]
    found = []
    for member in run.progress(range(count), "moving heads", count):
        each = [(own[member % len(own)], said[member % len(said)]) for own, said in known]
        shown = Shown(
            tuple(part.concept for part in parts),
            target,
            [own for own, _ in each],
            torch.stack([said for _, said in each]),
            torch.from_numpy(yes).double(),
        )
        found.append(moved(shown, stay=stay))
    run.measure("freedom", [one.freedom for one in found])
    changed = tuple(_with_head(part, index, found) for index, part in enumerate(parts))
    return ComposedModel(changed, members, labels=len(pictures))


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
