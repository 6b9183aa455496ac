"""Residual networks for CIFAR: the network, and published checkpoints of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from composer import ComposerError, Images, Population, Run, stack
from composer_cifar_resnet import CLASSES, CifarResNet, PretrainedCifarResNet
from composer_cifar_resnet.network import Block

PUBLISHED = {20: ("resnet20-12fca82f.th", 91.6), 32: ("resnet32-d509ac18.th", 92.8), 44: ("resnet44-014dd654.th", 93.4)}
PUBLISHED[56] = ("resnet56-4bfd9763.th", 92.7)


def trained_network(architecture: CifarResNet, seed: int = 0, outputs: int = 10) -> nn.Module:
    """A network whose running statistics are not those of a fresh one."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = architecture.build(outputs)
        with torch.no_grad():
            network.train()(torch.rand(8, 3, 16, 16))
    return network.eval()


def tensors(network: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in network.state_dict().items()}


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    """A file as DataParallel and the usual training script leave it."""
    state = tensors(trained_network(CifarResNet(depth=20)))
    file = tmp_path / "resnet20.th"
    torch.save({"state_dict": {f"module.{name}": value for name, value in state.items()}, "best_prec1": 91.2}, file)
    return file


@pytest.mark.parametrize(
    ("depth", "parameters"), [(20, 269_722), (32, 464_154), (44, 658_586), (56, 853_018), (110, 1_727_962)]
)
def test_the_network_has_as_many_parameters_as_the_paper_says(depth: int, parameters: int) -> None:
    with torch.device("meta"):
        network = CifarResNet.model_validate({"depth": depth}).build(10)
    assert sum(parameter.numel() for parameter in network.parameters()) == parameters


def test_a_shortcut_takes_every_second_pixel_and_fills_new_channels_with_zeros() -> None:
    block = Block(2, 4, stride=2).eval()
    nn.init.zeros_(block.bn2.weight)  # nothing but the shortcut is left
    pixels = torch.rand(1, 2, 6, 6)
    with torch.no_grad():
        shortcut = block(pixels)
    assert torch.equal(shortcut[:, 1:3], pixels[:, :, ::2, ::2])
    assert shortcut[:, [0, 3]].abs().sum() == 0


def test_stacked_members_give_the_features_that_each_network_gives_alone() -> None:
    architecture = CifarResNet(depth=20, filters=4, size=16)
    networks = [trained_network(architecture, seed) for seed in (1, 2)]
    pixels = torch.rand(5, 3, 16, 16)
    with torch.no_grad():
        stacked = architecture.stacked_features(stack([tensors(network) for network in networks]), pixels)
        alone = torch.stack([network.features(pixels) for network in networks])  # type: ignore[operator]
        logits = networks[0](pixels)
        by_hand = networks[0].linear(alone[0])  # type: ignore[operator]
    assert stacked.shape == (2, 5, 16)
    torch.testing.assert_close(stacked, alone)
    torch.testing.assert_close(logits, by_hand)


@pytest.mark.parametrize(("filters", "members"), [(4, 2), (4, 5), (20, 2)])  # one group, two groups, alone
def test_in_training_mode_too_each_member_is_the_network_alone(filters: int, members: int) -> None:
    architecture = CifarResNet(depth=20, filters=filters, size=16)
    networks = [trained_network(architecture, seed).train() for seed in range(members)]
    weights = stack([tensors(network) for network in networks])
    pixels = torch.rand(5, 3, 16, 16)
    with torch.no_grad():
        stacked = architecture.stacked_features(weights, pixels, training=True)
        alone = torch.stack([network.features(pixels) for network in networks])  # type: ignore[operator]
    torch.testing.assert_close(stacked, alone, rtol=1e-5, atol=1e-5)
    for member, network in enumerate(networks):
        for name, value in network.state_dict().items():
            torch.testing.assert_close(weights[name][member], value, rtol=1e-5, atol=1e-5)


def test_stacked_gradients_are_those_of_each_network_alone() -> None:
    """In float64: through twenty layers of ReLU, float32 turns on what lies within rounding of zero."""
    architecture = CifarResNet(depth=20, filters=4, size=16)
    networks = [trained_network(architecture, seed).train().double() for seed in (1, 2)]
    names = [name for name, _ in networks[0].named_parameters() if not name.startswith("linear.")]
    weights = {
        name: tensor.requires_grad_(name in names) for name, tensor in stack(list(map(tensors, networks))).items()
    }
    pixels = torch.rand(5, 3, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(3))
    torch.autograd.backward(architecture.stacked_features(weights, pixels, training=True).square().mean())
    for network in networks:
        torch.autograd.backward(network.features(pixels).square().mean() / 2)  # type: ignore[operator]
    for member, network in enumerate(networks):
        for name in names:
            gradient = weights[name].grad
            assert gradient is not None
            torch.testing.assert_close(gradient[member], network.get_parameter(name).grad, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("architecture", [CifarResNet(depth=20), CifarResNet(depth=32, filters=5, size=17)])
def test_the_footprint_is_that_of_the_network(architecture: CifarResNet) -> None:
    network = architecture.build(2)
    found = architecture.footprint()
    assert found.parameters == sum(tensor.numel() for tensor in network.parameters())
    assert found.features == network.get_parameter("linear.weight").shape[1]


def test_a_published_checkpoint_becomes_a_population_of_one(checkpoint: Path) -> None:
    population = PretrainedCifarResNet(depth=20, weights=checkpoint).load("cat", Run())
    network = trained_network(CifarResNet(depth=20))
    pixels = torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8)
    images = Images(["a", "b", "c", "d"], {"cat": [True, False, True, False]}, pixels)
    with torch.no_grad():
        wanted = network(population.preprocessing(pixels))
    assert len(population) == 1
    assert population.members == ("cifar_resnet20",)
    torch.testing.assert_close(population.logits(images)[0], wanted)


@pytest.mark.parametrize(
    ("concept", "outputs"),
    [("cat", (3,)), ("truck", (9,)), ("car", (1,)), ("vehicle", (0, 1, 8, 9)), ("black", ())],
)
def test_the_concept_s_own_name_says_which_outputs_mean_it(
    checkpoint: Path, concept: str, outputs: tuple[int, ...]
) -> None:
    assert PretrainedCifarResNet(depth=20, weights=checkpoint).load(concept, Run()).outputs == outputs


def test_a_checkpoint_of_another_depth_is_refused_with_what_does_not_fit(checkpoint: Path) -> None:
    with pytest.raises(ComposerError, match=r"resnet20\.th.*missing: layer1\.3\.conv1\.weight"):
        PretrainedCifarResNet(depth=32, weights=checkpoint).load("cat", Run())


def test_a_missing_file_is_a_problem_before_any_work(tmp_path: Path) -> None:
    source = PretrainedCifarResNet(depth=20, weights=tmp_path / "none.th")
    assert [option for option, _ in source.problems(("cat",))] == ["weights"]
    assert "none.th" in next(message for _, message in source.problems(("cat",)))


def test_names_of_the_outputs_are_known_without_reading_the_file(tmp_path: Path) -> None:
    source = PretrainedCifarResNet(depth=20, weights=tmp_path / "none.th")
    assert source.class_names() == CLASSES
    assert source.network == CifarResNet(depth=20)


@pytest.mark.parametrize("depth", [20, *(pytest.param(depth, marks=pytest.mark.slow) for depth in (32, 44, 56))])
def test_the_published_accuracy_is_reproduced_on_lossless_pictures(shared: Path, depth: int) -> None:
    file, accuracy = PUBLISHED[depth]
    folder = shared / "cifar10"
    if not (folder / file).is_file():
        pytest.skip(f"no real data: {folder / file} is absent")
    with np.load(folder / "cifar10_lossless_part.npz") as data:
        pixels, classes = torch.from_numpy(data["x_test"]).permute(0, 3, 1, 2).contiguous(), data["y_test"]
        assert tuple(data["classes"].tolist()) == CLASSES
    images = Images([str(index) for index in range(len(pixels))], {"cat": classes == 3}, pixels)
    source = PretrainedCifarResNet.model_validate({"depth": depth, "weights": folder / file})
    population: Population = source.load("cat", Run())
    right = population.logits(images)[0].argmax(-1).numpy() == classes
    assert round(100 * right.mean(), 1) == accuracy
