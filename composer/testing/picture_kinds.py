"""The contracts of image sources, criteria and evaluators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import torch

from composer.data.composed import ComposedModel
from composer.data.expressions import cell_concepts, cell_names
from composer.data.images import Images
from composer.data.population import Population
from composer.data.run import Run
from composer.data.scores import Pick, Report
from composer.errors import ComposerError
from composer.interfaces import Criterion, Evaluator, ImageSource, Split
from composer.judging.picking import CriterionError, pick_member
from composer.testing import examples
from composer.testing.every_kind import (
    FINITE,
    OF_THE_CLASS,
    OF_THE_WORK,
    ONE_MEMBER,
    WORKS,
    as_runs_ask,
    unique_names,
    works,
)
from composer.testing.kernel_kinds import training_pictures
from composer.testing.trial import MAIN, Case, Check, NotCheckedError, Trial, raised

SIZES = (16, 24)
"""Heights and widths at which pictures are asked for."""


# -- image sources -----------------------------------------------------------------------------


def splits(trial: Trial) -> Mapping[str, tuple[Split, Images]]:
    """Case -> what was asked for and what came."""
    return {name: (case.inputs[0], trial.value(name)) for name, case in trial.cases.items()}


def pixels(trial: Trial) -> str | None:
    for split, images in splits(trial).values():
        for size in SIZES:
            try:
                found = images.at(size)
            # Whatever decoder the component gave is called here, and may raise anything.
            except Exception as error:
                return f"pixels of {split} at {size} cannot be had: {raised(error)}"
            if found.dtype != torch.uint8 or list(found.shape) != [len(images), 3, size, size]:
                met = f"{found.dtype} {list(found.shape)}"
                return f"pixels of {split} at {size} are {met}; give uint8 [{len(images)}, 3, {size}, {size}]"
    return None


def label_order(trial: Trial) -> str | None:
    for split, images in splits(trial).values():
        if split.concept is None and images.concepts != split.concepts:
            return f"{split} has labels of {list(images.labels)}; give those of {list(split.concepts)}, in that order"
    return None


def cells(trial: Trial) -> str | None:
    assert isinstance(trial.component, ImageSource)
    for split, images in splits(trial).values():
        if split.concept is None:
            cells = [cell for cell in cell_names(split.concepts) if trial.component.possible(cell_concepts(cell))]
            empty = sorted(set(cells) - set(images.cells))
            if empty:
                return f"{split} has no picture of {', '.join(empty)}; give some of every cell"
        elif len(set(images.labels[split.concept].tolist())) < 2:
            return f"{split} has only one kind of picture; give some that show {split.concept!r} and some that do not"
    return None


def no_target(trial: Trial) -> str | None:
    """No training picture shows the target: by its labels, and by being none of the test split's."""
    found = splits(trial)
    _, test = next((split, images) for split, images in found.values() if split.concept is None)
    size = SIZES[0]
    targets = {test.at(size)[index].numpy().tobytes() for index in np.flatnonzero(test.target)}
    for split, images in found.values():
        if split.concept is None:
            continue
        if set(split.concepts) <= set(images.labels):
            shown = split.held_out.holds(images.labels)
            if shown.any():
                return f"{int(shown.sum())} pictures of {split} show {split.held_out} by their labels; leave them out"
        same = [
            name for name, own in zip(images.names, images.at(size), strict=True) if own.numpy().tobytes() in targets
        ]
        if same:
            return f"{same[0]!r} of {split} is a test picture of {split.target}; leave it out"
    return None


def picture_names(trial: Trial) -> str | None:
    for split, images in splits(trial).values():
        if found := unique_names(images.names, "picture"):
            return f"in {split}, {found}"
    return None


def images_trial(
    component: ImageSource, concepts: Sequence[str] = examples.CONCEPTS[:2], test_only: bool = False
) -> Trial:
    asked = {MAIN: Split(tuple(concepts))}
    if not test_only:
        asked |= {f"train {concept}": Split(tuple(concepts), concept) for concept in concepts}
    cases = {name: Case(f"split {split} of {split.target}", (split,)) for name, split in asked.items()}
    return Trial(component, component.load, Images, cases, "concepts=")


IMAGES = (
    *OF_THE_CLASS,
    WORKS,
    Check("splits", "every split has pictures", as_runs_ask("splits")),
    Check("shapes", "pixels are uint8 [N, 3, S, S] at any size", pixels),
    Check(
        "labels",
        "test pictures are labelled with all concepts, training pictures with theirs",
        as_runs_ask("labels", label_order),
    ),
    Check("cells", "test pictures of every cell, training pictures with and without the concept", cells),
    Check("target", "no training picture shows the target", no_target),
    Check("names", "every picture has a name of its own", picture_names),
    *OF_THE_WORK,
)


# -- criteria ----------------------------------------------------------------------------------


def says_what_it_goes_by(trial: Trial) -> str | None:
    if not getattr(type(trial.component), "picked_by", ""):
        return "`picked_by` is missing; say what the member was picked by, as reports should say it"
    return None


def labels_no_matter(trial: Trial) -> str | None:
    if trial.value("other labels").values.tobytes() != trial.value().values.tobytes():
        return "exchanged labels of the pictures change the values; use log-odds and features alone"
    return None


def headless_or_refused(trial: Trial) -> str | None:
    if "headless" in trial.cases and not isinstance(trial.observed("headless").error, ComposerError):
        trial.value("headless")
    return None


def criterion_trial(component: Criterion, model: ComposedModel | None = None, images: Images | None = None) -> Trial:
    shown = examples.cell_images() if images is None else images
    exchanged = Images(
        shown.names, {name: flags[::-1] for name, flags in shown.labels.items()}, shown.at, shown.expression
    )
    own = model is not None or images is not None
    two = examples.populations(2)
    whole = model or examples.model(two)
    what = f"log-odds and features of {len(whole)} members on {len(shown)} pictures"
    cases = {
        MAIN: Case(what, (whole, shown)),
        "one member": Case("those of one member", (whole.select([0]), shown)),
        "other labels": Case(f"{what} with other labels", (whole, exchanged)),
    }
    if not own:
        cases["headless"] = Case("features alone", (examples.headless(two[0]), shown))
    return Trial(component, partial(_picked, component), Pick, cases, "model= and images=", own)


def _picked(component: Criterion, model: ComposedModel, images: Images, run: Run) -> Pick:
    """The pick; what breaks the contract is no refusal."""
    try:
        return pick_member(component, model, images, run)
    except CriterionError as error:
        raise ValueError(str(error)) from None


CRITERION = (
    *OF_THE_CLASS,
    Check("words", "`picked_by` says what it goes by", says_what_it_goes_by),
    Check("works", "works on the examples: a finite number per member, float64 [M]", works),
    *OF_THE_WORK,
    ONE_MEMBER,
    Check("labels", "no label of a picture makes a difference", labels_no_matter),
    Check("headless", "features alone are enough, or are refused with a ComposerError", headless_or_refused),
)


# -- evaluators --------------------------------------------------------------------------------


def some_score(trial: Trial) -> str | None:
    if trial.value().scores:
        return None
    raise NotCheckedError(
        f"{trial.title}: it gave no score of {trial.cases[MAIN].title}, so there is nothing to look at; "
        f"pass what it can judge: {trial.given}"
    )


def score_numbers(trial: Trial) -> str | None:
    for case, report in trial.worked():
        for name, score in report.scores.items():
            if score.values.dtype != np.float64:
                return f"with {case.title}, score {name!r} has {score.values.dtype} values; give float64 [M]"
    return None


def features_alone(trial: Trial) -> str | None:
    """A model without log-odds is judged by its features, or gets an empty report."""
    if "headless" in trial.cases:
        trial.value("headless")
    return None


def more_concepts(trial: Trial) -> str | None:
    if "three concepts" in trial.cases:
        trial.value("three concepts")
    return None


def evaluator_trial(component: Evaluator, model: ComposedModel | None = None, images: Images | None = None) -> Trial:
    concepts = examples.CONCEPTS if images is None else images.concepts
    own = model is not None or images is not None
    shown = examples.cell_images() if images is None else images

    # An evaluator that looks at the parents' kernels is shown models that were made of kernels.
    build = examples.transplanted if component.contract.kernels else examples.model

    def case(parents: Sequence[Population], judged: ComposedModel, pictures: Images, why: str = "") -> Case:
        seen = tuple(map(examples.kernels, parents)) if component.contract.kernels else ()
        title = f"a model of {len(judged)} member{'' if len(judged) == 1 else 's'}{why} and {len(pictures)} pictures"
        trained_on = training_pictures(component, [parent.concept for parent in parents])
        asked = tuple(parents) if component.terms.populations else ()
        return Case(title, (judged, pictures), trained_on, seen, asked)

    two, three = examples.populations(2), examples.populations(3)
    whole = model or build(two)
    one = ComposedModel(tuple(part.select([0]) for part in whole.parts), whole.members[:1])
    cases = {MAIN: case(two, whole, shown), "one member": case(two, one, shown)}
    if not own:
        cases["headless"] = case(two, examples.headless(two[0]), shown, " without log-odds")
        cases["three concepts"] = case(three, build(three), examples.cell_images(concepts), " of three concepts")
    return Trial(component, component.evaluate, Report, cases, "model= and images=", own)


EVALUATOR = (
    *OF_THE_CLASS,
    WORKS,
    Check("judges", "judges the examples", some_score),
    Check("shapes", "a value per member that is judged", as_runs_ask("shapes", score_numbers)),
    FINITE,
    Check("declared", "scores are what the class declares of them", as_runs_ask("declared")),
    *OF_THE_WORK,
    ONE_MEMBER,
    Check("headless", "a model without log-odds is judged by its features, or gets an empty report", features_alone),
    Check("concepts", "works for three concepts as for two", more_concepts),
)
