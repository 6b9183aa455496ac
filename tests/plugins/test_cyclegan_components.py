"""What the translator `cyclegan` does beyond the study's: spectral norm, principal components, failures named."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from composer import ComposerError, KernelSet, Run
from composer_cyclegan import CycleGAN
from composer_cyclegan.components import Space, _pair
from composer_cyclegan.networks import Discriminator, Generator, fresh, normalised
from composer_cyclegan.sharing import groups_of, joined, parted
from composer_cyclegan.training import Training
from composer_cyclegan.translation import exchange
from tiny import tiny_kernels

BLACK, CAT = tiny_kernels("black", members=3, seed=0), tiny_kernels("cat", members=5, seed=1)
QUICK = CycleGAN(epochs=2, hidden=4, batch=2)


def some_kernels(seed: int = 0, shift: float = 0.0) -> Tensor:
    """[M, 3, 2, 5, 5], as a network sees them."""
    return torch.randn((6, 3, 2, 5, 5), generator=torch.Generator().manual_seed(seed)) * 0.2 + shift


def largest_singular_values(judge: Discriminator) -> list[float]:
    return [
        float(torch.linalg.matrix_norm(module.weight.detach().flatten(1), 2))
        for module in judge.modules()
        if isinstance(module, nn.Conv3d)
    ]


def test_spectral_norm_holds_the_discriminators_convolutions_at_one_while_they_learn() -> None:
    a, b = some_kernels(), some_kernels(seed=1, shift=0.3)
    state = torch.random.get_rng_state()
    norms = {}
    for normed in (True, False):
        training = Training(a, b, CycleGAN(hidden=4, learning_rate=0.05, spectral_norm=normed), 0, "cpu")
        for _ in range(20):
            training.epoch()
        norms[normed] = largest_singular_values(training.judge_a) + largest_singular_values(training.judge_b)
    assert norms[True] == pytest.approx([1.0] * 4, rel=0.05)
    assert max(norms[False]) > 1.2
    assert torch.equal(state, torch.random.get_rng_state())


def test_without_spectral_norm_networks_start_as_the_studys_do() -> None:
    training = Training(some_kernels(), some_kernels(seed=1), CycleGAN(hidden=4), 5, "cpu")
    random = torch.Generator().manual_seed(5)
    for network, kind in zip(
        ("to_a", "to_b", "judge_a", "judge_b"), [Generator] * 2 + [Discriminator] * 2, strict=True
    ):
        same = fresh(kind, 3, 4, random)
        for mine, other in zip(getattr(training, network).parameters(), same.parameters(), strict=True):
            assert torch.equal(mine, other), network
    assert torch.equal(training.random.get_state(), random.get_state())


def test_the_first_vectors_of_spectral_norm_come_of_the_seed() -> None:
    made = []
    for seed, elsewhere in ((0, 1), (0, 2), (1, 1)):
        random = torch.Generator().manual_seed(seed)
        judge = fresh(Discriminator, 3, 4, torch.Generator().manual_seed(0))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(elsewhere)
            made.append(normalised(judge, random).state_dict())
    first, same, other = made
    assert all(torch.equal(tensor, same[name]) for name, tensor in first.items())
    assert not all(torch.equal(tensor, other[name]) for name, tensor in first.items())


def test_a_populations_components_hold_all_that_its_members_are() -> None:
    space = Space.of(CAT, rank=4)
    back = space.kernels(space.places(CAT.layers))
    for layer, kernels in CAT.layers.items():
        torch.testing.assert_close(back[layer], kernels, rtol=1e-4, atol=1e-5)
    places = space.places(CAT.layers)[:, 0, :, 0, 0]
    torch.testing.assert_close(places.std(0), torch.ones(4))
    flipped = replace(CAT, layers={layer: 2 * kernels.mean(0) - kernels for layer, kernels in CAT.layers.items()})
    torch.testing.assert_close(Space.of(flipped, rank=4).axes.abs(), space.axes.abs())
    assert bool((space.axes.gather(1, space.axes.abs().argmax(1, keepdim=True)) > 0).all()), "no axis is turned round"


def test_in_the_space_of_components_kernels_move_to_the_other_population() -> None:
    black, cat = (
        replace(kernels, layers={layer: own + shift for layer, own in kernels.layers.items()})
        for kernels, shift in ((BLACK, 2.0), (CAT, -2.0))
    )
    run = Run()
    result = CycleGAN(epochs=3, hidden=4, space="pca", spectral_norm=True).translate([black, cat], run)
    assert result.members == (*(f"cat {i} A" for i in range(5)), *(f"black {i} B" for i in range(3)))
    assert {layer: kernels.shape[1:] for layer, kernels in result.layers.items()} == {
        layer: kernels.shape[1:] for layer, kernels in CAT.layers.items()
    }
    for kernels in result.layers.values():
        assert float(kernels[:5].mean()) == pytest.approx(2, abs=0.2), "the object's members, drawn as the attribute's"
        assert float(kernels[5:].mean()) == pytest.approx(-2, abs=0.2)
    assert set(run.figures) == {"losses components"}


def test_the_identity_loss_shows_a_generator_its_own_domain_in_the_others_coordinates() -> None:
    options = CycleGAN(hidden=4, batch=3, space="pca", identity_weight=1)
    cat = tiny_kernels("cat", members=3, seed=1)
    space, own = Space.of(BLACK, rank=2), Space.of(cat, rank=2)
    training = _pair(options, BLACK, cat, space, own, 0, Run()).training
    with torch.no_grad():
        made_a = training.to_a(exchange(own.places(BLACK.layers)))
        made_b = training.to_b(exchange(space.places(cat.layers)))
    expected = F.l1_loss(made_a, exchange(space.places(BLACK.layers)))
    expected = expected + F.l1_loss(made_b, exchange(own.places(cat.layers)))
    assert training.epoch()["identity"] == pytest.approx(float(expected), rel=1e-5)


def test_of_three_concepts_the_object_goes_on_from_space_to_space() -> None:
    small = tiny_kernels("small", members=2, seed=2)
    along = {layer: kernels[0] - kernels.mean(0) for layer, kernels in CAT.layers.items()}
    far = replace(small, layers={layer: kernels + 20 * along[layer] for layer, kernels in small.layers.items()})
    run = Run()
    options = QUICK.model_copy(update={"space": "pca"})
    result, other = (options.translate([first, BLACK, CAT], run).layers["conv1"] for first in (small, far))
    assert set(run.figures) == {"losses components small", "losses components black"}
    mean = BLACK.layers["conv1"].mean(0)
    gap = float((CAT.layers["conv1"] - mean).norm())
    assert float((result[:5] - mean).norm()) < gap / 2, "it ends in the last attribute's space"
    assert not torch.allclose(result[:5], other[:5], atol=0.01), "it came by way of the first's"
    torch.testing.assert_close(result[-3:], other[-3:])


def test_layers_go_by_their_names_whatever_their_order() -> None:
    options = QUICK.model_copy(update={"space": "pca", "identity_weight": 5.0})
    turned = replace(CAT, layers={layer: CAT.layers[layer] for layer in ("conv2", "conv1")})
    first, second = (options.translate([BLACK, cat], Run()) for cat in (CAT, turned))
    assert all(torch.equal(first.layers[layer], second.layers[layer]) for layer in ("conv1", "conv2"))


def test_a_population_of_one_has_no_components() -> None:
    with pytest.raises(ComposerError, match="'black' has one member, which has no principal components"):
        CycleGAN(space="pca").translate([tiny_kernels("black", 1), CAT], Run())


@pytest.mark.parametrize("space", ["kernels", "pca"])
def test_a_collapse_to_one_network_and_dead_layers_are_named(space: str) -> None:
    same = replace(CAT, layers={layer: kernels[:1].repeat(5, 1, 1, 1, 1) for layer, kernels in CAT.layers.items()})
    quick = CycleGAN.model_validate({"epochs": 1, "hidden": 4, "space": space})
    run = Run()
    quick.translate([same, same], run)
    assert any("cyclegan: it collapsed: all 10 networks are the same" in said for said in run.warnings) == (
        space == "pca"
    )

    nothing = replace(CAT, layers={**CAT.layers, "conv1": torch.zeros_like(CAT.layers["conv1"])})
    run = Run()
    quick.translate([nothing, nothing], run)
    assert any("cyclegan: 10 of 10 networks are dead" in said for said in run.warnings) == (space == "pca")


# -- shared generators -------------------------------------------------------------------------


def deep(concept: str, members: int, seed: int) -> KernelSet:
    """Three layers, of which the first and the last have one shape."""
    first, second = (tiny_kernels(concept, members, seed=seed + step).layers for step in (0, 10))
    layers = {"one": first["conv1"], "two": first["conv2"], "three": second["conv1"]}
    return KernelSet(concept, layers, tuple(f"{concept} {member}" for member in range(members)))


def test_layers_of_one_shape_share_a_pair_of_generators() -> None:
    parents = [deep("black", 2, 0), deep("cat", 3, 1)]
    run = Run()
    made = QUICK.model_copy(update={"share": True}).translate(parents, run)
    assert list(made.layers) == ["one", "two", "three"]
    assert {name for name in run.figures if name.startswith("losses")} == {"losses one, three", "losses two"}
    alone = QUICK.translate(parents, Run())
    assert made.members == alone.members
    assert not torch.equal(made.layers["three"], alone.layers["three"])


def test_kernels_in_shared_generators_come_back_to_their_layer_and_member() -> None:
    kernels = {"black": deep("black", 2, 0), "cat": deep("cat", 3, 1)}
    group = groups_of(kernels["cat"], share=True)[0]
    assert group == ("one", "three")
    both = torch.cat([next(iter(joined(own, group).layers.values())) for own in kernels.values()])
    for layer, found in parted(both, group, [2, 3]).items():
        assert torch.equal(found, torch.cat([own.layers[layer] for own in kernels.values()])), layer
    assert joined(kernels["black"], group).members[2] == "black 0, three"


def test_between_components_there_is_nothing_to_share() -> None:
    options = CycleGAN(space="pca", share=True)
    assert [option for option, _ in options.problems(("black", "cat"))] == ["share"]
    with pytest.raises(ComposerError, match="cyclegan: share: with `space: pca` all layers"):
        options.translate([BLACK, CAT], Run())
