"""Networks in the order and at the scale of a reference compute what they computed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch

from composer import Architecture, KernelSet, Population, Run, Translator, aligned
from composer.bodies.alignment import canonical, scalable
from composer.recipes.recipe_reader import read_data
from composer.registry import load_registry
from composer.running.plan import make_plan
from composer_cifar_resnet import CifarResNet
from composer_study import Untouched
from tiny import ARCHITECTURE, tiny_images, tiny_kernels, tiny_population

PICTURES = tiny_images()


def disguised(population: Population) -> Population:
    """The same networks with their units in other places and at other scales."""
    couplings = population.architecture.couplings()
    factors = torch.tensor([0.5, 3.0])
    weights = dict(population.weights)
    weights["conv1.weight"] = weights["conv1.weight"] * factors[None, :, None, None, None]
    weights["conv1.bias"] = weights["conv1.bias"] * factors
    weights["conv2.weight"] = weights["conv2.weight"] / factors[None, None, :, None, None]
    moved = [
        couplings.permuted(
            {name: tensor[member] for name, tensor in weights.items()},
            couplings.random_orders(torch.Generator().manual_seed(member)),
        )
        for member in range(len(population))
    ]
    return replace(population, weights={name: torch.stack([own[name] for own in moved]) for name in weights}, _memo={})


def test_an_aligned_member_computes_what_it_computed() -> None:
    population, reference = tiny_population("black"), tiny_population("cat", seed=1)
    changed = aligned(population, reference, ARCHITECTURE)
    assert not torch.equal(changed.weights["conv2.weight"], population.weights["conv2.weight"])
    torch.testing.assert_close(changed.logits(PICTURES), population.logits(PICTURES), rtol=1e-4, atol=1e-5)


def test_networks_that_compute_the_same_get_the_same_numbers() -> None:
    population, reference = tiny_population("black"), tiny_population("cat", seed=1)
    there, back = (aligned(own, reference, ARCHITECTURE) for own in (population, disguised(population)))
    for name, tensor in there.weights.items():
        torch.testing.assert_close(back.weights[name], tensor, rtol=1e-4, atol=1e-5)


def test_the_reference_itself_only_changes_its_scale_and_its_weights_get_smaller() -> None:
    population = tiny_population("black")
    changed = aligned(disguised(population), disguised(population), ARCHITECTURE)
    incoming = changed.weights["conv1.weight"][0].flatten(1).norm(dim=1)
    outgoing = changed.weights["conv2.weight"][0].transpose(0, 1).flatten(1).norm(dim=1)
    torch.testing.assert_close(incoming, outgoing, rtol=1e-4, atol=0)
    before, after = (
        sum(float(t[0].square().sum()) for n, t in p.weights.items() if n.endswith("weight"))
        for p in (disguised(population), changed)
    )
    assert after < before


def test_kernels_alone_are_aligned_by_themselves_and_stay_a_kernel_set() -> None:
    population, reference = tiny_population("black"), tiny_kernels("cat", seed=1)
    there, back = (aligned(kernels_of(own), reference, ARCHITECTURE) for own in (population, disguised(population)))
    assert isinstance(there, KernelSet)
    assert there.members == population.members
    assert not torch.equal(there.layers["conv1"], population.weights["conv1.weight"])
    for layer, kernels in there.layers.items():
        torch.testing.assert_close(back.layers[layer], kernels, rtol=1e-4, atol=1e-5)


def kernels_of(population: Population) -> KernelSet:
    layers = {layer: population.weights[f"{layer}.weight"] for layer in ("conv1", "conv2")}
    return KernelSet(population.concept, layers, population.members)


def test_a_unit_without_weights_stays() -> None:
    weights = {name: tensor[0].clone() for name, tensor in tiny_population().weights.items()}
    weights["conv1.weight"][1] = 0
    couplings = ARCHITECTURE.couplings()
    moved = canonical(weights, couplings, scalable(ARCHITECTURE))
    assert all(tensor.isfinite().all() for tensor in moved.values())
    assert float(moved["conv1.weight"][1].abs().sum()) == 0


@pytest.mark.parametrize(
    ("architecture", "groups"), [(ARCHITECTURE, ("conv1", "conv2")), (CifarResNet(depth=20, filters=2, size=16), ())]
)
def test_units_are_scaled_only_where_nothing_normalises_them(
    architecture: Architecture, groups: tuple[str, ...]
) -> None:
    assert scalable(architecture) == groups


def test_aligned_parents_reach_translator_and_assembler_of_the_compositions_that_ask_for_them() -> None:
    data = {
        "name": "both",
        "concepts": ["black", "cat"],
        "images": {"use": "drawings", "size": 16, "train": 40, "test": 40},
        "models": {"use": "train", "members": 2, "architecture": {"use": "cnn", "filters": [2, 3], "size": 16}},
        "compositions": {
            "plain": {"translator": "mean", "assembler": "transplant"},
            "ordered": {"translator": {"use": "mean", "align": True}, "assembler": "transplant"},
            "taught": {"translator": {"use": "taught", "steps": 1}, "assembler": "transplant"},
        },
        "controls": [],
        "evaluators": ["recognition"],
    }
    arms = {arm.composition.name: arm for arm in make_plan(read_data(data, "test", load_registry())).arms}
    for name, wanted in (("plain", "population"), ("ordered", "aligned"), ("taught", "aligned")):
        kernels = arms[name].kernels
        assert kernels is not None
        parents = arms[name].model.inputs[1:]
        assert [step.name for step in parents] == [f"{wanted}.black", f"{wanted}.cat"]
        assert [step.inputs[0] for step in kernels.inputs] == [*parents]
        assert kernels.parents == (parents if name == "taught" else ())
    first = arms["plain"].model.inputs[1]
    assert [step.inputs[1] for step in arms["ordered"].model.inputs[1:]] == [first, first], "one reference for both"


def test_parents_of_two_architectures_cannot_be_aligned() -> None:
    assert Untouched(align=True).terms.architecture == "one"
    assert Slerp(align=True).terms.architecture == "one"
    assert Slerp().terms.architecture == "any"


class Slerp(Translator):
    """Nothing but a contract."""

    name = "slerp"

    def translate(self, parents: Sequence[KernelSet], run: Run) -> KernelSet:
        return parents[0]
