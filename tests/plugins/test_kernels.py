"""The extractor `convolutions`."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from composer import Architecture, ComposerError, KernelSet, Population, Preprocessing, Run, stack
from composer_kernels import Convolutions
from tiny import tiny_population


class _Network(nn.Module):
    def __init__(self, body: nn.Module, width: int, outputs: int) -> None:
        super().__init__()
        self.body = body
        self.head = nn.Linear(width, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.body(pixels).flatten(1)
        return features

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(pixels))
        return logits


class Separable(Architecture):
    """A convolution, a grouped one, a linear layer."""

    name = "separable"
    head: ClassVar[str] = "head"

    def build(self, outputs: int) -> nn.Module:
        body = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Conv2d(4, 4, 3, groups=4), nn.Flatten(), nn.Linear(16, 5))
        return _Network(body, 5, outputs)


class Perceptron(Architecture):
    """Two linear layers and a head."""

    name = "perceptron"
    head: ClassVar[str] = "head"

    def build(self, outputs: int) -> nn.Module:
        return _Network(nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 4)), 4, outputs)


class HeadOnly(Architecture):
    """Nothing but a head."""

    name = "head_only"
    head: ClassVar[str] = "head"

    def build(self, outputs: int) -> nn.Module:
        return _Network(nn.Flatten(), 12, outputs)


def population_of(architecture: Architecture, members: int = 2) -> Population:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = stack([architecture.build(2).state_dict() for _ in range(members)])
    return Population("cat", architecture, weights, tuple(map(str, range(members))), Preprocessing(size=2))


def extract(population: Population, *layers: str) -> KernelSet:
    return Convolutions(layers=layers or None).extract(population, Run())


def test_all_convolutions_are_taken_in_network_order() -> None:
    population = tiny_population("black", members=3)
    kernels = extract(population)
    assert list(kernels.layers) == ["conv1", "conv2"]
    assert kernels.members == population.members
    assert kernels.concept == "black"
    assert torch.equal(kernels.layers["conv2"], population.weights["conv2.weight"])
    assert kernels.layers["conv1"].shape == (3, 2, 3, 5, 5)


def test_only_the_layers_named_are_taken_in_the_order_named() -> None:
    assert list(extract(tiny_population(), "conv2", "conv1").layers) == ["conv2", "conv1"]


def test_an_unknown_layer_is_refused_with_the_nearest_names() -> None:
    with pytest.raises(ComposerError, match=r"'conv3' is no layer with kernels; nearest: .*'conv2'"):
        extract(tiny_population(), "conv1", "conv3")


def test_grouped_convolutions_and_linear_layers_beside_convolutions_are_left_out() -> None:
    assert list(extract(population_of(Separable())).layers) == ["body.0"]


def test_a_network_without_convolutions_gives_its_linear_layers_but_the_head_as_1x1_kernels() -> None:
    population = population_of(Perceptron())
    kernels = extract(population)
    assert {layer: tuple(k.shape) for layer, k in kernels.layers.items()} == {
        "body.1": (2, 5, 12, 1, 1),
        "body.3": (2, 4, 5, 1, 1),
    }
    assert torch.equal(kernels.layers["body.1"][..., 0, 0], population.weights["body.1.weight"])


def test_a_network_with_nothing_but_a_head_has_no_kernels() -> None:
    with pytest.raises(ComposerError, match="'head_only' has no convolution, and no linear layer below its head"):
        extract(population_of(HeadOnly()))


def test_a_population_that_lacks_a_layers_weights_is_refused() -> None:
    population = tiny_population()
    weights = {name: tensor for name, tensor in population.weights.items() if name != "conv2.weight"}
    with pytest.raises(ComposerError, match=r"'black' has no weights 'conv2.weight'"):
        extract(replace(population, weights=weights))


def test_half_precision_weights_give_float32_kernels() -> None:
    population = tiny_population()
    weights = {name: tensor.half() for name, tensor in population.weights.items()}
    assert extract(replace(population, weights=weights)).layers["conv1"].dtype == torch.float32


def test_a_layer_named_twice_is_a_problem_seen_before_any_work() -> None:
    problems = list(Convolutions(layers=("conv1", "conv1")).problems(["black", "cat"]))
    assert [option for option, _ in problems] == ["layers"]
    assert not list(Convolutions(layers=("conv1", "conv2")).problems(["black", "cat"]))


def test_extracting_leaves_the_global_random_state_alone() -> None:
    population = tiny_population()
    before = torch.random.get_rng_state()
    extract(population)
    assert torch.equal(before, torch.random.get_rng_state())
