"""The architecture `vit`, alone and with many members stacked."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from composer import stack
from composer_vit import ViT
from composer_vit.network import Network
from composer_vit.stacking import PICTURES_AT_ONCE

SMALL = ViT(width=12, layers=2, heads=3, size=16)


def networks(members: int) -> list[nn.Module]:
    """Networks none of whose numbers is that of a start: norms and biases too."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        built = [SMALL.build(outputs=2) for _ in range(members)]
        for network in built:
            for parameter in network.parameters():
                parameter.data.add_(torch.randn_like(parameter), alpha=0.2)
    return built


def pixels(pictures: int) -> Tensor:
    return torch.randn(pictures, 3, 16, 16, generator=torch.Generator().manual_seed(3))


@pytest.mark.parametrize("members", [1, 3])
@pytest.mark.parametrize("pictures", [2, PICTURES_AT_ONCE + 3])
def test_stacked_members_have_the_features_and_gradients_of_each_alone(members: int, pictures: int) -> None:
    each = networks(members)
    weights = {name: tensor.detach().clone().requires_grad_() for name, tensor in stacked(each).items()}
    found = SMALL.stacked_features(weights, pixels(pictures), training=True)
    alone = torch.stack([network.features(pixels(pictures)) for network in each])  # type: ignore[operator]
    assert found.shape == (members, pictures, 12)
    torch.testing.assert_close(found, alone, rtol=1e-5, atol=1e-5)
    torch.autograd.backward([found.square().mean(), alone.square().mean()])
    for index, network in enumerate(each):
        for name, parameter in network.named_parameters():
            if not name.startswith("head."):
                gradient = weights[name].grad
                assert gradient is not None
                torch.testing.assert_close(gradient[index], parameter.grad, rtol=1e-4, atol=1e-6)


def stacked(each: list[nn.Module]) -> dict[str, Tensor]:
    return stack([network.state_dict() for network in each])


def test_a_block_is_the_usual_transformer_s() -> None:
    (network,) = networks(1)
    assert isinstance(network, Network)
    block = network.blocks[0]
    usual = nn.TransformerEncoderLayer(12, 3, 48, 0.0, "gelu", batch_first=True, norm_first=True)
    own = {name: tensor.detach() for name, tensor in block.state_dict().items()}
    renamed = {
        "attn.qkv.": "self_attn.in_proj_",
        "attn.proj.": "self_attn.out_proj.",
        "fc1": "linear1",
        "fc2": "linear2",
    }
    for old, new in renamed.items():
        own = {name.replace(old, new): tensor for name, tensor in own.items()}
    usual.load_state_dict(own)
    tokens = torch.randn(2, 16, 12)
    torch.testing.assert_close(block(tokens), usual(tokens), rtol=1e-5, atol=1e-5)


def test_patches_are_seen_with_their_places() -> None:
    (network,) = networks(1)
    turned = pixels(2).flip(-1)
    assert not torch.allclose(network(pixels(2)), network(turned), atol=1e-3)
    with torch.no_grad():
        network.get_parameter("positions").zero_()
        swapped = pixels(2).view(2, 3, 16, 4, 4).flip(-2).flatten(-2)  # whole patches change places
        torch.testing.assert_close(network(pixels(2)), network(swapped), rtol=1e-4, atol=1e-5)


def test_the_usual_one_has_six_layers_and_patches_of_four_pixels() -> None:
    usual = ViT()
    assert (usual.patch, usual.layers, usual.size, usual.tokens) == (4, 6, 32, 64)
    assert ViT(size=30).tokens == 49, "pixels that fill no patch are a problem, and none is counted"


@pytest.mark.parametrize("network", [SMALL, ViT(), ViT(patch=2, width=6, layers=1, heads=2, size=8)])
def test_the_footprint_is_that_of_the_network(network: ViT) -> None:
    found = network.footprint()
    assert found.parameters == sum(tensor.numel() for tensor in network.build(2).parameters())
    assert found.features == network.width


def test_a_patch_or_heads_that_do_not_divide_are_problems() -> None:
    assert dict(ViT(patch=5, heads=3).problems([])).keys() == {"patch", "heads"}
    assert not list(ViT(patch=8, heads=8).problems([]))


def test_units_can_change_places_so_that_networks_can_be_aligned() -> None:
    groups = SMALL.couplings().groups
    assert {name: len(group) for name, group in groups.items()} == {
        "patches": 12,
        "blocks.0.attn.qkv": 3,
        "blocks.0.fc1": 48,
        "blocks.1.attn.qkv": 3,
        "blocks.1.fc1": 48,
    }
