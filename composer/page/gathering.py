"""What the page shows of one composition beyond its scores: a step of the plan, which has the model at hand."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from composer.data.composed import ComposedModel
from composer.data.expressions import cell_names
from composer.data.facts import Facts
from composer.data.images import Images
from composer.data.population import Population
from composer.data.run import Run
from composer.data.score_info import Declared, main_score, read_declared
from composer.data.scores import Pick, Report, Score
from composer.judging.embedding import umap_embedding
from composer.models.part import Part
from composer.running.step import Step

Floats = NDArray[np.float64]

MOST_POINTS = 400
"""Pictures in the scatter; of more, every cell gives its share."""
MOST_VALUES = 500
"""Values of a distribution; of more members, this many evenly spaced quantiles stand for all."""
GALLERY = 12
"""Most confidently right, and wrong, pictures of each cell."""
DISTANCE = "to_nearest_parent"
"""What evaluators call the distance of a member's kernels to the nearest of its parents'."""
BATCH = 8
"""Pictures at once where the time for one is measured."""
TRIES = 7
LONGEST = 0.5
"""Seconds after which no further try is made."""
FEWEST_FOR_UMAP = 60
"""Pictures below which principal components are shown: UMAP's neighbourhoods of 15 would hold whole cells."""
DIGITS = 5


def gathered(step: Step, inputs: Sequence[Any], run: Run) -> Facts:
    """Works the step that gathers: `inputs` are the model and, with pictures, these, the pick, and the reports."""
    about = step.about
    model, *rest = inputs
    images, pick, *reports = rest or (None, None)
    named = dict(zip(about["labels"], reports, strict=True))
    declared = read_declared(about)
    return Facts(gather(model, images, named, declared, pick, about["seed"], run.device, about["control"]))


def gather(
    model: ComposedModel,
    images: Images | None,
    reports: Mapping[str, Report],
    declared: Declared,
    pick: Pick | None,
    seed: int,
    device: str,
    control: bool,
) -> dict[str, Any]:
    """All that JSON can hold of one composition; `page.json` has it under the composition's name.

    A composition shows its picked, median and best member in the plane; a control the picked one. Without pictures
    there is nothing to show but what a picture costs.
    """
    if images is None or pick is None:
        return {
            "main_score": None,
            "values": {},
            "members": [],
            "networks": len(set(model.bodies)),
            "cost": _cost(model, None, device),
        }
    scores = {f"{label}.{name}": score for label, report in reports.items() for name, score in report.scores.items()}
    main = main_score(declared, scores)
    chosen = _chosen(None if main is None else scores[main], pick)
    if control:
        chosen = dict(list(chosen.items())[:1])
    shown = model.select(list(chosen.values()))
    features = shown.features(images, device).double().numpy()
    log_odds = shown.log_odds(images, device).double().numpy() if shown.has_log_odds else None
    if log_odds is not None and not np.isfinite(log_odds).all():
        log_odds = None
    points = chosen_pictures(images)
    found: dict[str, Any] = {
        "main_score": main,
        "values": {name: _summary(score) for name, score in scores.items() if score.labels == "scoring"},
        "members": [
            {"how": how, "index": index, "name": model.members[index], **_layout(features[row][points], seed)}
            for row, (how, index) in enumerate(chosen.items())
        ],
        "networks": len(set(model.bodies)),
        "cost": _cost(shown, images, device),
    }
    if main is not None and (distances := _distances(scores)) is not None:
        found["novelty"] = _paired(distances, scores[main])
    if log_odds is not None:
        called = _called(shown, images, device)
        for row, member in enumerate(found["members"]):
            member["log_odds"] = rounded(log_odds[row])
            member["called"] = called[row].tolist()
        found["roc"] = _roc(images.target, log_odds[0])
        found["gallery"] = _gallery(images, log_odds[0], called[0])
    return found


def chosen_pictures(images: Images) -> list[int]:
    """Indices of the pictures in the scatter, ascending: all, or of each cell its share of MOST_POINTS."""
    if len(images) <= MOST_POINTS:
        return list(range(len(images)))
    cells = np.asarray(images.cells)
    chosen: list[int] = []
    for cell in cell_names(images.concepts):
        own = np.flatnonzero(cells == cell)
        share = min(len(own), max(1, len(own) * MOST_POINTS // len(images))) if len(own) else 0
        chosen += [int(own[index * len(own) // share]) for index in range(share)]
    return sorted(chosen)


def rounded(values: Floats | Sequence[float]) -> list[float]:
    """With DIGITS significant digits: a page does not need more."""
    return [float(f"{value:.{DIGITS}g}") for value in np.asarray(values, dtype=np.float64)]


def _chosen(score: Score | None, pick: Pick) -> dict[str, int]:
    """How a member was chosen -> its index; each member once, the picked one first."""
    found = {"picked": pick.member}
    if score is not None:
        middle = int(np.argsort(score.values, kind="stable")[(len(score.values) - 1) // 2])
        for how, index in {"median": middle, "best by test labels": score.best_member}.items():
            if score.member(index) not in found.values():
                found[how] = score.member(index)
    return found


def _distances(scores: Mapping[str, Score]) -> Score | None:
    """How far each member's kernels are from every parent's, where an evaluator has measured it."""
    return next((score for name, score in scores.items() if name.endswith(f".{DISTANCE}")), None)


def _paired(distances: Score, main: Score) -> dict[str, list[float]]:
    """Distance and main score of each member that has both; of more than MOST_VALUES, as many evenly spaced."""
    both = [
        dict(zip(range(len(score.values)) if score.judged is None else score.judged, score.values, strict=True))
        for score in (distances, main)
    ]
    members = sorted(both[0].keys() & both[1].keys())
    if len(members) > MOST_VALUES:
        members = [members[i * len(members) // MOST_VALUES] for i in range(MOST_VALUES)]
    return {"distance": rounded([both[0][i] for i in members]), "score": rounded([both[1][i] for i in members])}


def _summary(score: Score) -> list[float]:
    """The members' values in ascending order, or as many quantiles of them."""
    values = np.sort(score.values)
    if len(values) > MOST_VALUES:
        values = np.quantile(values, np.linspace(0, 1, MOST_VALUES))
    return rounded(values)


def _layout(features: Floats, seed: int) -> dict[str, Any]:
    """Places of pictures in a square of side 2 about the origin, and by what method; none where features diverged.

    Both axes are stretched to fill the square: the plot that shows them has no scale.
    """
    if not np.isfinite(features).all():
        return {"layout": None, "x": [], "y": []}
    same = bool((features == features[0]).all())
    if same or len(features) < 3:
        method, places = "no spread", np.zeros((len(features), 2))
    elif len(features) < FEWEST_FOR_UMAP or features.shape[1] <= 3:
        method, places = "PCA", _principal(features, seed)
    else:
        method, places = "UMAP", umap_embedding(features, seed=seed)
    middle = (places.min(axis=0) + places.max(axis=0)) / 2
    places = (places - middle) / np.maximum(np.ptp(places, axis=0) / 2, 1e-12)
    return {"layout": method, "x": [round(x, 3) for x in places[:, 0]], "y": [round(y, 3) for y in places[:, 1]]}


def _principal(features: Floats, seed: int) -> Floats:
    from sklearn.decomposition import PCA  # a second to import

    count = min(2, *features.shape)
    found: Floats = PCA(count, svd_solver="full", random_state=seed).fit_transform(features)
    return np.pad(found, ((0, 0), (0, 2 - count)))


def _called(model: ComposedModel, images: Images, device: str) -> NDArray[np.bool_]:
    """bool [M, N]: which pictures count as the target, by `composer predict`'s rule: every part decides for itself."""
    called: NDArray[np.bool_] = model.decisions(images, device).numpy()
    return called


def _roc(target: NDArray[np.bool_], log_odds: Floats) -> dict[str, list[float]] | None:
    """The curve of one member; None where the pictures are all of one kind."""
    from sklearn.metrics import roc_curve  # a second to import

    if target.all() or not target.any():
        return None
    false, true, _ = roc_curve(target, log_odds)
    return {"false": rounded(false), "true": rounded(true)}


def _gallery(images: Images, log_odds: Floats, called: NDArray[np.bool_]) -> dict[str, Any]:
    """Cell -> `right` and `wrong`: indices of pictures, the most confident first; `counts`: how many of both."""
    cells, target = np.asarray(images.cells), images.target
    found: dict[str, Any] = {}
    for cell in cell_names(images.concepts):
        own = np.flatnonzero(cells == cell)
        if len(own):
            surest = own[np.argsort(-log_odds[own], kind="stable")]  # that they show the target
            yes, no = surest[called[surest]], surest[~called[surest]][::-1]
            right, wrong = (yes, no) if target[own[0]] else (no, yes)
            found[cell] = {
                "right": right[:GALLERY].tolist(),
                "wrong": wrong[:GALLERY].tolist(),
                "counts": [len(right), len(wrong)],
            }
    return found


def _cost(model: ComposedModel, images: Images | None, device: str) -> dict[str, Any]:
    """Multiply-adds and milliseconds for one picture, of the first member with all of its parts; a shared body once."""
    first = [part if len(part) == 1 else part.select([0]) for part in model.parts]
    adds, seconds = 0, 0.0
    for index, part in enumerate(first):
        size = part.preprocessing.size
        black = torch.zeros(BATCH, 3, size, size, dtype=torch.uint8)
        pixels = black if images is None else images.select(range(min(BATCH, len(images)))).at(size)
        operations, took = _part_cost(part, pixels, device, shared=model.bodies[index] != index)
        adds += operations
        seconds += took
    return {"multiply_adds": adds, "milliseconds": float(f"{1000 * seconds:.3g}"), "batch": BATCH, "device": device}


def _part_cost(part: Population, pixels: Tensor, device: str, shared: bool) -> tuple[int, float]:
    """(multiply-adds, seconds) for one picture; the seconds are the shortest of several tries, after one to warm up.

    shared: another part has run the body already, and this one is its head alone.
    """
    from torch.utils.flop_counter import FlopCounterMode

    network = Part(part).eval().to(device)
    given = pixels.to(device)
    took: list[float] = []
    with torch.no_grad():
        run: Callable[[Tensor], Tensor] = network if part.has_head else network.features
        if shared:
            given, run = network.features(given), network.logits_of
        with FlopCounterMode(display=False) as counter:
            run(given[:1])
        while len(took) < 2 or (len(took) <= TRIES and sum(took) < LONGEST):
            started = time.perf_counter()
            run(given).cpu()  # waits for the device
            took.append(time.perf_counter() - started)
    return counter.get_total_flops() // 2, min(took[1:]) / len(given)
