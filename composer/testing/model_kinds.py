"""The contracts of assemblers, model sources and architectures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from composer.data.composed import ComposedModel
from composer.data.images import Images
from composer.data.kernels import KernelSet
from composer.data.population import Population, Preprocessing
from composer.data.run import Run
from composer.interfaces import Assembler, ModelSource
from composer.networks.architecture import Architecture
from composer.testing import examples
from composer.testing.every_kind import (
    FINITE,
    MEMBERS,
    OF_THE_CLASS,
    OF_THE_WORK,
    ONE_MEMBER,
    WORKS,
    as_runs_ask,
    stored_tensors,
    unique_names,
)
from composer.testing.kernel_kinds import (
    ARCHITECTURES,
    LABELS,
    PARENTS,
    members_text,
    parent_cases,
    training_pictures,
)
from composer.testing.trial import MAIN, Case, Check, Trial, raised

COUNT = 2
"""Of the example for architectures, whose networks may be large."""
CLOSE = 1e-3
"""Largest difference of two ways to compute the same features, relative to the largest feature."""


# -- what a model must be able to do -----------------------------------------------------------


def outputs_problem(model: ComposedModel | Population, images: Images) -> str | None:
    """Features [M, N, D] and, where there is a head, log-odds [M, N]; float32 and finite."""
    members, count = len(model), len(images)
    headed = model.has_head if isinstance(model, Population) else model.has_log_odds
    try:
        found = {"features": model.features(images)}
        if headed:
            found["log-odds"] = model.log_odds(images)
    # Whatever the component built is run here, and may raise anything.
    except Exception as error:
        return f"{count} pictures cannot be put in: {raised(error)}; give weights that fit the architecture"
    for what, tensor in found.items():
        wanted = 3 if what == "features" else 2
        if tensor.ndim != wanted or tensor.shape[:2] != (members, count) or tensor.dtype != torch.float32:
            shape = f"[{members}, {count}, D]" if wanted == 3 else f"[{members}, {count}]"
            return f"{what} are {tensor.dtype} {list(tensor.shape)}; give float32 {shape}"
    return stored_tensors([(f"the {what} on {count} pictures", tensor) for what, tensor in found.items()])


# -- assemblers --------------------------------------------------------------------------------


def assembled_outputs(trial: Trial) -> str | None:
    for case, model in trial.worked():
        if found := outputs_problem(model, examples.cell_images()):
            return f"with {case.title}: {found}"
    return None


def assembler_trial(
    component: Assembler, parents: Sequence[Population] | None = None, kernels: KernelSet | None = None
) -> Trial:
    def case(chosen: Sequence[Population], why: str = "") -> Case:
        new = (kernels or examples.new_kernels(chosen)) if component.needs_kernels else None
        made = f"{len(new)} kernels and " if new is not None else ""
        shown = training_pictures(component, [parent.concept for parent in chosen])
        return Case(f"{made}{members_text(chosen)}{why}", (new, list(chosen)), shown)

    cases = parent_cases(component.terms, parents, lambda parent: parent, lambda parent: parent.select([0]), case)
    return Trial(component, component.assemble, ComposedModel, cases, "parents= and kernels=", parents is not None)


ASSEMBLER = (
    *OF_THE_CLASS,
    WORKS,
    Check("shapes", "every part's weights fit its architecture", as_runs_ask("shapes")),
    FINITE,
    Check("outputs", "features [M, N, D] and log-odds [M, N], float32 and finite", assembled_outputs),
    MEMBERS,
    *OF_THE_WORK,
    ONE_MEMBER,
    PARENTS,
    ARCHITECTURES,
    LABELS,
)


# -- model sources -----------------------------------------------------------------------------


def loaded_outputs(trial: Trial) -> str | None:
    return outputs_problem(trial.value(), examples.cell_images(per_cell=1))


def loaded_members(trial: Trial) -> str | None:
    population, (concept,) = trial.value(), trial.cases[MAIN].inputs
    if population.concept != concept:
        return f"the concept is {population.concept!r}, and {concept!r} was asked for; keep it"
    return unique_names(population.members, "member")


def class_names_fit(trial: Trial) -> str | None:
    """The names by which recipes choose outputs must be of outputs that the network has."""
    component: Any = trial.component
    population = trial.value()
    names, groups = component.class_names(), component.class_groups()
    head = population.weights.get(f"{population.architecture.head}.weight")
    count = 0 if head is None else head.shape[1]
    if names is not None and len(names) != count:
        return f"class_names() gives {len(names)} names, and there are {count} outputs; give one for each, or None"
    for group, outputs in groups.items():
        if not outputs or not all(0 <= output < count for output in outputs):
            return f"class_groups() has {group!r} with outputs {list(outputs)[:5]}, of {count}; give indices of outputs"
    return None


def groups_part_it(trial: Trial) -> str | None:
    """The groups that a recipe's members are loaded in must be those of `load`, in their order."""
    component: Any = trial.component
    parted = [member for group in component.groups() for member in group]
    if parted and parted != list(range(len(trial.value()))):
        return f"groups() names members {parted[:5]}, ..., {len(parted)} in all; name each of {len(trial.value())} once"
    return None


def models_trial(component: ModelSource, concept: str = "black", pictures: Images | None = None) -> Trial:
    given = (pictures,) if pictures is not None else training_pictures(component, [concept])
    title = f"{concept!r}" + (f" and {len(given[0])} training pictures" if given else "")
    cases = {MAIN: Case(title, (concept,), given)}
    return Trial(component, component.load, Population, cases, "concept= and pictures=", pictures is not None)


MODELS = (
    *OF_THE_CLASS,
    WORKS,
    Check("shapes", "weights fit the architecture that `network` names", as_runs_ask("shapes")),
    FINITE,
    Check("outputs", "features [M, N, D] and log-odds [M, N], float32 and finite", loaded_outputs),
    Check(
        "members",
        "it knows the concept asked for; every member has a name of its own",
        as_runs_ask("members", loaded_members),
    ),
    Check("classes", "class_names() and class_groups() fit the outputs", class_names_fit),
    Check("groups", "groups() parts all members, in their order", groups_part_it),
    *OF_THE_WORK,
)


# -- architectures -----------------------------------------------------------------------------


def built(trial: Trial) -> str | None:
    """`build(K)` gives a network with features [N, D], outputs [N, K], and a linear layer called `head` between."""
    component: Any = trial.component
    pixels = torch.zeros(2, 3, component.input_size, component.input_size, device="meta")
    for outputs in (1, 3):
        network = component.blueprint(outputs).eval()
        features, logits = network.features(pixels), network(pixels)
        head = {name: list(shape) for name, shape in component.shapes(outputs).items()}
        met = [list(logits.shape), head.get(f"{component.head}.weight"), head.get(f"{component.head}.bias")]
        wanted = [[2, outputs], [outputs, features.shape[-1]], [outputs]]
        if features.ndim != 2 or met != wanted:
            return (
                f"build({outputs}) gives features {list(features.shape)}, and outputs, {component.head}.weight and "
                f"{component.head}.bias {met}; wanted [2, D] and {wanted}"
            )
    return None


def stacked(trial: Trial) -> str | None:
    """Members together must have the features that each has alone, in a network that `build` made."""
    (weights, pixels), together = trial.cases[MAIN].inputs, trial.value()
    component: Any = trial.component
    network = component.build(1).eval()
    body = set(weights) - {f"{component.head}.weight", f"{component.head}.bias"}
    for member, found in enumerate(together):
        network.load_state_dict({name: weights[name][member] for name in body}, strict=False)
        with torch.no_grad():
            alone = network.features(pixels)
        if alone.shape != found.shape or (alone - found).abs().max() > CLOSE * max(float(alone.abs().max()), 1.0):
            return f"features of member {member} of {len(together)} are others than those of its network alone"
    return None


def trained(trial: Trial) -> str | None:
    """`training=True` must be taken, and updates the running statistics of batch norm in the weights given."""
    weights, pixels = trial.cases[MAIN].inputs
    component: Any = trial.component
    given = {name: tensor.clone() for name, tensor in weights.items()}
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        try:
            features = component.stacked_features(given, pixels, training=True)
        # The component's own code is run here, and may raise anything.
        except Exception as error:
            return f"stacked_features(..., training=True) cannot be run: {raised(error)}"
    if features.shape != trial.value().shape:
        return f"with training=True features are {list(features.shape)}, and without {list(trial.value().shape)}"
    still = [name for name in given if name.endswith("running_mean") and torch.equal(given[name], weights[name])]
    return (
        f"training=True leaves {still[0]!r} as it was; train each member as its network after train()"
        if still
        else None
    )


def stacked_shapes(trial: Trial) -> str | None:
    for name, case in trial.cases.items():
        (weights, pixels), features = case.inputs, trial.value(name)
        members = len(next(iter(weights.values())))
        if features.ndim != 3 or features.shape[:2] != (members, len(pixels)) or features.dtype != torch.float32:
            return f"features are {features.dtype} {list(features.shape)}; give float32 [{members}, {len(pixels)}, D]"
    return None


def stacked_finite(trial: Trial) -> str | None:
    return stored_tensors([("the features", trial.value())])


def architecture_kept(trial: Trial) -> str | None:
    """A population of the architecture must be read back with the same architecture: the registry must find it."""
    component: Any = trial.component
    weights, _ = trial.cases[MAIN].inputs
    names = tuple(f"member {index}" for index in range(COUNT))
    population = Population("black", component, weights, names, Preprocessing(component.input_size))
    holder = Trial(component, lambda run: population, Population, {MAIN: Case("a population", ())}, "")
    from composer.testing.every_kind import kept_on_disk

    return kept_on_disk(holder)


def architecture_trial(component: Architecture, pixels: Tensor | None = None) -> Trial:
    size = component.input_size
    own = pixels is not None
    given = examples.cell_images(per_cell=1).at(size).float() / 255 - 0.5 if pixels is None else pixels
    weights = examples.population("black", COUNT, network=component, size=size).weights

    def features(weights: Mapping[str, Tensor], pixels: Tensor, run: Run) -> Tensor:
        with torch.no_grad():
            return component.stacked_features(weights, pixels)

    one = {name: tensor[:1] for name, tensor in weights.items()}
    headless = {name: tensor for name, tensor in weights.items() if not name.startswith(f"{component.head}.")}
    cases = {
        MAIN: Case(f"{COUNT} members and {len(given)} pictures of {size}x{size}", (weights, given)),
        "one member": Case("one member", (one, given)),
        "headless": Case("weights without the head", (headless, given)),
    }
    return Trial(component, features, Tensor, cases, "pixels=", own)


ARCHITECTURE = (
    *OF_THE_CLASS,
    WORKS,
    Check("build", "build(K) gives features [N, D], outputs [N, K] and a linear head", built),
    Check("shapes", "stacked features are float32 [M, N, D], with and without a head", stacked_shapes),
    Check("finite", "all numbers are finite", stacked_finite),
    Check("members", "members run together as each alone", stacked),
    Check("training", "training=True trains the statistics of batch norm", trained),
    *(check for check in OF_THE_WORK if check.name != "cache"),
    Check("cache", "a population of it survives being cached and read back", architecture_kept),
    ONE_MEMBER,
)
