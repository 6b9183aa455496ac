"""One network out of several: what all ways of merging weights have in common."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from torch import Tensor

from composer import (
    Architecture,
    Assembler,
    ComposedModel,
    ComposerError,
    Population,
    Run,
    cell_name,
    headed,
    recalibrated,
)

Weights = dict[str, Tensor]


def merge(
    method: Assembler,
    parents: Sequence[Population],
    weights: Callable[[bool], Weights],
    run: Run,
    *,
    unfit_head: str,
    head: str | None,
    recalibrate: bool | None,
    architecture: Architecture | None = None,
) -> ComposedModel:
    """Members i of all parents become one network; a parent of one member serves all.

    weights: the merged weights [M, ...], with the head or without it. unfit_head: why heads cannot be merged like the
    rest, in words; empty where they can. head, recalibrate: the options, None where nobody said.
    architecture: of what comes out; None: the parents'.
    """
    with_head = head != "fit" and not unfit_head
    if head not in (None, "fit") and not with_head:
        raise ComposerError(
            f"{method.name}: head: {unfit_head}, and a merged head would mean nothing; take `head: fit`"
        )
    if not with_head:
        require_pictures(
            method.name, f"{unfit_head}, so that a head is fitted" if unfit_head else "a head is fitted", run
        )
    anew = recalibrates(method.name, recalibrate, parents[0], run)
    names = [
        " + ".join(parent.members[member % len(parent)] for parent in parents)  # a parent of one serves all
        for member in range(member_count(parents))
    ]
    concept = cell_name(dict.fromkeys(parent.concept for parent in parents))
    body = replace(
        parents[0],
        architecture=architecture or parents[0].architecture,
        weights=weights(with_head),
        members=tuple(names),
        concept=concept,
        _memo={},
    )
    if not with_head:
        body = replace(body, outputs=(), cells=(), _memo={})
    if anew:
        body = recalibrated(body, run.pictures, run)
    if not with_head:
        body = headed(body, parents, run)
    return ComposedModel((body,), body.members)


def recalibrates(name: str, asked: bool | None, parent: Population, run: Run) -> bool:
    """Whether running statistics are estimated anew: where there are any, unless the options say no."""
    if asked is False or not any(name.endswith("running_var") for name in parent.weights):
        return False
    if asked is None and not any(len(images) for images in run.pictures):
        run.warn(
            f"{name}: there are no pictures, so the running statistics of batch norm are put together out of the "
            "parents', with which merged networks are often no better than chance"
        )
        return False
    require_pictures(name, "running statistics are estimated", run)
    return True


def require_pictures(name: str, what: str, run: Run) -> None:
    if not any(len(images) for images in run.pictures):
        raise ComposerError(f"{name}: {what} on the parents' pictures, and there are none")


def require_alike(name: str, parents: Sequence[Population]) -> None:
    """Raises ComposerError for parents that one network cannot stand for."""
    first = parents[0]
    for parent in parents:
        for tensor_name, tensor in parent.weights.items():
            if not finite(tensor):
                raise ComposerError(f"{name}: {tensor_name!r} of {parent.concept!r} is not finite; it has diverged")
        if parent.preprocessing != first.preprocessing:
            raise ComposerError(
                f"{name}: {first.concept!r} and {parent.concept!r} prepare their pictures differently "
                f"({first.preprocessing} and {parent.preprocessing}), so one network cannot stand for both"
            )


def finite(tensor: Tensor) -> bool:
    """Whether all numbers are finite: their sum says so in one pass, unless it grows out of bounds itself."""
    return not tensor.is_floating_point() or bool(tensor.sum().isfinite()) or bool(tensor.isfinite().all())


def other_meaning(parents: Sequence[Population]) -> str:
    """Why the outputs of the parents cannot be put together, in words; empty where they mean the same."""
    first = parents[0]
    for parent in parents:
        if not parent.has_head:
            return parent.why_no_log_odds
        own, others = ({name: tensor.shape[1:] for name, tensor in p.head_weights.items()} for p in (first, parent))
        meaning = (first.concept, first.outputs, first.cells), (parent.concept, parent.outputs, parent.cells)
        if meaning[0] != meaning[1] or own != others:
            return f"the outputs of {first.concept!r} and {parent.concept!r} do not mean the same"
    return ""


def member_count(parents: Sequence[Population]) -> int:
    """How many networks come out."""
    return min((len(parent) for parent in parents if len(parent) > 1), default=1)


def one_member(population: Population, member: int, with_head: bool) -> Weights:
    """Views of one network's weights."""
    weights = population.weights if with_head else population.body_weights
    return {name: tensor[member % len(tensor)] for name, tensor in weights.items()}
