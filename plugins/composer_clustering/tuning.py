"""From a model's features to the options of its clusters, and to the report: the search sees no label."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from composer import ComposedModel, Images, Lines, Report, Run, Score, Table
from composer_clustering.evaluation import Space, Spaces, answers, evaluate, labels_of, require_both
from composer_clustering.naming import Beliefs, beliefs_of
from composer_clustering.objectives import FAULTS, WORST, Common
from composer_clustering.observing import BELIEVING, believed, worth
from composer_clustering.search import Fixed, Found, Plan, order_of, search
from composer_clustering.space import Grid, grid_of, said

if TYPE_CHECKING:
    from composer_clustering import Clusters, Tuned

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
TITLES = {"kmeans": "K-means", "dbscan": "DBSCAN", "hdbscan": "HDBSCAN"}


class Keeper(Protocol):
    """Keeps tensors under a name, as pictures of a run do."""

    def kept(self, name: str) -> Mapping[str, Tensor] | None:
        """What was kept under a name, or None."""

    def keep(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keeps tensors under a name."""


@dataclass(frozen=True)
class Searched:
    """What a search found for one way of clustering: every combination of options, and which were tried."""

    method: str
    options: Sequence[Mapping[str, Any]]
    found: Found

    @property
    def failed(self) -> bool:
        """Whether no trial found a partition that can be judged."""
        return max(self.found.worth) < WORST

    @property
    def chosen(self) -> Mapping[str, Any]:
        """What the best trial changes of the options; nothing where all failed."""
        return {} if self.failed else self.options[self.found.best]

    @property
    def value(self) -> float:
        """What the chosen partition is worth."""
        return max(self.found.worth)


class Trials:
    """What trials are worth, kept beside the test pictures in the store; where there is no store, nowhere."""

    def __init__(self, keeper: Keeper | None, name: str) -> None:
        self.keeper = keeper
        self.name = name
        self.known: dict[int, float] = {}

    def before(self) -> dict[int, float]:
        kept = None if self.keeper is None else self.keeper.kept(self.name)
        if kept is not None:
            self.known = dict(zip(kept["number"].tolist(), kept["worth"].tolist(), strict=True))
        return dict(self.known)

    def keep(self, values: dict[int, float]) -> None:
        if self.keeper is not None and values != self.known:
            number = torch.tensor(list(values), dtype=torch.int64)
            self.keeper.keep(
                self.name, {"number": number, "worth": torch.tensor(list(values.values()), dtype=torch.float64)}
            )
            self.known = dict(values)


def choose(
    tuned: Tuned,
    features: Floats,
    spaces: Spaces,
    run: Run,
    keeper: Keeper | None = None,
    beliefs: Beliefs | None = None,
) -> list[Searched]:
    """Searches the options of each way of clustering by the features [N, D] of the picked member.

    beliefs: what the parents say of the pictures, for objectives that ask them. No label is in reach.
    """
    started = time.monotonic()
    common = Common.of(features, run.seed)
    if beliefs is not None and tuned.objective == "parents":
        _warn_of_silence(beliefs, run)
    methods = [method for method in tuned.of.methods if method != "one_class_svm"]
    found = []
    for index, method in enumerate(methods):
        share = None if tuned.timeout is None else tuned.timeout * (index + 1) / len(methods)
        until = None if share is None else started + share
        searched = _searched(tuned, method, features, common, spaces, run, until, keeper, beliefs)
        _warn(tuned, searched, run)
        found.append(searched)
    return found


def _searched(
    tuned: Tuned,
    method: str,
    features: Floats,
    common: Common,
    spaces: Spaces,
    run: Run,
    until: float | None,
    keeper: Keeper | None,
    beliefs: Beliefs | None,
) -> Searched:
    grid = grid_of(method, tuned.vary, tuned.of)
    plan = _plan(tuned, grid, run.seed)

    def value(number: int) -> float:
        one = tuned.of.model_copy(update=grid.options[number])
        space = spaces.of(one, run.picked, features)
        labels = _labels(one, method, space, run.seed)
        return worth(tuned.objective, common, labels, _again(one, method, space, run.seed), run.seed, beliefs)

    kept = Trials(keeper, f"tuned-{_digest(tuned, method, features, spaces, run.seed, beliefs)}")
    found = search(plan, value, until, kept, lambda plan: run.progress(plan, f"trials of {TITLES[method]}", len(plan)))
    return Searched(method, grid.options, found)


def _plan(tuned: Tuned, grid: Grid, seed: int) -> Plan:
    if tuned.by == "optuna":
        from composer_clustering.suggesting import Suggested  # half a second to import, and an extra

        return Suggested(grid, tuned.trials, seed)
    return Fixed(order_of(len(grid.options), tuned.by, tuned.trials, seed))


def _labels(options: Clusters, method: str, space: Space, seed: int) -> Labels:
    return labels_of(options, method, space, np.zeros(0, dtype=np.bool_), seed)  # no label to look at


def _again(options: Clusters, method: str, space: Space, seed: int) -> Callable[[NDArray[np.int64]], Labels]:
    def again(part: NDArray[np.int64]) -> Labels:
        own = Space(space.places[part], space.distances[np.ix_(part, part)])
        return _labels(options, method, own, seed)

    return again


def _digest(tuned: Tuned, method: str, features: Floats, spaces: Spaces, seed: int, beliefs: Beliefs | None) -> str:
    """Names the trials of one search: whoever repeats it finds them, with more trials too, and nobody else."""
    asked = {**tuned.options(), "trials": None, "timeout": None, "by": None}
    total = hashlib.sha256(json.dumps([asked, method, seed, _code()], sort_keys=True).encode())
    total.update(features.tobytes())
    if "weights" in tuned.vary or tuned.of.terms.pictures == "labelled":
        known = spaces.known(spaces.run.picked)
        for array in (*known.features, *known.shown, known.heads):
            total.update(array.tobytes())
    if beliefs is not None:
        total.update(beliefs.target.tobytes() + beliefs.each.tobytes())
    return total.hexdigest()[:16]


@cache
def _code() -> str:
    """sha256 of this package: trials of other code are not taken up."""
    return hashlib.sha256(
        b"".join(
            file.read_bytes() for kind in ("py", "json") for file in sorted(Path(__file__).parent.glob(f"*.{kind}"))
        )
    ).hexdigest()


def _warn_of_silence(beliefs: Beliefs, run: Run) -> None:
    said = believed(beliefs.target)
    if len(np.unique(said)) == 1:
        run.warn(
            f"tuned: to the parents {'every' if said[0] else 'no'} picture is the target, so that by `objective: "
            "parents` all options are alike and stay as they were; take another objective, such as stability"
        )


def _warn(tuned: Tuned, searched: Searched, run: Run) -> None:
    title, found = TITLES[searched.method], searched.found
    if len(found.tried) < found.planned:
        run.warn(
            f"tuned: after {tuned.timeout:g} s in all the search of {title} ended with {len(found.tried)} of "
            f"{found.planned} trials; another machine may choose other options"
        )
    if searched.failed:
        met = ", ".join(sorted({FAULTS[value] for value in found.worth}))
        run.warn(f"tuned: no trial of {title} found clusters that can be judged ({met}); its options stay as they were")


def tuned_report(tuned: Tuned, model: ComposedModel, images: Images, run: Run) -> Report:
    """Chooses options without labels, and then scores the clusters of all members with them."""
    from threadpoolctl import threadpool_limits

    require_both(images)
    features = answers(model.features(images, run.device), model, [run.picked])[run.picked].double().numpy()
    spaces = Spaces(model, run)
    beliefs = beliefs_of(images, run, f"objective {tuned.objective}") if tuned.objective in BELIEVING else None
    with threadpool_limits(limits=1):
        found = choose(tuned, features, spaces, run, images.keeper, beliefs)
    _show(tuned, found, run)
    best = max(found, key=lambda one: one.value)
    scores: dict[str, Score] = {}
    for number, method in enumerate(tuned.of.methods):
        chosen = next((one.chosen for one in found if one.method == method), {})
        drawn = tuned.of.umap_figure and number == 0
        options = tuned.of.model_copy(update={**chosen, "methods": (method,), "umap_figure": drawn})
        own = evaluate(options, model, images, run, spaces).scores
        scores.update(own)
        if method == best.method:
            scores.update({f"chosen.{name.partition('.')[2]}": score for name, score in own.items()})
    return Report(scores)


def _show(tuned: Tuned, found: Sequence[Searched], run: Run) -> None:
    """The history of the search, all its trials, and what was chosen by what."""
    best = max(found, key=lambda one: one.value)
    run.figure(
        "search",
        Lines(
            f"Search without labels: best {tuned.objective} so far",
            {TITLES[one.method]: np.maximum.accumulate(np.maximum(one.found.worth, WORST)).tolist() for one in found},
            "trial",
            tuned.objective,
        ),
    )
    run.figure(
        "chosen",
        Table(
            f"Options of clusters, chosen by {tuned.objective} without labels",
            ["clusters", "options", tuned.objective, "trials", "chosen of all"],
            [
                [
                    TITLES[one.method],
                    said(tuned.of, one.method, one.chosen),
                    "no clusters" if one.failed else round(one.value, 6),
                    f"{len(one.found.tried)} of {len(one.options)}, {tuned.by}",
                    "yes" if one is best and not one.failed else "",
                ]
                for one in found
            ],
        ),
    )
    run.figure(
        "trials",
        Table(
            "Trials",
            ["clusters", "trial", "options", tuned.objective, "note"],
            [
                [
                    TITLES[one.method],
                    str(trial),
                    said(tuned.of, one.method, one.options[number]),
                    max(value, WORST),
                    FAULTS.get(value, ""),
                ]
                for one in found
                for trial, (number, value) in enumerate(zip(one.found.tried, one.found.worth, strict=True), start=1)
            ],
        ),
    )
