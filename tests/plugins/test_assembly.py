"""The assemblers `transplant`, `product` and `refit`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.linear_model import Ridge
from torch import nn

from composer import ComposerError, Images, KernelSet, Population, Preprocessing, Run, headed
from composer_assembly import Product, Refit, Transplant
from composer_cifar_resnet import CifarResNet
from composer_cnn import CNN
from composer_kernels import Convolutions
from tiny import ARCHITECTURE, product_of_experts, tiny_images, tiny_kernels, tiny_population, training_images

IMAGES = tiny_images()


def sure(population: Population) -> Population:
    """The same networks with log-odds 50 times as large: some are beyond what `refit` teaches."""
    return replace(
        population,
        weights={name: tensor * (50 if "fc1" in name else 1) for name, tensor in population.weights.items()},
    )


BLACK, CAT = sure(tiny_population("black", members=3)), sure(tiny_population("cat", members=3, seed=1))
KERNELS = tiny_kernels("black+cat", members=2, seed=2)
PICTURES = (training_images("black"), training_images("cat", seed=2))


def transplanted(kernels: KernelSet = KERNELS) -> Population:
    (part,) = Transplant(recalibrate=False).assemble(kernels, [BLACK, CAT], Run()).parts
    return part


def test_transplanted_networks_have_the_kernels_no_biases_and_no_head() -> None:
    model = Transplant(recalibrate=False).assemble(KERNELS, [BLACK, CAT], Run())
    (part,) = model.parts
    assert set(part.weights) == {"conv1.weight", "conv1.bias", "conv2.weight", "conv2.bias"}
    assert torch.equal(part.weights["conv2.weight"], KERNELS.layers["conv2"])
    assert not part.weights["conv1.bias"].any()
    assert part.concept == "black+cat"
    assert model.members == KERNELS.members
    assert not model.has_log_odds


def test_transplanted_features_are_those_of_the_network_itself() -> None:
    network = ARCHITECTURE.build(1)
    state = {name: tensor[1] for name, tensor in transplanted().weights.items()}
    network.load_state_dict(state, strict=False)
    with torch.no_grad():
        expected = network.features(Preprocessing(size=16)(IMAGES.at(16)))  # type: ignore[operator]  # untyped by nn.Module
    torch.testing.assert_close(transplanted().features(IMAGES)[1], expected)


def test_kernels_for_only_some_layers_are_refused_with_the_names_of_the_others() -> None:
    some = replace(KERNELS, layers={"conv1": KERNELS.layers["conv1"]})
    with pytest.raises(ComposerError, match=r"has 2 parameters besides .*conv2.weight, conv2.bias"):
        transplanted(some)


def test_kernels_for_a_layer_that_is_not_there_are_refused() -> None:
    more = replace(KERNELS, layers={**KERNELS.layers, "conv3": KERNELS.layers["conv1"]})
    with pytest.raises(ComposerError, match="'cnn' has no layers 'conv3'"):
        transplanted(more)


def test_kernels_of_another_shape_are_refused() -> None:
    wide = replace(KERNELS, layers={**KERNELS.layers, "conv1": KERNELS.layers["conv1"][..., :3]})
    with pytest.raises(ComposerError, match=r"\[2, 3, 5, 3\] do not fit 'conv1.weight', which is \[2, 3, 5, 5\]"):
        transplanted(wide)


def test_parents_that_prepare_their_pictures_differently_cannot_become_one_network() -> None:
    other = replace(CAT, preprocessing=Preprocessing(size=16, mean=(0.4, 0.4, 0.4)))
    with pytest.raises(ComposerError, match="'black' and 'cat' prepare their pictures differently"):
        Transplant(recalibrate=False).assemble(KERNELS, [BLACK, other], Run())


def test_a_product_multiplies_the_probabilities_of_members_in_pairs() -> None:
    model = Product().assemble(None, [BLACK, CAT], Run())
    expected = product_of_experts(torch.stack([BLACK.log_odds(IMAGES), CAT.log_odds(IMAGES)]))
    assert torch.equal(model.log_odds(IMAGES), expected)
    assert model.members == ("black 0 x cat 0", "black 1 x cat 1", "black 2 x cat 2")
    assert model.parts == (BLACK, CAT)


def test_a_parent_of_one_member_serves_all() -> None:
    run = Run()
    model = Product().assemble(None, [BLACK, CAT.select([0])], run)
    assert model.members == ("black 0 x cat 0", "black 1 x cat 0", "black 2 x cat 0")
    assert model.log_odds(IMAGES).shape == (3, len(IMAGES))
    assert not run.warnings


def test_members_without_a_partner_are_left_out_and_the_report_says_so() -> None:
    run = Run()
    model = Product().assemble(None, [BLACK, CAT.select([0, 1]), tiny_population("small", members=1)], run)
    assert model.members == ("black 0 x cat 0 x small 0", "black 1 x cat 1 x small 0")
    assert "1 of the larger populations had no partner" in run.warnings[0]


def test_parents_of_different_architectures_make_a_product() -> None:
    wide = tiny_population("cat", architecture=CNN(filters=(3, 4), size=24))
    assert Product().assemble(None, [BLACK, wide], Run()).log_odds(IMAGES).shape == (3, len(IMAGES))


def test_a_product_with_a_parent_without_head_is_refused() -> None:
    with pytest.raises(ComposerError, match=r"'black\+cat' has no head"):
        Product().assemble(None, [transplanted(), CAT], Run())


def refitted(ridge: float | None = None, kernels: KernelSet = KERNELS) -> Population:
    (part,) = Refit(ridge=ridge, recalibrate=False).assemble(kernels, [BLACK, CAT], Run(pictures=PICTURES)).parts
    return part


def taught(images: Images) -> torch.Tensor:
    """The clipped mean log-odds of both parents [N, 2]."""
    return torch.stack([parent.log_odds(images).mean(0) for parent in (BLACK, CAT)], dim=1).clamp(-4, 4)


def test_a_refitted_head_is_scikit_learns_ridge_for_each_concept_and_multiplies_their_probabilities() -> None:
    strength = 0.05
    unclipped = torch.cat([CAT.log_odds(images).mean(0).abs() for images in PICTURES])
    assert unclipped.min() < 4 < unclipped.max(), "the limit should matter"
    features = torch.cat([transplanted().features(images) for images in PICTURES], dim=1).double().numpy()
    targets = torch.cat([taught(images) for images in PICTURES]).double().numpy()
    for member, own in enumerate(features):
        unit = np.square(own - own.mean(0)).sum() / own.shape[1]
        ridge = Ridge(alpha=strength * unit).fit(own, targets)
        test = transplanted().features(IMAGES)[member].double().numpy()
        expected = product_of_experts(torch.from_numpy(ridge.predict(test).T))
        torch.testing.assert_close(refitted(strength).log_odds(IMAGES)[member], expected, rtol=1e-4, atol=1e-4)


def test_cross_validation_chooses_the_strength_that_leaves_the_least_error_out() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(60, 12)) * np.linspace(0.01, 3, 12)
    target = features @ rng.normal(size=(12, 1)) + 8 * rng.normal(size=(60, 1))
    centred, aim = features - features.mean(0), target - target.mean(0)
    unit = np.square(centred).sum() / 12
    from composer.bodies.heads import STRENGTHS, _fit, _Moments

    def error(strength: float) -> float:
        hat = centred @ np.linalg.solve(centred.T @ centred + strength * unit * np.eye(12), centred.T)
        return float(60 * np.square(aim - hat @ aim).sum() / (60 - 1 - np.trace(hat)) ** 2)

    best = min(STRENGTHS, key=error)
    assert STRENGTHS[0] < best < STRENGTHS[-1], "the data should need some ridge"
    tensor = torch.from_numpy
    moments = _Moments(
        60,
        tensor(features.mean(0))[None, None],
        tensor(target.mean(0))[None],
        tensor(centred.T @ centred)[None],
        tensor(centred.T @ aim)[None],
        tensor(np.square(aim).sum(0)),
    )
    chosen, given = _fit(moments, None), _fit(moments, best)
    assert torch.equal(chosen[0], given[0])
    assert torch.equal(chosen[1], given[1])


def test_a_refitted_model_is_one_network_whose_outputs_are_the_cells() -> None:
    network = refitted()
    assert network.weights["fc1.weight"].shape == (2, 4, ARCHITECTURE.feature_count)
    assert network.weights["fc1.bias"].shape == (2, 4)
    assert network.outputs == (0,)
    probability = network.logits(IMAGES).softmax(-1)
    black, cat = probability[..., [0, 1]].sum(-1), probability[..., [0, 2]].sum(-1)  # cells: both, black, cat, none
    torch.testing.assert_close(probability[..., 0], black * cat)


def test_three_concepts_have_eight_cells() -> None:
    small = tiny_population("small", seed=3)
    pictures = (*PICTURES, training_images("cat", seed=4))
    (network,) = Refit().assemble(KERNELS, [small, BLACK, CAT], Run(pictures=pictures)).parts
    assert network.weights["fc1.bias"].shape == (2, 8)
    assert network.log_odds(IMAGES).isfinite().all()


def test_a_refitted_network_learns_what_its_features_can_tell() -> None:
    kernels = tiny_kernels("black+cat", members=1, seed=2)
    images = training_images("black", count=200)
    teacher = transplanted(kernels)
    slope = torch.randn((1, 1, ARCHITECTURE.feature_count), generator=torch.Generator().manual_seed(0))
    slope *= 3 / (teacher.features(images) @ slope.mT).abs().max()  # log-odds of 3 at most, which are not clipped
    head = {"fc1.weight": torch.cat([slope, torch.zeros_like(slope)], dim=1), "fc1.bias": torch.zeros(1, 2)}
    know = replace(teacher, weights={**teacher.weights, **head}, outputs=(0,))
    parents = [replace(know, concept=concept, _memo={}) for concept in ("black", "cat")]
    (network,) = Refit(ridge=1e-9, recalibrate=False).assemble(kernels, parents, Run(pictures=(images, images))).parts
    expected = product_of_experts(torch.stack([know.log_odds(IMAGES)] * 2))
    torch.testing.assert_close(network.log_odds(IMAGES), expected, rtol=0.01, atol=0.01)


def test_dead_features_give_the_mean_log_odds_and_nothing_that_is_not_finite() -> None:
    dead = replace(KERNELS, layers={layer: torch.zeros_like(k) for layer, k in KERNELS.layers.items()})
    network = refitted(kernels=dead)
    mean = torch.cat([taught(images) for images in PICTURES]).mean(0)
    expected = product_of_experts(mean.double()).expand(2, len(IMAGES))
    torch.testing.assert_close(network.log_odds(IMAGES), expected, rtol=1e-4, atol=1e-4)


def test_members_and_pictures_in_chunks_give_what_they_give_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = refitted().weights["fc1.weight"]
    monkeypatch.setattr("composer.bodies.heads.MEMBERS_AT_ONCE", 1)
    monkeypatch.setattr("composer.bodies.heads.PICTURES_AT_ONCE", 7)
    torch.testing.assert_close(refitted().weights["fc1.weight"], whole, rtol=1e-3, atol=1e-5)


def test_refitting_twice_gives_the_same_bytes_and_leaves_its_inputs_alone() -> None:
    before = {name: tensor.clone() for name, tensor in BLACK.weights.items()}
    first, second = refitted(), refitted()
    assert all(torch.equal(first.weights[name], second.weights[name]) for name in first.weights)
    assert all(torch.equal(before[name], tensor) for name, tensor in BLACK.weights.items())


def test_refitting_without_pictures_is_refused() -> None:
    with pytest.raises(ComposerError, match="needs the parents' training pictures"):
        Refit(recalibrate=False).assemble(KERNELS, [BLACK, CAT], Run())


def test_refitting_to_a_parent_without_head_is_refused() -> None:
    with pytest.raises(ComposerError, match="has no head"):
        Refit().assemble(KERNELS, [transplanted(), CAT], Run(pictures=PICTURES))


RESIDUAL = CifarResNet(depth=20, filters=2, size=16)


def normed(concept: str, seed: int, members: int = 3) -> Population:
    """Untrained residual networks whose norms and running statistics are not those of fresh ones."""
    generator = torch.Generator().manual_seed(seed)
    made = tiny_population(concept, members, seed, RESIDUAL)
    moved = {
        name: tensor + 0.2 * torch.rand(tensor.shape, generator=generator) if tensor.is_floating_point() else tensor
        for name, tensor in made.weights.items()
        if not name.endswith("num_batches_tracked")
    }
    return replace(made, weights=moved)


NORMED = [normed("black", 0), normed("cat", 1, members=2)]
NORMED_KERNELS = replace(Convolutions().extract(normed("cat", 7), Run()), concept="black+cat")


def renormed(run: Run | None = None, **options: Any) -> Population:
    assembler = Transplant.model_validate(options)
    (part,) = assembler.assemble(NORMED_KERNELS, NORMED, run or Run(pictures=PICTURES)).parts
    return part


def test_without_saying_where_norms_come_from_they_are_refused() -> None:
    with pytest.raises(ComposerError, match=r"bn1\.weight.*`rest: object` takes them from the object's networks"):
        renormed()


def test_the_rest_of_a_body_comes_from_the_object_member_by_member() -> None:
    body = renormed(rest="object", recalibrate=False)
    assert not RESIDUAL.misfit(body.weights, head=False)
    assert torch.equal(body.weights["conv1.weight"], NORMED_KERNELS.layers["conv1"])
    for name in ("bn1.weight", "bn1.running_var", "layer3.2.bn2.bias"):
        assert torch.equal(body.weights[name], NORMED[1].weights[name][[0, 1, 0]]), name


def test_the_rest_of_a_body_can_be_the_mean_over_the_parents() -> None:
    body = renormed(rest="mean", recalibrate=False)
    expected = (NORMED[0].weights["bn1.running_mean"] + NORMED[1].weights["bn1.running_mean"][[0, 1, 0]]) / 2
    torch.testing.assert_close(body.weights["bn1.running_mean"], expected)


def test_biases_too_come_from_where_the_rest_comes_from() -> None:
    (body,) = Transplant(rest="object", recalibrate=False).assemble(KERNELS, [BLACK, CAT], Run()).parts
    assert torch.equal(body.weights["conv1.bias"], CAT.weights["conv1.bias"][:2])


def test_kernels_of_some_layers_are_enough_where_the_object_gives_the_others() -> None:
    some = replace(KERNELS, layers={"conv1": KERNELS.layers["conv1"]})
    (body,) = Transplant(rest="object", recalibrate=False).assemble(some, [BLACK, CAT], Run()).parts
    assert torch.equal(body.weights["conv1.weight"], KERNELS.layers["conv1"])
    assert torch.equal(body.weights["conv2.weight"], CAT.weights["conv2.weight"][:2])


def test_a_transplanted_network_with_batch_norm_is_the_network_itself() -> None:
    body = renormed(rest="object", recalibrate=False)
    for member in range(3):
        network = RESIDUAL.build(1).eval()
        network.load_state_dict({name: tensor[member] for name, tensor in body.weights.items()}, strict=False)
        with torch.no_grad():
            alone = network.features(body.preprocessing(IMAGES.at(16)))  # type: ignore[operator]  # untyped
        torch.testing.assert_close(body.features(IMAGES)[member], alone, rtol=1e-5, atol=1e-5)


def test_recalibrated_running_statistics_are_those_of_the_parents_pictures() -> None:
    body = renormed(rest="object", recalibrate=True)
    pixels = body.preprocessing(torch.cat([images.at(16) for images in PICTURES]))
    for member in range(3):
        network = RESIDUAL.build(1).train()
        network.load_state_dict({name: tensor[member] for name, tensor in body.weights.items()}, strict=False)
        for norm in (module for module in network.modules() if isinstance(module, nn.BatchNorm2d)):
            norm.momentum = 1
        with torch.no_grad():
            network.features(pixels)  # type: ignore[operator]  # untyped by nn.Module
        for name, tensor in network.state_dict().items():
            if "running" in name:
                torch.testing.assert_close(body.weights[name][member], tensor, rtol=1e-4, atol=1e-5)
    kept = renormed(rest="object", recalibrate=False)
    changed = {name for name in kept.weights if not torch.equal(kept.weights[name], body.weights[name])}
    assert changed == {name for name in kept.weights if "running" in name}


def test_recalibrated_biases_leave_each_channel_active_on_half_of_what_it_sees() -> None:
    (body,) = Transplant(recalibrate=True).assemble(KERNELS, [BLACK, CAT], Run(pictures=PICTURES)).parts
    pixels = body.preprocessing(torch.cat([images.at(16) for images in PICTURES]))
    assert torch.equal(body.weights["conv2.weight"], KERNELS.layers["conv2"])
    for member in range(2):
        network = ARCHITECTURE.build(1)
        network.load_state_dict({name: tensor[member] for name, tensor in body.weights.items()}, strict=False)
        with torch.no_grad():
            first = network.conv1(pixels)  # type: ignore[operator]  # untyped by nn.Module
            second = network.conv2(nn.functional.max_pool2d(first, 2).relu())  # type: ignore[operator]
        for output in (first, second):
            active = (output > 0).float().mean((0, 2, 3))
            torch.testing.assert_close(active, torch.full_like(active, 0.5), rtol=0, atol=0.01)


def test_recalibration_revives_dead_networks() -> None:
    """Kernels without a positive weight give nothing above zero where no pixel is below it and biases are zero."""
    dead = replace(KERNELS, layers={layer: -k.abs() for layer, k in KERNELS.layers.items()})
    parents = [replace(each, preprocessing=Preprocessing(16, (0, 0, 0), (1, 1, 1))) for each in (BLACK, CAT)]
    (body,) = Transplant(recalibrate=False).assemble(dead, parents, Run()).parts
    assert not body.features(IMAGES).any()
    (alive,) = Transplant(recalibrate=True).assemble(dead, parents, Run(pictures=PICTURES)).parts
    assert alive.features(IMAGES).std(1).amin(-1).min() > 0.01


def test_recalibrating_without_pictures_is_refused() -> None:
    with pytest.raises(ComposerError, match="recalibrated on the parents' training pictures, and there are none"):
        Transplant(recalibrate=True).assemble(KERNELS, [BLACK, CAT], Run())


def test_pictures_are_asked_for_only_where_networks_are_recalibrated() -> None:
    assert Transplant(recalibrate=False).terms.pictures == "none"
    assert Transplant().terms.pictures == "unlabelled"
    assert Refit().terms.kernels_alone
    assert not Refit(rest="mean").terms.kernels_alone


def test_a_network_with_batch_norm_is_refitted() -> None:
    (network,) = Refit(rest="mean", recalibrate=True).assemble(NORMED_KERNELS, NORMED, Run(pictures=PICTURES)).parts
    assert not RESIDUAL.misfit(network.weights)
    assert network.weights["linear.weight"].shape == (3, 4, 8)
    assert network.log_odds(IMAGES).isfinite().all()


def test_any_body_gets_a_head_of_its_own() -> None:
    body = replace(BLACK, outputs=())
    network = headed(body, [BLACK, CAT], Run(pictures=PICTURES), ridge=0.05)
    assert torch.equal(network.weights["conv1.weight"], BLACK.weights["conv1.weight"])
    assert network.weights["fc1.bias"].shape == (3, 4)
    assert network.cells == ("black", "cat")
