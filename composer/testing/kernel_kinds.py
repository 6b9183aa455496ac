"""The contracts of kernel extractors and translators."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

import torch

from composer.component import Component, Contract
from composer.data.images import Images
from composer.data.kernels import KernelSet
from composer.data.population import Population
from composer.errors import ComposerError
from composer.interfaces import KernelExtractor, Translator
from composer.testing import examples
from composer.testing.every_kind import FINITE, MEMBERS, OF_THE_CLASS, OF_THE_WORK, ONE_MEMBER, WORKS, as_runs_ask
from composer.testing.trial import MAIN, Case, Check, Trial, raised

Parent = TypeVar("Parent", Population, KernelSet)
COUNTS = (2, 3, 1)
"""Numbers of parents that are tried; the first that a contract allows makes the main case."""
UNLIKE = "two architectures"
RELABELLED = "relabelled"


# -- how many parents, and which ---------------------------------------------------------------


def parent_counts(contract: Contract, most: int = 3) -> list[int]:
    """The numbers of parents, up to `most`, that a contract allows, the main one first."""
    fewest, limit = contract.parents
    allowed = [count for count in COUNTS if fewest <= count <= min(limit or most, most)]
    return allowed or [fewest]


def members_text(parents: Sequence[KernelSet | Population]) -> str:
    """`2 parents of 3 members`."""
    sizes = sorted({len(parent) for parent in parents})
    plural = "" if len(parents) == 1 else "s"
    return f"{len(parents)} parent{plural} of {' and '.join(map(str, sizes))} member{'' if sizes == [1] else 's'}"


def other_counts(trial: Trial) -> str | None:
    """Every number of parents that the contract allows must work; others are refused before any work."""
    for name in trial.cases:
        if not name.startswith("parents"):
            continue
        error = trial.observed(name).error
        if isinstance(error, ComposerError):
            return (
                f"the contract allows {trial.component.contract.parents_text()} parents, and {trial.cases[name].title} "
                f"are refused: {error}; narrow it, contract = Contract(parents=(fewest, most)), so that recipes are "
                "refused when they are checked"
            )
        trial.value(name)
    return None


def unlike_parents(trial: Trial) -> str | None:
    """`architecture="any"` is kept, or the parents are refused in words."""
    if UNLIKE not in trial.cases:
        return None
    error = trial.observed(UNLIKE).error
    if error is None or isinstance(error, ComposerError):
        return None
    return (
        f'the contract says architecture="any", and with {trial.cases[UNLIKE].title} it raised {raised(error)}; '
        'say contract = Contract(architecture="one"), or raise a ComposerError that says what fits'
    )


def labels_unused(trial: Trial) -> str | None:
    """`pictures="unlabelled"` is kept: other labels change nothing."""
    if RELABELLED not in trial.cases:
        return None
    from composer.testing.observing import differing, fingerprint

    if not differing(fingerprint(trial.value()), fingerprint(trial.value(RELABELLED))):
        return None
    return (
        'the contract says pictures="unlabelled", and the result changes with the labels of run.pictures; '
        'say pictures="labelled"'
    )


PARENTS = Check("parents", "works for every number of parents that its contract allows", other_counts)
ARCHITECTURES = Check("architectures", "parents of two architectures work, or are refused in words", unlike_parents)
LABELS = Check("labels", "uses no labels where its contract says so", labels_unused)


def parent_cases(
    contract: Contract,
    own: Sequence[Parent] | None,
    of: Callable[[Population], Parent],
    one: Callable[[Parent], Parent],
    case: Callable[..., Case],
) -> dict[str, Case]:
    """The cases of what works on parents. own: those that its author brings. of, one: a parent, and its one member."""
    counts: list[int] = parent_counts(contract)
    made = [of(parent) for parent in examples.populations(max(counts))]
    given: list[Parent] = made if own is None else list(own)
    if own is not None:
        counts = [len(given), *(count for count in counts if count < len(given))]
    main = given[: counts[0]]
    cases = {MAIN: case(main), "one member": case([one(parent) for parent in main])}
    cases |= {f"parents {count}": case(given[:count]) for count in counts[1:]}
    if own is None and len(main) > 1 and contract.architecture == "any":
        unlike = [of(parent) for parent in examples.unlike(examples.populations(len(main)))]
        cases[UNLIKE] = case(unlike, ", the last of another architecture")
    if contract.pictures == "unlabelled":
        cases[RELABELLED] = relabelled(cases[MAIN])
    return cases


# -- kernels -----------------------------------------------------------------------------------


def extracted_members(trial: Trial) -> str | None:
    """Members are named as in the population, and each one's kernels are its own."""
    (population,) = trial.cases[MAIN].inputs
    kernels = trial.value()
    if kernels.concept != population.concept:
        return f"the concept is {kernels.concept!r}, in the population {population.concept!r}; keep it"
    alone = trial.value("one member")
    (population_of_one,) = trial.cases["one member"].inputs
    member = population.members.index(population_of_one.members[0])
    for layer, tensor in kernels.layers.items():
        if layer not in alone.layers or not torch.equal(alone.layers[layer][0], tensor[member]):
            return (
                f"the kernels of {population_of_one.members[0]!r} in {layer!r} are others when it is extracted alone; "
                "keep the order of members, the first axis"
            )
    return None


def extractor_trial(component: KernelExtractor, population: Population | None = None) -> Trial:
    given = population or examples.population("black")
    cases = {
        MAIN: Case(f"a population of {len(given)} members", (given,)),
        "one member": Case("a population of one member", (given.select([len(given) - 1]),)),
    }
    return Trial(component, component.extract, KernelSet, cases, "population=", population is not None)


EXTRACTOR = (
    *OF_THE_CLASS,
    WORKS,
    Check("shapes", "kernels are float32 [M, O, I, kH, kW]", as_runs_ask("shapes")),
    FINITE,
    Check(
        "members",
        "members keep their names, their order and their own kernels",
        as_runs_ask("members", extracted_members),
    ),
    *OF_THE_WORK,
    ONE_MEMBER,
)


# -- translators -------------------------------------------------------------------------------


def translator_trial(component: Translator, parents: Sequence[KernelSet] | None = None) -> Trial:
    def case(chosen: Sequence[KernelSet], why: str = "") -> Case:
        shown = training_pictures(component, [parent.concept for parent in chosen])
        whole = examples.owners(chosen) if component.terms.populations and parents is None else ()
        return Case(f"{members_text(chosen)}{why}", (list(chosen),), shown, parents=whole)

    cases = parent_cases(component.terms, parents, examples.kernels, _first, case)
    return Trial(component, component.translate, KernelSet, cases, "parents=", parents is not None)


def _first(parent: KernelSet) -> KernelSet:
    return replace(
        parent, layers={layer: tensor[:1] for layer, tensor in parent.layers.items()}, members=parent.members[:1]
    )


def training_pictures(component: Component, concepts: Sequence[str]) -> tuple[Images, ...]:
    """The training pictures that a run gives to a component: one set per parent, where the contract asks."""
    if component.terms.pictures == "none":
        return ()
    whole = concepts if len(concepts) > 1 else (*concepts, "another")
    return tuple(examples.training_images(concept, whole) for concept in concepts)


def relabelled(case: Case) -> Case:
    """The same with every label of the training pictures turned round."""
    turned = tuple(
        Images(images.names, {name: ~shown for name, shown in images.labels.items()}, images.at(examples.SIZE))
        for images in case.pictures
    )
    return replace(case, pictures=turned)


TRANSLATOR = (
    *OF_THE_CLASS,
    WORKS,
    Check("shapes", "kernels have the parents' layers and shapes, float32", as_runs_ask("shapes")),
    FINITE,
    MEMBERS,
    *OF_THE_WORK,
    ONE_MEMBER,
    PARENTS,
    ARCHITECTURES,
    LABELS,
)
