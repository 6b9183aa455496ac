"""The contract checks: every built-in component passes, and each check can fail."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image
from pydantic import Field, field_validator
from torch import nn

from composer import (
    ComposedModel,
    ComposerError,
    Contract,
    Images,
    KernelSet,
    Lines,
    Population,
    Report,
    Run,
    Score,
    ScoreInfo,
    Split,
    Translator,
    Zoo,
)
from composer.command_line.cli import main
from composer.component import Component
from composer.interfaces import INTERFACES
from composer.registry import DISTRIBUTION, Registry, load_registry
from composer.testing import (
    ContractError,
    NotCheckedError,
    check_architecture,
    check_assembler,
    check_component,
    check_criterion,
    check_evaluator,
    check_extractor,
    check_images,
    check_models,
    check_translator,
    examples,
)
from composer.testing.installed import read_settings, subjects
from composer.testing.kinds import CHECKS, make_trial
from composer.testing.trial import Check
from composer_merging.scorer import Scorer

Make = Callable[..., list[EntryPoint]]
SIZE = examples.SIZE

# -- every built-in passes ---------------------------------------------------------------------

OPTIONS: Mapping[str, tuple[str, ...]] = {
    "cells": ("root={folder}/cells",),
    "checkpoints": (
        "pattern={folder}/*.pth",
        f"architecture={{{{use: cnn, filters: [4, 6], size: {SIZE}}}}}",
    ),
    "cifar10": ("file={folder}/cifar10.npz",),
    "cifar_resnet": ("weights={folder}/resnet.pth",),
    "cyclegan": ("epochs=1",),
    "distil": ("steps=20",),
    "drawings": ("size=16", "train=40", "test=16"),
    **dict.fromkeys(("few_shot", "few_alone"), ("folder={folder}/labels",)),
    "learned_choice": ("scorer={folder}/scorer",),
    "fit": ("backbone={{use: torchvision, model: mobilenet_v3_small, weights: null}}",),
    "folder": ("train={folder}/train", "test={folder}/test"),
    "timm": ("model=resnet18", "pretrained=false", "size=32"),
    "torchvision": ("model=mobilenet_v3_small", "weights=null", "size=32"),
    "train": ("members=2", "epochs=1", f"architecture={{{{use: cnn, size: {SIZE}}}}}"),
    "taught": ("steps=2",),
    "flow": ("steps=3",),
    **dict.fromkeys(("nearest", "noise"), ("like=mean",)),
    "clusters": ("umap_figure=false",),
    "zoo": ("concept=black", "folder={folder}/zoo"),
    **dict.fromkeys(("task_arithmetic", "ties", "dare"), ("base={folder}/base.pth",)),
}
"""Options in place of defaults that take long or cannot be made up; {folder} is what `prepare` filled."""
CONCEPTS = {"digits": ("green", "seven"), "cifar10": ("red", "cat")}
SLOW = {
    "cifar_resnet",
    "efficientnet_lite",
    "torchvision",
    "fit",
    "cyclegan",
    "clusters",
    "study",
    "drawings",
    "digits",
    "timm",
}
OF_THE_STUDY = {"study_pictures", "study_generators"}
"""Those that read the study's own files: the tests below that."""


def built_in() -> list[Any]:
    own = [(kind, plugin) for kind, plugin in load_registry().components() if plugin.distribution == DISTRIBUTION]
    return [
        pytest.param(kind, id=f"{kind.kind}-{kind.name}", marks=[pytest.mark.slow] if kind.name in SLOW else [])
        for kind, _ in own
        if kind.name not in OF_THE_STUDY
    ]


def prepare(name: str, folder: Path) -> None:
    """The files that a component needs."""
    if name == "checkpoints":
        population = examples.population("black", 2)
        for member in range(2):
            state = {key: tensor[member].clone() for key, tensor in population.weights.items()}
            torch.save(state, folder / f"{member}.pth")
    if name in ("task_arithmetic", "ties", "dare"):
        base = examples.population("black", 1)
        torch.save({key: tensor[0].clone() for key, tensor in base.weights.items()}, folder / "base.pth")
    if name == "learned_choice":
        Scorer.fresh(8, torch.Generator().manual_seed(0)).save(folder / "scorer")
    if name == "cifar10":
        rng = np.random.default_rng(0)
        arrays: dict[str, Any] = {}
        for part, count in (("train", 20), ("test", 6)):
            arrays[f"x_{part}"] = rng.integers(60, 196, (10 * count, 32, 32, 3), dtype=np.uint8)
            arrays[f"y_{part}"] = np.arange(10 * count, dtype=np.uint8) % 10
        np.savez(folder / "cifar10.npz", **arrays)
    if name == "cifar_resnet":
        network = load_registry().find("architecture", "cifar_resnet")()
        torch.save(network.build(10).state_dict(), folder / "resnet.pth")  # type: ignore[attr-defined]
    if name == "cells":
        for _ in range(2):
            pictures = examples.cell_images()
            for cell, picture in zip(pictures.cells, pictures.at(SIZE), strict=True):
                save(picture, folder / "cells" / cell)
    if name in ("few_shot", "few_alone"):
        labelled = examples.cell_images(per_cell=2)
        for shows, picture in zip(labelled.target, labelled.at(SIZE), strict=True):
            save(picture, folder / "labels" / ("yes" if shows else "no"))
    if name == "zoo":
        Zoo(folder / "zoo").add("black", examples.population("black", 2))
    if name == "folder":
        test = examples.cell_images()
        for cell, picture in zip(test.cells, test.at(SIZE), strict=True):
            save(picture, folder / "test" / cell)
        for concept in examples.CONCEPTS[:2]:
            shown = examples.training_images(concept)
            for present, picture in zip(shown.labels[concept], shown.at(SIZE), strict=True):
                save(picture, folder / "train" / concept / ("yes" if present else "no"))


def save(picture: torch.Tensor, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture.permute(1, 2, 0).numpy()).save(folder / f"{len(list(folder.iterdir()))}.png")


@pytest.mark.parametrize("component", built_in())
def test_every_built_in_component_keeps_its_contract(component: type[Component], tmp_path: Path) -> None:
    prepare(component.name, tmp_path)
    options = [option.format(folder=tmp_path) for option in OPTIONS.get(component.name, ())]
    options = [option for option in options if option.partition("=")[0] in component.model_fields]
    settings = read_settings([f"{component.name}.{option}" for option in options], "options")
    offers = subjects(DISTRIBUTION, load_registry(), settings, CONCEPTS.get(component.name, ("black", "cat")))
    (subject,) = [one for one in offers if one.component is component]
    outcomes = list(subject.outcomes())
    assert [outcome.message for outcome in outcomes if outcome.result != "passed"] == []
    assert len(outcomes) >= 14


@pytest.mark.slow
def test_the_studys_own_components_keep_their_contracts(shared: Path) -> None:
    from composer_cnn import CNN
    from composer_study import StudyGenerators, StudyPictures

    study = shared / "mlusingml"
    check_images(StudyPictures(folder=study / "GeneratedCNN_test"), test_only=True)
    parents = [examples.kernels(examples.population(name, network=CNN(), size=32)) for name in ("black", "cat")]
    files = {
        "conv1_to_a": "generator_B2A.pth",
        "conv1_to_b": "generator_A2B.pth",
        "conv2_to_a": "2_generator_B2A.pth",
        "conv2_to_b": "2_generator_A2B.pth",
    }
    made = StudyGenerators(**{option: study / file for option, file in files.items()})
    check_translator(made, parents=parents)


# -- components that work, to be broken ----------------------------------------------------------


def extract(self: Any, population: Population, run: Run) -> KernelSet:
    return examples.kernels(population)


def translate(self: Any, parents: Any, run: Run) -> KernelSet:
    count = min(map(len, parents))
    layers = {
        name: torch.stack([parent.layers[name][:count] for parent in parents]).mean(0) for name in parents[0].layers
    }
    return KernelSet("new", layers, parents[0].members[:count])


def assemble(self: Any, kernels: KernelSet, parents: Any, run: Run) -> ComposedModel:
    return ComposedModel(tuple(parents), parents[0].members)


def worth(self: Any, log_odds: Any, features: Any, run: Run) -> Any:
    return np.asarray([float(own.double().mean()) for own in features])


def evaluate(self: Any, model: ComposedModel, images: Images, run: Run) -> Report:
    if not model.has_log_odds:
        return Report({})
    return Report({"mean": Score(model.log_odds(images).double().mean(1).numpy())})


def load_images(self: Any, split: Split, run: Run) -> Images:
    if split.concept is None:
        return examples.cell_images(split.concepts)
    return examples.training_images(split.concept, split.concepts)


def load_models(self: Any, concept: str, run: Run) -> Population:
    return examples.population(concept, 2)


class Linear(nn.Module):
    def __init__(self, outputs: int, features: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, features, 3)
        self.head = nn.Linear(features, outputs)

    def features(self, pixels: torch.Tensor) -> Any:
        return self.conv(pixels).mean((2, 3))

    def forward(self, pixels: torch.Tensor) -> Any:
        return self.head(self.features(pixels))


def build(self: Any, outputs: int) -> nn.Module:
    return Linear(outputs)


VERBS: Mapping[str, tuple[str, Callable[..., Any]]] = {
    "extractor": ("extract", extract),
    "translator": ("translate", translate),
    "assembler": ("assemble", assemble),
    "criterion": ("values", worth),
    "evaluator": ("evaluate", evaluate),
    "images": ("load", load_images),
    "models": ("load", load_models),
    "architecture": ("build", build),
}
EXTRA: Mapping[str, Mapping[str, Any]] = {
    "models": {"network": property(lambda self: examples.architecture())},
    "architecture": {"head": "head", "input_size": property(lambda self: examples.SIZE)},
    "criterion": {"picked_by": "mean of the features"},
    "translator": {"contract": Contract(architecture="one")},
}
COMPONENTS = {interface.kind: interface for interface in INTERFACES}


def make(kind: str, verb: Callable[..., Any] | None = None, **rest: Any) -> Any:
    """A component that works, or one with another verb or other attributes."""
    interface: Any = COMPONENTS[kind]
    name, good = VERBS[kind]
    body = {"__doc__": "Made for a test.", "__module__": __name__, "name": "mine", name: verb or good}
    return type(interface)("Mine", (interface,), {**body, **EXTRA.get(kind, {}), **rest})()


@pytest.mark.parametrize("kind", [kind for kind in VERBS if kind != "architecture"])
def test_a_component_that_works_passes(kind: str) -> None:
    check_component(make(kind))


def test_an_architecture_that_works_passes() -> None:
    check_architecture(examples.architecture((2, 3)))


# -- and broken, one for each check ----------------------------------------------------------------


def then(kind: str, change: Callable[..., Any]) -> Callable[..., Any]:
    """The verb that works, and something done to what it gives: change(value, inputs and run)."""
    verb = VERBS[kind][1]
    return lambda self, *inputs: change(verb(self, *inputs), *inputs)


def scaled(kernels: KernelSet, factor: Any) -> KernelSet:
    return replace(kernels, layers={name: tensor * factor for name, tensor in kernels.layers.items()})


def refusing(kind: str, when: Callable[..., bool], error: Exception) -> Callable[..., Any]:
    def verb(self: Any, *inputs: Any) -> Any:
        if when(*inputs):
            raise error
        return VERBS[kind][1](self, *inputs)

    return verb


def changes_inputs(self: Any, parents: Any, run: Run) -> KernelSet:
    made = translate(self, parents, run)
    parents[0].layers["conv1"].mul_(2)
    return made


def prints(value: Any, *inputs: Any) -> Any:
    print("working")  # noqa: T201
    return value


def draws(value: Any, *inputs: Any) -> Any:
    torch.rand(3)
    return value


def one_thread(value: Any, *inputs: Any) -> Any:
    torch.set_num_threads(torch.get_num_threads() + 1)
    return value


def endless_figure(value: Any, *inputs: Any) -> Any:
    inputs[-1].figure("loss", Lines("Loss", {"loss": [float("nan")]}, "epoch", "loss"))
    return value


def weights(population: Population, **changed: torch.Tensor) -> Population:
    return replace(population, weights={**population.weights, **{k.replace("_", "."): v for k, v in changed.items()}})


def by_labels(self: Any, parents: Any, run: Run) -> KernelSet:
    return scaled(translate(self, parents, run), float(run.pictures[0].labels["black"].mean()))


def score(values: Any, **rest: Any) -> Callable[..., Report]:
    def verb(self: Any, model: ComposedModel, images: Images, run: Run) -> Report:
        made = values(model) if callable(values) else values
        return Report({"mean": Score(np.asarray(made, dtype=np.float64), **rest)})

    return verb


class Rewriting(Translator):
    """Has an option that is not what was written."""

    name = "mine"
    share: float = Field(0.5, description="a share")

    def translate(self, parents: Any, run: Run) -> KernelSet:
        return translate(self, parents, run)

    @field_validator("share")
    @classmethod
    def halved(cls, value: float) -> float:
        return value / 2


class Bare(Translator):
    """Has an option without a description."""

    name = "mine"
    share: float = 0.5

    def translate(self, parents: Any, run: Run) -> KernelSet:
        return translate(self, parents, run)


COUNTING = itertools.count()
SHARED = Contract(architecture="any", parents=(2, 3))
nan = float("nan")

BROKEN: Mapping[tuple[str, str], tuple[Callable[[], Any], str]] = {
    # of all kinds, shown on a translator
    ("translator", "described"): (Bare, "option 'share' has no description"),
    ("translator", "options"): (Rewriting, "share was 0.5, is 0.25"),
    ("translator", "works"): (
        lambda: make("translator", lambda self, parents, run: 1 / 0),
        "it raised ZeroDivisionError: division by zero (test_testing.py, line",
    ),
    ("translator", "seed"): (
        lambda: make("translator", then("translator", lambda made, *_: scaled(made, torch.rand(())))),
        "two calls with seed 7 differ",
    ),
    ("translator", "inputs"): (lambda: make("translator", changes_inputs), "of what it was given; work on copies"),
    ("translator", "quiet"): (lambda: make("translator", then("translator", prints)), "it wrote 'working\\n'"),
    ("translator", "random"): (
        lambda: make("translator", then("translator", draws)),
        'changed the state of "torch\'s default generator"',
    ),
    ("translator", "settings"): (
        lambda: make("translator", then("translator", one_thread)),
        "torch's thread count: ",
    ),
    ("translator", "cache"): (
        lambda: make("translator", then("translator", endless_figure)),
        "it cannot be written",
    ),
    ("translator", "finite"): (
        lambda: make("translator", then("translator", lambda made, *_: scaled(made, nan))),
        "it gave kernels in which 'conv1' has NaN or infinity (900 of 900 numbers)",
    ),
    ("translator", "one_member"): (
        lambda: make(
            "translator", refusing("translator", lambda parents, run: len(parents[0]) < 2, ValueError("too few"))
        ),
        "with 2 parents of 1 member it raised ValueError",
    ),
    # of translators
    ("translator", "shapes"): (
        lambda: make(
            "translator",
            then("translator", lambda made, *_: replace(made, layers={"conv1": made.layers["conv1"]})),
        ),
        "it gave kernels of 'conv2' that are absent for each member; 'black' has them [6, 4, 5, 5]",
    ),
    ("translator", "members"): (
        lambda: make(
            "translator",
            then("translator", lambda made, *_: replace(made, members=("same",) * len(made))),
        ),
        "'same' names more than one member",
    ),
    ("translator", "parents"): (
        lambda: make(
            "translator",
            refusing("translator", lambda parents, run: len(parents) > 2, ComposerError("two only")),
        ),
        "are refused: two only; narrow it",
    ),
    ("translator", "architectures"): (lambda: make("translator", contract=SHARED), "it raised RuntimeError"),
    ("translator", "labels"): (
        lambda: make("translator", by_labels, contract=Contract(architecture="one", pictures="unlabelled")),
        "the result changes with the labels",
    ),
    # of extractors
    ("extractor", "shapes"): (
        lambda: make(
            "extractor",
            then("extractor", lambda made, *_: replace(made, layers={k: v.double() for k, v in made.layers.items()})),
        ),
        "it gave kernels of 'conv1' that are torch.float64, not torch.float32",
    ),
    ("extractor", "members"): (
        lambda: make(
            "extractor",
            then("extractor", lambda made, *_: replace(made, layers={k: v.flip(0) for k, v in made.layers.items()})),
        ),
        "are others when it is extracted alone; keep the order",
    ),
    # of assemblers
    ("assembler", "shapes"): (
        lambda: make(
            "assembler",
            then(
                "assembler",
                lambda made, *_: replace(
                    made, parts=(weights(made.parts[0], conv1_bias=torch.zeros(len(made), 9)), *made.parts[1:])
                ),
            ),
        ),
        "whose members do not fit architecture 'cnn': 'conv1.bias' is [9] instead of [4]",
    ),
    ("assembler", "outputs"): (
        lambda: make(
            "assembler",
            then(
                "assembler",
                lambda made, *_: replace(
                    made, parts=tuple(weights(part, conv1_bias=torch.full((len(part), 4), 3e38)) for part in made.parts)
                ),
            ),
        ),
        "are NaN or infinite",
    ),
    ("assembler", "members"): (
        lambda: make("assembler", then("assembler", lambda made, *_: replace(made, members=("",) * len(made)))),
        "'' names a member",
    ),
    # of evaluators
    ("evaluator", "judges"): (lambda: make("evaluator", lambda self, *_: Report({})), "it gave no score"),
    ("evaluator", "shapes"): (lambda: make("evaluator", score([0.5])), "1 values of score 'mean' for a model of 3"),
    ("evaluator", "finite"): (
        lambda: make("evaluator", score(lambda model: [nan] * len(model))),
        "values of score 'mean' with NaN or infinity (3 of 3 numbers)",
    ),
    ("evaluator", "headless"): (
        lambda: make(
            "evaluator",
            refusing("evaluator", lambda model, images, run: not model.has_log_odds, ValueError("no head")),
        ),
        "without log-odds",
    ),
    ("evaluator", "concepts"): (
        lambda: make(
            "evaluator",
            refusing("evaluator", lambda model, images, run: len(images.concepts) > 2, ValueError("two")),
        ),
        "of three concepts",
    ),
    ("evaluator", "declared"): (
        lambda: make("evaluator", scores=(ScoreInfo("mean", "mean", higher_is_better=False),)),
        "score 'mean' with higher_is_better=True; the class declares False",
    ),
    # of criteria
    ("criterion", "words"): (lambda: make("criterion", picked_by=""), "`picked_by` is missing"),
    ("criterion", "works"): (
        lambda: make("criterion", lambda self, log_odds, features, run: np.zeros(1)),
        "criterion 'mine' gave float64 [1] for 3 members; give float64 [3]",
    ),
    ("criterion", "labels"): (
        lambda: make("criterion", then("criterion", lambda made, *_: made + next(COUNTING))),
        "exchanged labels of the pictures change the values",
    ),
    ("criterion", "headless"): (
        lambda: make(
            "criterion", refusing("criterion", lambda log_odds, features, run: log_odds is None, ValueError("no head"))
        ),
        "with features alone it raised ValueError",
    ),
    # of image sources
    ("images", "splits"): (
        lambda: make("images", then("images", lambda images, *_: images.select([]))),
        "it gave no pictures",
    ),
    ("images", "shapes"): (
        lambda: make(
            "images",
            then(
                "images",
                lambda images, *_: Images(images.names, images.labels, lambda size: torch.zeros(1, 3, size, size)),
            ),
        ),
        "are torch.float32",
    ),
    ("images", "labels"): (
        lambda: make(
            "images",
            then(
                "images",
                lambda images, *_: Images(images.names, {"dog": images.labels[images.concepts[0]]}, images.at(SIZE)),
            ),
        ),
        "pictures of test labelled with dog; asked for are black, cat",
    ),
    ("images", "cells"): (
        lambda: make("images", then("images", lambda images, *_: images.select(np.flatnonzero(images.target)))),
        "has no picture of black, cat, none",
    ),
    ("images", "target"): (
        lambda: make(
            "images",
            lambda self, split, run: (
                examples.cell_images(split.concepts)
                if split.concept is None
                else Images(
                    examples.cell_images(split.concepts).names,
                    {split.concept: examples.cell_images(split.concepts).labels[split.concept]},
                    examples.cell_images(split.concepts).at(SIZE),
                )
            ),
        ),
        "is a test picture of black+cat; leave it out",
    ),
    ("images", "names"): (
        lambda: make(
            "images",
            then("images", lambda images, *_: Images(["same"] * len(images), images.labels, images.at(SIZE))),
        ),
        "'same' names more than one picture",
    ),
    # of model sources
    ("models", "shapes"): (
        lambda: make("models", network=property(lambda self: examples.architecture((2, 3)))),
        "its `network` is {'use': 'cnn', 'filters': [2, 3]",
    ),
    ("models", "outputs"): (
        lambda: make(
            "models",
            then("models", lambda made, *_: weights(made, conv1_bias=torch.full((len(made), 4), 3e38))),
        ),
        "are NaN or infinite",
    ),
    ("models", "members"): (
        lambda: make("models", then("models", lambda made, *_: replace(made, concept="dog"))),
        "the concept is 'dog', and 'black' was asked for",
    ),
    ("models", "classes"): (
        lambda: make("models", class_names=lambda self: ("yes", "no", "perhaps")),
        "gives 3 names, and there are 2 outputs",
    ),
    ("models", "groups"): (
        lambda: make("models", groups=lambda self: (range(1, 2),)),
        "groups() names members [1], ..., 1 in all",
    ),
    # of architectures
    ("architecture", "build"): (
        lambda: make("architecture", lambda self, outputs: Linear(2)),
        "build(1) gives features [2, 4]",
    ),
    ("architecture", "shapes"): (
        lambda: make("architecture", stacked_features=lambda self, weights, pixels: torch.zeros(1, len(pixels), 4)),
        "features are torch.float32 [1, 4, 4]; give float32 [2, 4, D]",
    ),
    ("architecture", "finite"): (
        lambda: make(
            "architecture",
            stacked_features=lambda self, weights, pixels: torch.full(
                (len(weights["conv.weight"]), len(pixels), 4), nan
            ),
        ),
        "are NaN or infinite",
    ),
    ("architecture", "members"): (
        lambda: make(
            "architecture",
            stacked_features=lambda self, weights, pixels: torch.zeros(len(weights["conv.weight"]), len(pixels), 4),
        ),
        "are others than those of its network alone",
    ),
    ("architecture", "training"): (
        lambda: make(
            "architecture",
            stacked_features=lambda self, weights, pixels: torch.zeros(len(weights["conv.weight"]), len(pixels), 4),
        ),
        "stacked_features(..., training=True) cannot be run: TypeError",
    ),
    ("architecture", "cache"): (lambda: make("architecture"), "it cannot be read again"),
}


def named(kind: str, name: str) -> Check:
    (check,) = [check for check in CHECKS[kind] if check.name == name]
    return check


@pytest.mark.parametrize(("kind", "name"), BROKEN)
def test_each_check_fails_for_a_component_that_is_broken(kind: str, name: str) -> None:
    broken, message = BROKEN[kind, name]
    component = broken()
    with pytest.raises(ContractError) as failed:
        named(kind, name)(make_trial(component))
    assert message in str(failed.value)
    assert str(failed.value).startswith(f"{component.noun} 'mine': ")
    with pytest.raises(ContractError):
        check_component(component)


def test_every_check_of_every_kind_is_seen_to_fail() -> None:
    seen = [named(kind, name) for kind, name in BROKEN]
    unseen = [(kind, check.name) for kind in CHECKS for check in CHECKS[kind] if check not in seen]
    # A module's import is looked at for installed plugins alone: the next test.
    assert {name for _, name in unseen} == {"imports"}


def test_a_module_that_imports_torch_fails(distribution: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    source = """
import torch
from composer import Translator, hook

class Mine(Translator):
    "Keeps the first parent."
    name = "mine"
    def translate(self, parents, run):
        return parents[0]

@hook
def composer_components():
    return [Mine]
"""
    registry = Registry(distribution("slow-plugin", source))
    monkeypatch.setattr("composer.testing.every_kind.load_registry", lambda: registry)
    ((kind, _),) = registry.components()
    with pytest.raises(ContractError, match="importing slow_plugin imports torch, so `composer --help`"):
        check_component(kind())


# -- what the functions take ---------------------------------------------------------------------


def test_a_component_that_refuses_the_examples_is_not_checked_and_may_be_given_others() -> None:
    def choosy(self: Any, parents: Any, run: Run) -> KernelSet:
        if "conv" not in parents[0].layers:
            raise ComposerError("kernels of 'conv' are needed")
        return translate(self, parents, run)

    component = make("translator", choosy, contract=Contract(architecture="one"))
    with pytest.raises(NotCheckedError, match=r"it refused 2 parents of 3 members: kernels of 'conv' are needed; pass"):
        check_translator(component)
    own = [
        KernelSet(name, {"conv": torch.ones(2, 3, 3, 3, 3)}, (f"{name} 0", f"{name} 1")) for name in ("black", "cat")
    ]
    check_translator(component, parents=own)


def test_each_function_checks_its_kind() -> None:
    functions: Mapping[str, Callable[[Any], None]] = {
        "extractor": check_extractor,
        "translator": check_translator,
        "assembler": check_assembler,
        "criterion": check_criterion,
        "evaluator": check_evaluator,
        "images": check_images,
        "models": check_models,
    }
    for kind, check in functions.items():
        check(make(kind))
        with pytest.raises(ContractError, match=r"it gave str; give|gave a str for 3 members; give"):
            check(make(kind, lambda self, *inputs: "nothing"))
    check_extractor(make("extractor"), population=examples.population("cat", 5))
    check_images(make("images"), concepts=("striped", "fish"))
    check_models(make("models"), concept="fish")
    check_evaluator(make("evaluator"), model=examples.model(examples.populations(2, members=2)))


# -- from the command line ----------------------------------------------------------------------


NOISY = """
from composer import Translator, hook

class Mine(Translator):
    "Keeps the first parent."
    name = "mine"
    def translate(self, parents, run):
        print("hello")
        return parents[0]

@hook
def composer_components():
    return [Mine]
"""


def check_plugin(*arguments: str) -> Any:
    return CliRunner().invoke(main, ["check-plugin", *arguments], prog_name="composer")


def test_check_plugin_shows_a_table_of_the_checks() -> None:
    done = check_plugin("controls")
    assert done.exit_code == 0, done.output
    assert "plugin controls of kernel-composer" in done.output
    assert "same seed, same bytes" in done.output
    assert "0 failed" in done.output.splitlines()[-1]


def test_check_plugin_fails_where_a_check_does(distribution: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    registry = Registry(distribution("my-plugin", NOISY, entry="noisy", version="0.3"))
    monkeypatch.setattr("composer.registry.load_registry", lambda: registry)
    done = check_plugin("noisy", "--json")
    assert done.exit_code == 2
    (found,) = json.loads(done.stdout)
    assert (found["distribution"], found["version"], found["plugin"]) == ("my-plugin", "0.3", "noisy")
    failed = [check for check in found["checks"] if check["result"] == "failed"]
    assert [check["check"] for check in failed] == ["quiet"]
    assert "run.progress" in failed[0]["message"]


def test_check_plugin_says_what_it_could_not_check() -> None:
    done = check_plugin("checkpoints")
    assert done.exit_code == 2
    assert "not checked: model source 'checkpoints': needs pattern (files, one per network" in done.output


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("cyclegn",), "no plugin, distribution or component is called 'cyclegn'; did you mean 'cyclegan'"),
        (("controls", "--set", "epochs=1"), "--set epochs=1: must be COMPONENT.OPTION=VALUE"),
        (("controls", "--set", "random.epochs=1"), "'random' has no such option"),
        (("controls", "--set", "cyclegan.epochs=1"), "'cyclegan' is not among the components to check"),
        (("controls", "--concepts", "black"), "must be two or more different concepts"),
        (("tensorboard",), "offers no components; there is nothing to check"),
    ],
)
def test_check_plugin_says_what_is_wrong_with_what_it_was_asked(arguments: tuple[str, ...], said: str) -> None:
    done = check_plugin(*arguments)
    assert done.exit_code == 2
    assert said in done.output
