"""What an architecture knows of itself."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pydantic import Field
from torch import Tensor, nn

from composer import Architecture, ComposerError
from composer.networks.stacking import _built, features_one_by_one
from composer_cifar_resnet import CifarResNet
from tiny import tiny_population

RESIDUAL = CifarResNet(depth=20, filters=2, size=16)
WEIGHTS = tiny_population(architecture=RESIDUAL).weights


BUILT: list[int] = []


class Options(Architecture):
    """Options that have no hash, and no input size."""

    name = "options"
    head = "head"
    widths: list[int] = Field([4])

    def build(self, outputs: int) -> nn.Module:
        BUILT.append(outputs)
        return nn.ModuleDict({"hidden": nn.Linear(3, self.widths[0]), "head": nn.Linear(self.widths[0], outputs)})


def changed(**changes: Tensor | None) -> dict[str, Tensor]:
    """The weights with others under some names (`__` stands for a dot), or without those that are None."""
    replaced: dict[str, Any] = {name.replace("__", "."): tensor for name, tensor in changes.items()}
    return {name: tensor for name, tensor in {**WEIGHTS, **replaced}.items() if tensor is not None}


def test_shapes_are_those_of_parameters_and_buffers_without_counts_of_steps() -> None:
    shapes = RESIDUAL.shapes(5)
    state = RESIDUAL.build(5).state_dict()
    assert shapes == {name: value.shape for name, value in state.items() if "num_batches" not in name}
    assert shapes["bn1.running_var"] == (2,)
    assert shapes["linear.weight"] == (5, 8)


def test_a_network_is_built_once_for_all_who_ask_for_its_shapes() -> None:
    BUILT.clear()
    assert Options(widths=[6]).shapes(2)["head.weight"] == (2, 6)
    assert Options(widths=[6]).blueprint(2) is Options(widths=[6]).blueprint(2)
    assert BUILT == [2]
    assert Options(widths=[7]).shapes(2)["head.weight"] == (2, 7)
    assert BUILT == [2, 2]


def test_a_blueprint_has_no_numbers() -> None:
    assert {tensor.device.type for tensor in RESIDUAL.blueprint().state_dict().values()} == {"meta"}


def test_the_input_size_is_the_option_size_and_an_architecture_without_one_is_named() -> None:
    assert RESIDUAL.input_size == 16
    with pytest.raises(ComposerError, match="architecture 'options' does not say its input size"):
        _ = Options().input_size


def test_weights_that_fit_are_no_misfit_whatever_the_number_of_outputs() -> None:
    assert RESIDUAL.misfit(WEIGHTS) == ""
    more = changed(linear__weight=torch.zeros(3, 10, 8), linear__bias=torch.zeros(3, 10))
    assert RESIDUAL.misfit(more) == ""
    without_counts = {name: tensor for name, tensor in WEIGHTS.items() if "num_batches" not in name}
    assert RESIDUAL.misfit(without_counts) == ""


@pytest.mark.parametrize(
    ("weights", "said"),
    [
        (changed(bn1__running_var=None), "missing: bn1.running_var"),
        (changed(bn1__running_mean=torch.zeros(3, 4)), "'bn1.running_mean' is [4] instead of [2]"),
        (changed(more=torch.zeros(3, 2), conv1__weight=None), "missing: conv1.weight; left over: more"),
        (changed(linear__bias=torch.zeros(3, 5)), "'linear.bias' is [5] instead of [2]"),
        (changed(linear__weight=None, linear__bias=None), "missing: linear.weight, linear.bias"),
    ],
)
def test_a_misfit_is_told_by_name_and_shape_buffers_included(weights: dict[str, Tensor], said: str) -> None:
    assert RESIDUAL.misfit(weights) == said


def test_the_head_can_be_left_out_of_account() -> None:
    assert RESIDUAL.misfit(changed(linear__weight=None, linear__bias=None), head=False) == ""
    assert RESIDUAL.misfit(changed(linear__weight=torch.zeros(3, 2, 9)), head=False) == ""
    assert RESIDUAL.misfit(changed(conv1__weight=None), head=False) == "missing: conv1.weight"


def test_many_faults_are_counted() -> None:
    wrong = {name: torch.zeros(3, 1, 1) for name in WEIGHTS if "conv" in name}
    assert "; 15 more are of another shape" in RESIDUAL.misfit({**WEIGHTS, **wrong})


def test_running_statistics_that_are_not_there_are_not_made_up() -> None:
    with pytest.raises(ValueError, match=r"the weights lack 'bn1\.running_var'"):
        features_one_by_one(RESIDUAL, changed(bn1__running_var=None), torch.zeros(1, 3, 16, 16))


def test_training_leaves_what_is_given_alone_but_for_the_running_statistics() -> None:
    weights = {name: tensor.clone() for name, tensor in WEIGHTS.items()}
    RESIDUAL.stacked_features(weights, torch.rand(4, 3, 16, 16), training=True)
    moved = {name for name in weights if not torch.equal(weights[name], WEIGHTS[name])}
    assert moved == {name for name in weights if name.rpartition(".")[2].startswith(("running_", "num_"))}
    RESIDUAL.stacked_features(again := {n: t.clone() for n, t in weights.items()}, torch.rand(4, 3, 16, 16))
    assert all(torch.equal(again[name], weights[name]) for name in weights)


def test_training_counts_no_steps_in_the_network_that_is_kept() -> None:
    weights = {name: tensor.clone() for name, tensor in WEIGHTS.items() if "num_batches" not in name}
    RESIDUAL.stacked_features(weights, torch.rand(4, 3, 16, 16), training=True)
    kept = {name: buffer for name, buffer in _built(RESIDUAL).named_buffers() if "num_batches" in name}
    assert len(kept) == 19
    assert not any(buffer.any() for buffer in kept.values())
