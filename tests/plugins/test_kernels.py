"""The extractor `convolutions`."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from composer import Architecture, ComposerError, KernelSet, Population, Preprocessing, Run, stack
from composer_assembly import Transplant
from composer_kernels import Convolutions, Linear
from composer_vit import ViT
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


class Attentive(Architecture):
    """A convolution, torch's own attention, a linear layer and a norm."""

    name = "attentive"
    head: ClassVar[str] = "head"

    def build(self, outputs: int) -> nn.Module:
        return _Network(_Attention(), 4, outputs)


class _Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.patches = nn.Conv2d(3, 4, 1)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.mlp = nn.Linear(4, 4)

    def forward(self, pixels: Tensor) -> Tensor:
        tokens = self.patches(pixels).flatten(2).mT
        seen, _ = self.attention(tokens, tokens, tokens)
        found: Tensor = self.mlp(seen).mean(1)
        return found


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


# -- linear ----------------------------------------------------------------------------------------


def test_linear_takes_attention_linear_layers_and_convolutions_in_network_order() -> None:
    population = population_of(Attentive())
    kernels = Linear().extract(population, Run())
    assert {layer: tuple(each.shape[1:]) for layer, each in kernels.layers.items()} == {
        "body.patches": (4, 3, 1, 1),
        "body.attention.in_proj": (12, 4, 1, 1),
        "body.attention.out_proj": (4, 4, 1, 1),
        "body.mlp": (4, 4, 1, 1),
    }
    given = population.weights["body.attention.in_proj_weight"]
    assert torch.equal(kernels.layers["body.attention.in_proj"][..., 0, 0], given)
    assert "body.patches" not in Linear(convolutions=False).extract(population, Run()).layers
    assert list(Linear(layers=("body.mlp",)).extract(population, Run()).layers) == ["body.mlp"]


def test_linear_takes_what_convolutions_leaves_out_but_no_grouped_convolution_and_no_head() -> None:
    assert list(Linear().extract(population_of(Separable()), Run()).layers) == ["body.0", "body.3"]
    assert list(Linear().extract(population_of(ViT(width=4, layers=1, heads=1, size=8)), Run()).layers) == [
        "patches",
        "blocks.0.attn.qkv",
        "blocks.0.attn.proj",
        "blocks.0.fc1",
        "blocks.0.fc2",
    ]
    with pytest.raises(ComposerError, match="no kernels to take"):
        Linear().extract(population_of(HeadOnly()), Run())


@pytest.mark.parametrize("architecture", [Attentive(), ViT(width=4, layers=1, heads=1, size=8)])
def test_kernels_of_attention_go_back_where_they_came_from(architecture: Architecture) -> None:
    population = population_of(architecture)
    kernels = Linear().extract(population, Run())
    other = replace(population, weights={name: torch.randn_like(each) for name, each in population.weights.items()})
    (body,) = Transplant(rest="object", recalibrate=False).assemble(kernels, [other], Run()).parts
    for name, tensor in body.weights.items():
        kernel = name.removesuffix(".weight").removesuffix("_weight") in kernels.layers
        assert torch.equal(tensor, (population if kernel else other).weights[name]), name


def test_a_layer_named_twice_is_a_problem_of_linear_too() -> None:
    assert dict(Linear(layers=("a", "a")).problems([])).keys() == {"layers"}
