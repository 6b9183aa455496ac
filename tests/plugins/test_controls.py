"""The controls: `random`, `shuffled`, `mean` kernels and the `parents` alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from composer import ComposerError, KernelSet, Run, Translator
from composer_controls import Mean, Nearest, Noise, Parents, Random, Shuffled
from composer_controls.kernels import nearest, noise
from composer_translation import Taught
from tiny import tiny_images, tiny_kernels, tiny_population

BLACK, CAT = tiny_kernels("black", members=3, seed=0), tiny_kernels("cat", members=4, seed=1)


def with_scale(concept: str, scales: dict[str, float]) -> KernelSet:
    kernels = tiny_kernels(concept)
    return replace(kernels, layers={layer: kernels.layers[layer] * s + s / 2 for layer, s in scales.items()})


def test_random_kernels_have_each_layers_mean_and_standard_deviation() -> None:
    parents = [with_scale("black", {"conv1": 3.0, "conv2": 0.2}), with_scale("cat", {"conv1": 1.0, "conv2": 0.1})]
    result = Random(members=400).translate(parents, Run(seed=1))
    for layer, kernels in result.layers.items():
        pooled = torch.cat([parent.layers[layer].flatten() for parent in parents])
        assert float(kernels.mean()) == pytest.approx(float(pooled.mean()), rel=0.05)
        assert float(kernels.std()) == pytest.approx(float(pooled.std()), rel=0.05)


def test_there_are_as_many_random_kernels_as_parents_members_together() -> None:
    result = Random().translate([BLACK, CAT], Run())
    assert result.members == tuple(f"random {index}" for index in range(7))
    assert result.layers["conv1"].shape == (7, 2, 3, 5, 5)
    assert len(Random(members=2).translate([BLACK, CAT], Run())) == 2


def test_shuffled_kernels_keep_each_members_weights_in_each_layer() -> None:
    result = Shuffled().translate([BLACK, CAT], Run(seed=1))
    for layer, kernels in result.layers.items():
        originals = torch.cat([BLACK.layers[layer], CAT.layers[layer]])
        assert torch.equal(kernels.flatten(1).sort().values, originals.flatten(1).sort().values)
        stayed = (kernels == originals).double().mean()
        assert stayed < 0.1, "the weights should have moved"
    assert result.members[0] == "black 0 shuffled"
    assert result.members[-1] == "cat 3 shuffled"


def test_members_do_not_share_one_shuffle() -> None:
    same = replace(BLACK, layers={layer: k[:1].expand_as(k) for layer, k in BLACK.layers.items()})
    first, second, _ = Shuffled().translate([same], Run()).layers["conv1"]
    assert not torch.equal(first, second)


def test_shuffled_members_that_are_only_numbered_are_told_apart_by_their_concept() -> None:
    black, cat = replace(BLACK, members=("0", "1", "2")), replace(CAT, members=("0", "1", "2", "3"))
    names = Shuffled().translate([black, cat], Run()).members
    assert names[0] == "black 0 shuffled"
    assert len(set(names)) == 7


def test_the_mean_is_taken_of_members_in_pairs_and_says_who_is_left_out() -> None:
    run = Run()
    result = Mean().translate([BLACK, CAT], run)
    assert result.members == ("black 0 + cat 0", "black 1 + cat 1", "black 2 + cat 2")
    torch.testing.assert_close(result.layers["conv2"][2], (BLACK.layers["conv2"][2] + CAT.layers["conv2"][2]) / 2)
    assert "1 had no partner" in run.warnings[0]


def test_the_mean_of_three_parents_weighs_them_alike() -> None:
    small = tiny_kernels("small", members=3, seed=2)
    result = Mean().translate([small, BLACK, CAT], Run())
    expected = (small.layers["conv1"][1] + BLACK.layers["conv1"][1] + CAT.layers["conv1"][1]) / 3
    torch.testing.assert_close(result.layers["conv1"][1], expected)
    assert result.members[1] == "small 1 + black 1 + cat 1"


@pytest.mark.parametrize("control", [Random(), Shuffled(), Mean()], ids=lambda control: control.name)
def test_kernels_of_different_layers_are_refused(control: Translator) -> None:
    other = replace(CAT, layers={"conv1": CAT.layers["conv1"]})
    with pytest.raises(ComposerError, match="'black' and 'cat' must have the same layers and shapes"):
        control.translate([BLACK, other], Run())


@pytest.mark.parametrize("control", [Random(), Shuffled(), Mean()], ids=lambda control: control.name)
def test_the_same_seed_gives_the_same_kernels_and_inputs_and_global_state_stay(control: Translator) -> None:
    inputs = [tiny_kernels("black"), tiny_kernels("cat", seed=1)]
    before = [k.clone() for parent in inputs for k in parent.layers.values()]
    state = torch.random.get_rng_state()
    first, second = (control.translate(inputs, Run(seed=5)) for _ in range(2))
    assert all(torch.equal(first.layers[layer], second.layers[layer]) for layer in first.layers)
    assert all(torch.equal(a, k) for a, k in zip(before, (k for p in inputs for k in p.layers.values()), strict=True))
    assert torch.equal(state, torch.random.get_rng_state())
    assert first.concept == "black+cat"


@pytest.mark.parametrize("control", [Random(), Shuffled()], ids=lambda control: control.name)
def test_another_seed_gives_other_kernels(control: Translator) -> None:
    first, second = (control.translate([BLACK, CAT], Run(seed=seed)).layers["conv1"] for seed in (1, 2))
    assert not torch.equal(first, second)


def test_a_parent_alone_is_taken_as_it_is() -> None:
    parent, images = tiny_population("cat"), tiny_images()
    model = Parents().assemble(None, [parent], Run())
    assert model.members == parent.members
    assert torch.equal(model.log_odds(images), parent.log_odds(images))
    assert Parents.contract.parents == (1, 1)
    assert not Parents.needs_kernels


def test_the_nearest_member_stands_in_for_what_another_translator_makes() -> None:
    black, cat = tiny_kernels("black"), tiny_kernels("cat", seed=1)
    moved = replace(cat, layers={layer: tensor + 0.01 for layer, tensor in cat.layers.items()})
    found = nearest(moved, [black, cat])
    assert torch.equal(found.layers["conv2"], cat.layers["conv2"])
    assert found.members == tuple(f"nearest to {member}" for member in cat.members)


def test_noise_is_as_long_as_the_change_in_every_layer_and_goes_elsewhere() -> None:
    black, cat = tiny_kernels("black"), tiny_kernels("cat", seed=1)
    made = replace(cat, layers={"conv1": cat.layers["conv1"] + 0.01, "conv2": cat.layers["conv2"] + 0.02})
    found = noise(made, [black, cat], Run(2))
    for layer, tensor in cat.layers.items():
        lengths = [(own.layers[layer] - tensor).flatten(1).norm(dim=1) for own in (found, made)]
        torch.testing.assert_close(*lengths, rtol=1e-4, atol=0)
        assert not torch.allclose(found.layers[layer], made.layers[layer], atol=1e-3)


def test_a_control_around_a_translator_asks_for_what_that_one_needs() -> None:
    inner = Taught()
    for control in (Nearest(like=inner), Noise(like=inner)):
        assert control.terms == inner.terms
        assert control.aligns
    assert not Nearest(like=Mean()).aligns
    made = Nearest(like=Mean()).translate([tiny_kernels("black"), tiny_kernels("cat", seed=1)], Run())
    assert len(made) == 3
