"""From features to the report."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from composer import ComposedModel, ComposerError, Heatmap, Images, Report, Run, Score, cell_names, resamples
from composer_geometry import known_of, transform_of
from composer_similarity.cosines import directions, mean_between, mean_between_groups, mean_within

if TYPE_CHECKING:
    from composer_similarity import Similarity

Floats = NDArray[np.float64]


def evaluate(options: Similarity, model: ComposedModel, images: Images, run: Run) -> Report:
    """All scores of every member, and a heat map of the picked one's cosines between cells."""
    from threadpoolctl import threadpool_limits

    _require_pairs(images)
    features = model.features(images, run.device)
    _require_finite(features, model)
    if (options.metric, options.weights) != ("cosine", "none"):
        features = torch.stack([_transformed(options, model, member, own, run) for member, own in enumerate(features)])
    # A member's cosines take milliseconds: on busy cores, threads that wait for each other make them five times slower.
    with threadpool_limits(limits=1):
        return _evaluate(model, features, images, options.centred, run)


def _transformed(options: Similarity, model: ComposedModel, member: int, features: Tensor, run: Run) -> Tensor:
    """One member's features [N, D] as the metric and the weights change them."""
    known = known_of(model, member, run, "similarity") if options.terms.pictures == "labelled" else None
    transform = transform_of(options.metric, options.weights, known)
    return torch.from_numpy(transform(features.double().numpy())).to(features.dtype)


def _evaluate(model: ComposedModel, features: Tensor, images: Images, centred: bool, run: Run) -> Report:
    every = np.ones((1, len(images)))
    each = run.progress(_each(features, centred, run.device), "cosines", len(model))
    of_members = [_scores(cosines.numpy(), images.target, every) for cosines in each]
    own = next(_each(features[run.picked : run.picked + 1], centred, run.device)).numpy()
    run.figure("cosine", _figure(own, images))
    of_resamples = _scores(own, images.target, _counts(resamples(images, run.seed), len(images)))
    return Report(
        {
            name: Score(
                np.concatenate([scores[name] for scores in of_members]),
                replicates,
                higher_is_better=name != "between",
            )
            for name, replicates in of_resamples.items()
        }
    )


def _each(features: Tensor, centred: bool, device: str) -> Iterator[Tensor]:
    """The cosines float32 [N, N] of one member after the other."""
    for member in features:
        units = directions(member.to(device), centred)
        yield (units @ units.T).cpu()


def _scores(cosines: Floats, target: NDArray[np.bool_], counts: Floats) -> dict[str, Floats]:
    """Score name -> [B], on B resamples of the pictures given as counts [B, N]."""
    within = mean_within(cosines[np.ix_(target, target)], counts[:, target])
    between = mean_between(cosines[np.ix_(target, ~target)], counts[:, target], counts[:, ~target])
    return {"within_target": within, "between": between, "gap": within - between}


def _figure(cosines: Floats, images: Images) -> Heatmap:
    shown = np.asarray(images.cells)
    cells = [cell for cell in cell_names(images.concepts) if cell in images.cells]
    means = mean_between_groups(cosines, [shown == cell for cell in cells])
    return Heatmap("Mean cosine between cells, picked member", means.tolist(), cells, cells)


def _counts(drawn: NDArray[np.int64], pictures: int) -> Floats:
    """How often each picture was drawn, [B, N], from the indices drawn [B, N]."""
    rows = np.arange(len(drawn))[:, None] * pictures
    counts = np.bincount((drawn + rows).ravel(), minlength=len(drawn) * pictures)
    return counts.reshape(len(drawn), pictures).astype(np.float64)


def _require_pairs(images: Images) -> None:
    shown = int(images.target.sum())
    if shown < 2 or shown == len(images):
        raise ComposerError(
            f"similarity: {shown} of {len(images)} test pictures show the target; it needs two or more, and others too"
        )


def _require_finite(features: Tensor, model: ComposedModel) -> None:
    broken = torch.nonzero(~features.isfinite().flatten(1).all(1)).flatten().tolist()
    if broken:
        raise ComposerError(
            f"similarity: the features of member {model.members[broken[0]]!r} are not finite; its training or its "
            "kernels have diverged: lower the learning rate, or leave it out"
        )
