"""Each contract check fails for a component that is broken in its way."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import Field, field_validator

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
    Translator,
)
from composer.registry import Registry
from composer.testing import (
    ContractError,
    check_component,
    examples,
)
from composer.testing.kinds import CHECKS, make_trial
from composer.testing.trial import Check
from working import (
    SIZE,
    VERBS,
    Linear,
    Make,
    make,
    translate,
)


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
        "it raised ZeroDivisionError: division by zero (test_testing_broken.py, line",
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
