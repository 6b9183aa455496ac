"""The contract checks: every built-in component passes, and each check can fail."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

from composer import (
    ComposerError,
    Contract,
    KernelSet,
    Run,
    Zoo,
)
from composer.command_line.cli import main
from composer.component import Component
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
from composer_merging.scorer import Scorer
from working import (
    SIZE,
    VERBS,
    Make,
    make,
    translate,
)

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


# -- components that work ----------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in VERBS if kind != "architecture"])
def test_a_component_that_works_passes(kind: str) -> None:
    check_component(make(kind))


def test_an_architecture_that_works_passes() -> None:
    check_architecture(examples.architecture((2, 3)))


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
