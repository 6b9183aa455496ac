"""Students that start from a pretrained network: their heads by least squares on what it sees."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from composer import ComposerError, Population, Run
from composer_training import Distil
from composer_training.distilling import PICTURES_AT_ONCE, Lessons, Students
from composer_training.starting import learners

STRENGTHS = tuple(10.0**exponent for exponent in range(-7, 3))
"""The ridges that are tried, in units of the features' mean variance; that which agrees best on pictures held out."""

Weights = Mapping[str, Tensor]


def started(options: Distil, parents: Sequence[Population], count: int, run: Run) -> Students:
    """Students with the weights of the body, and heads yet to be fitted."""
    assert options.body is not None
    body = options.body.load_body(parents[0].concept, run)
    groups = learners(body.architecture, range(count), run, outputs=len(parents), body=body)
    names = tuple(f"student {member}" for member in range(count))
    return Students(body.architecture, body.preprocessing, tuple(groups), names, body)


@torch.no_grad()
def fit_heads(students: Students, learning: Lessons, held_out: Lessons, run: Run) -> None:
    """Gives each student the head that agrees best with its teachers, of those that ridge regression offers."""
    head = students.architecture.head
    first = 0
    for group in run.progress(students.groups, "fitting heads", len(students.groups)):
        members = slice(first, first + len(group[f"{head}.bias"]))
        first = members.stop
        seen, tried = (_features(students, group, lessons, run.device) for lessons in (learning, held_out))
        for member, (own, other) in enumerate(zip(seen, tried, strict=True)):
            alone = slice(members.start + member, members.start + member + 1)
            taught, wanted = (lessons.of(alone)[0].double().to(own) for lessons in (learning, held_out))
            slope, intercept = _fitted(own, taught, other, wanted)
            group[f"{head}.weight"][member] = slope.T.float()
            group[f"{head}.bias"][member] = intercept.float()


def _features(students: Students, group: Weights, lessons: Lessons, device: str) -> Tensor:
    """float64 [M, N, D]."""
    if lessons.seen is not None:
        return lessons.seen.double().to(device)
    batches = [
        students.architecture.stacked_features(group, students.preprocessing(batch.to(device)))
        for batch in torch.split(lessons.pixels, PICTURES_AT_ONCE)
    ]
    return torch.cat(batches, dim=1).double()


def _fitted(seen: Tensor, taught: Tensor, tried: Tensor, wanted: Tensor) -> tuple[Tensor, Tensor]:
    """Slopes [D, concepts] and intercepts [concepts]."""
    centre, middle = seen.mean(0), taught.mean(0)
    scale, axes = torch.linalg.eigh((seen - centre).T @ (seen - centre))
    unit = float(scale.mean())
    if not unit > 0:
        raise ComposerError("distil: body: all pictures look the same to it, so no head can be fitted")
    along = axes.T @ ((seen - centre).T @ (taught - middle))
    best: tuple[Tensor, Tensor] | None = None
    least = torch.inf
    for strength in STRENGTHS:
        slope = axes @ (along / (scale.clamp(min=0) + unit * strength)[:, None])
        intercept = middle - centre @ slope
        error = float((tried @ slope + intercept - wanted).square().mean())
        if best is None or error < least:
            best, least = (slope, intercept), error
    assert best is not None
    return best
