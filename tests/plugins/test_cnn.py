"""The architecture `cnn`, alone and with many members stacked."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from composer_cnn import CNN
from composer_cnn.network import MEMBERS_AT_ONCE, PICTURES_AT_ONCE, Network
from tiny import ARCHITECTURE, tiny_population


def pixels(pictures: int, size: int = 16) -> Tensor:
    return torch.randn(pictures, 3, size, size, generator=torch.Generator().manual_seed(3))


def member(weights: dict[str, Tensor], index: int) -> nn.Module:
    network = ARCHITECTURE.build(outputs=2)
    network.load_state_dict({name: tensor[index] for name, tensor in weights.items()})
    return network


def test_the_default_is_the_studys_network() -> None:
    shapes = {name: list(tensor.shape) for name, tensor in CNN().build(outputs=2).state_dict().items()}
    assert shapes == {
        "conv1.weight": [6, 3, 5, 5],
        "conv1.bias": [6],
        "conv2.weight": [16, 6, 5, 5],
        "conv2.bias": [16],
        "fc1.weight": [2, 400],
        "fc1.bias": [2],
    }


def test_features_are_convolution_relu_and_pooling_twice() -> None:
    network = ARCHITECTURE.build(outputs=2)
    assert isinstance(network, Network)
    plain = nn.Sequential(network.conv1, nn.ReLU(), nn.MaxPool2d(2), network.conv2, nn.ReLU(), nn.MaxPool2d(2))
    with torch.no_grad():
        torch.testing.assert_close(network.features(pixels(4)), plain(pixels(4)).flatten(1))
        torch.testing.assert_close(network(pixels(4)), network.fc1(plain(pixels(4)).flatten(1)))


@pytest.mark.parametrize("members", [1, MEMBERS_AT_ONCE, MEMBERS_AT_ONCE + 3])
@pytest.mark.parametrize("pictures", [1, PICTURES_AT_ONCE + 5])
def test_stacked_members_have_the_features_of_each_alone(members: int, pictures: int) -> None:
    weights = dict(tiny_population(members=members).weights)
    stacked = ARCHITECTURE.stacked_features(weights, pixels(pictures))
    assert stacked.shape == (members, pictures, ARCHITECTURE.feature_count)
    with torch.no_grad():
        for index in range(members):
            alone = member(weights, index).features(pixels(pictures))  # type: ignore[operator]
            torch.testing.assert_close(stacked[index], alone, rtol=1e-4, atol=1e-5)


def test_stacked_gradients_are_those_of_each_alone() -> None:
    weights = {name: tensor.requires_grad_() for name, tensor in tiny_population(members=3).weights.items()}
    torch.autograd.backward(ARCHITECTURE.stacked_features(weights, pixels(5)).square().sum())
    for index in range(3):
        network = member({name: tensor.detach() for name, tensor in weights.items()}, index)
        torch.autograd.backward(network.features(pixels(5)).square().sum())  # type: ignore[operator]
        for name, parameter in network.named_parameters():
            if not name.startswith(ARCHITECTURE.head):
                gradient = weights[name].grad
                assert gradient is not None
                torch.testing.assert_close(gradient[index], parameter.grad, rtol=1e-4, atol=1e-4)


def test_stacked_features_need_no_head() -> None:
    weights = dict(tiny_population().weights)
    body = {name: tensor for name, tensor in weights.items() if not name.startswith("fc1.")}
    assert torch.equal(
        ARCHITECTURE.stacked_features(body, pixels(2)), ARCHITECTURE.stacked_features(weights, pixels(2))
    )


def test_pictures_too_small_for_the_kernels_are_a_problem() -> None:
    assert dict(CNN(size=12, kernel_size=5).problems([])).keys() == {"size"}
    assert not list(CNN(size=16, kernel_size=5).problems([]))
    assert CNN(size=16, kernel_size=5).build(outputs=2)(pixels(1)).shape == (1, 2)


@pytest.mark.parametrize("filters", [(0, 3), (6, -1), (10**9, 16)])
def test_filters_out_of_bounds_make_no_architecture(filters: tuple[int, int]) -> None:
    with pytest.raises(ValidationError, match="filters"):
        CNN(filters=filters)
