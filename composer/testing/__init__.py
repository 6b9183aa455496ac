"""Whether a component keeps the contract of its kind: one function per kind, for the tests of a plugin.

    from composer.testing import check_translator
    from my_plugin import Blend

    def test_it_keeps_the_contract_of_translators() -> None:
        check_translator(Blend())

A check makes tiny inputs itself, the same ones every time, and raises ContractError for the first promise that is
not kept: which component, what was checked, what was met, what to do. Where the tiny inputs do not fit a component,
its author passes others. All checks on all components of an installed plugin: `composer check-plugin NAME`.

Common to all kinds: a docstring and described options; options that survive YAML; no torch at import; the same
seed gives the same bytes; inputs, global random states, torch's thread count and the terminal are left alone; results
survive the stage cache; every number is finite. The rest is said with each function.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from torch import Tensor

from composer.component import Component
from composer.data.composed import ComposedModel
from composer.data.images import Images
from composer.data.kernels import KernelSet
from composer.data.population import Population
from composer.interfaces import Assembler, Criterion, Evaluator, ImageSource, KernelExtractor, ModelSource, Translator
from composer.networks.architecture import Architecture
from composer.testing.examples import CONCEPTS
from composer.testing.kinds import CHECKS, make_trial
from composer.testing.trial import ContractError, NotCheckedError, Trial

__all__ = [
    "ContractError",
    "NotCheckedError",
    "check_architecture",
    "check_assembler",
    "check_component",
    "check_criterion",
    "check_evaluator",
    "check_extractor",
    "check_images",
    "check_models",
    "check_translator",
]


def check_translator(component: Translator, *, parents: Sequence[KernelSet] | None = None) -> None:
    """ContractError unless the translator keeps its contract.

    New kernels have the parents' layers and shapes, in float32, and members with names of their own. It works for one
    member as for many and for one, two and three parents, as far as its `contract` allows so many; where that says
    `architecture="any"`, parents of two architectures work or are refused with a ComposerError; where it says
    `pictures="unlabelled"`, labels make no difference.

        check_translator(Blend(share=0.2))
        check_translator(Generators(), parents=[kernels_of_black, kernels_of_cat])
    """
    _check(make_trial(component, parents=parents))


def check_extractor(component: KernelExtractor, *, population: Population | None = None) -> None:
    """ContractError unless the extractor keeps its contract.

    Kernels are float32 [M, O, I, kH, kW]; members keep their names, order and own kernels; one member works as many.

        check_extractor(Large(smallest=2))
        check_extractor(Attention(), population=transformers)
    """
    _check(make_trial(component, population=population))


def check_assembler(
    component: Assembler, *, parents: Sequence[Population] | None = None, kernels: KernelSet | None = None
) -> None:
    """ContractError unless the assembler keeps its contract.

    The weights of every part fit its architecture; features are float32 [M, N, D], log-odds [M, N], all finite;
    members have names of their own. Members, parents, architectures and labels as for translators.

        check_assembler(Transplant())
        check_assembler(Merge(), parents=[black_resnets, cat_resnets], kernels=merged)
    """
    _check(make_trial(component, parents=parents, kernels=kernels))


def check_criterion(component: Criterion, *, model: ComposedModel | None = None, images: Images | None = None) -> None:
    """ContractError unless the criterion keeps its contract.

    It gives a finite number per member, float64 [M], one member as many; by log-odds and features alone, so that
    labels make no difference; a model without log-odds gets numbers too, or is refused with a ComposerError.

        check_criterion(Spread())
        check_criterion(Spread(), images=photographs)
    """
    _check(make_trial(component, model=model, images=images))


def check_evaluator(component: Evaluator, *, model: ComposedModel | None = None, images: Images | None = None) -> None:
    """ContractError unless the evaluator keeps its contract.

    Every score has a finite value per member, or per member in `judged`, and what the class declares of it is so.
    One member works as many, three concepts as two; a model without log-odds is judged by its features or gets an
    empty report. NotCheckedError where even a model with log-odds gets an empty one.

        check_evaluator(Precision(share=0.2))
        check_evaluator(Faces(), images=photographs_of_faces)
    """
    _check(make_trial(component, model=model, images=images))


def check_images(component: ImageSource, *, concepts: Sequence[str] = CONCEPTS[:2], test_only: bool = False) -> None:
    """ContractError unless the image source keeps its contract.

    Pixels are uint8 [N, 3, S, S] at any size asked for; test pictures are of every cell of `concepts` and labelled
    with all of them; training pictures show their concept or not, and never the target. test_only: for a source
    without training pictures.

        check_images(Bands())
        check_images(Folder(train=tmp_path / "train", test=tmp_path / "test"), concepts=("striped", "fish"))
    """
    _check(make_trial(component, concepts=concepts, test_only=test_only))


def check_models(component: ModelSource, *, concept: str = CONCEPTS[0], pictures: Images | None = None) -> None:
    """ContractError unless the model source keeps its contract.

    The population knows `concept`; its weights fit the architecture that `network` names; features are float32
    [M, N, D], log-odds [M, N], all finite; class names fit the outputs. pictures: what `run.pictures` holds, where
    the contract asks for training pictures.

        check_models(Train(members=2, epochs=1))
        check_models(Checkpoints(pattern=tmp_path / "*.pth"), concept="cat")
    """
    _check(make_trial(component, concept=concept, pictures=pictures))


def check_architecture(component: Architecture, *, pixels: Tensor | None = None) -> None:
    """ContractError unless the architecture keeps its contract.

    `build(K)` gives features [N, D], outputs [N, K] and a linear layer called `head`; members run together as each
    does alone, with and without the head's weights; a population of it can be stored, for which its plugin has to be
    installed. pixels: normalised, float32 [N, 3, S, S].

        check_architecture(CNN(filters=(2, 3), size=16))
    """
    _check(make_trial(component, pixels=pixels))


def check_component(component: Component, **inputs: Any) -> None:
    """ContractError unless the component keeps the contract of its kind; `inputs` as the function of that kind takes.

    for component in (Blend(), Bands(), Precision()):
        check_component(component)
    """
    functions[component.kind](component, **inputs)


functions: Mapping[str, Callable[..., None]] = {
    Architecture.kind: check_architecture,
    Assembler.kind: check_assembler,
    Criterion.kind: check_criterion,
    Evaluator.kind: check_evaluator,
    ImageSource.kind: check_images,
    KernelExtractor.kind: check_extractor,
    ModelSource.kind: check_models,
    Translator.kind: check_translator,
}


def _check(trial: Trial) -> None:
    for check in CHECKS[trial.component.kind]:
        check(trial)
