"""Which axes of a network's tensors move together: derived by tracing, and proved."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models.densenet import DenseNet
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet
from torchvision.models.shufflenetv2 import ShuffleNetV2
from torchvision.models.swin_transformer import SwinTransformer
from torchvision.models.vgg import VGG, make_layers
from torchvision.models.vision_transformer import VisionTransformer

from composer import Architecture, ComposerError
from composer.networks.couplings import Couplings, couplings_of_network
from composer_cifar_resnet import CifarResNet
from composer_cnn import CNN
from composer_torchvision import Torchvision

CIFAR = CifarResNet(depth=20, filters=4, size=16)


def vgg() -> nn.Module:
    """Convolutions, and a flattening of 7x7 pixels before three linear layers."""
    network: nn.Module = VGG(make_layers([8, "M", 12, "M"], batch_norm=True), num_classes=3)
    network.classifier = nn.Sequential(nn.Linear(12 * 49, 10), nn.ReLU(), nn.Dropout(), nn.Linear(10, 3))
    return network


def of(build: Callable[[], nn.Module], size: int = 32) -> Couplings:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return couplings_of_network(build().eval(), size)


def units(couplings: Couplings) -> dict[str, int]:
    return {name: len(group) for name, group in couplings.groups.items()}


@pytest.mark.parametrize(
    ("build", "size", "groups", "count"),
    [
        (lambda: ResNet(BasicBlock, [1, 1, 1, 1], num_classes=3), 32, 8, 1920),
        (lambda: ResNet(Bottleneck, [1, 1, 1, 1], num_classes=3, groups=4, width_per_group=4), 32, 9, 3920),
        (lambda: MobileNetV2(num_classes=3, width_mult=0.25), 32, 24, 3288),
        (vgg, 32, 3, 30),
        (lambda: DenseNet(4, (2, 2), 8, bn_size=2, num_classes=3), 32, 10, 64),
        (lambda: VisionTransformer(32, 16, 2, 4, 16, 24, num_classes=3), 32, 5, 16 + 2 * (4 + 24)),
        (lambda: SwinTransformer([4, 4], 12, [2], [3], [4, 4], num_classes=3), 32, 5, 12 + 2 * (3 + 48)),
        (lambda: ShuffleNetV2([1, 1, 1], [4, 8, 16, 32, 64], num_classes=3), 32, None, None),
    ],
    ids=["resnet", "resnext", "mobilenet", "vgg", "densenet", "vit", "swin", "shufflenet"],
)
def test_kinds_of_networks_are_followed_and_proved(
    build: Callable[[], nn.Module], size: int, groups: int | None, count: int | None
) -> None:
    found = units(of(build, size))
    if groups is None:
        assert found
    else:
        assert (len(found), sum(found.values())) == (groups, count), found


@pytest.mark.slow
@pytest.mark.parametrize(
    "model",
    ["resnet18", "mobilenet_v2", "vgg11_bn", "resnext50_32x4d", "densenet121", "vit_b_16", "convnext_tiny"],
)
def test_networks_of_torchvision_are_followed_and_proved(model: str) -> None:
    couplings = Torchvision(model=model, size=32).couplings()
    assert len(couplings.groups) > 5


def test_the_studys_network_has_two_groups_and_flattens_blocks_of_pixels() -> None:
    couplings = CNN(filters=(2, 3), size=16).couplings()
    assert units(couplings) == {"conv1": 2, "conv2": 3}
    (flattened,) = [side for side in couplings.groups["conv2"].sides if side.tensor == "fc1.weight"]
    assert flattened.axis == 1
    assert flattened.places.tolist() == [[0], [1], [2]]
    wide = CNN(filters=(2, 3), size=20).couplings()
    (flattened,) = [side for side in wide.groups["conv2"].sides if side.tensor == "fc1.weight"]
    assert flattened.places.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]


def test_shortcuts_without_weights_couple_stages_of_different_width() -> None:
    couplings = CIFAR.couplings()
    assert units(couplings)["conv1"] == 4
    sides = {(side.tensor, side.axis): side.places.flatten().tolist() for side in couplings.groups["conv1"].sides}
    assert sides["conv1.weight", 0] == [0, 1, 2, 3]
    assert sides["layer2.0.conv2.weight", 0] == [2, 3, 4, 5]
    assert sides["layer3.0.bn2.running_var", 0] == [6, 7, 8, 9]
    assert sides["linear.weight", 1] == [6, 7, 8, 9]


def test_permuted_weights_give_the_same_outputs_in_float32_too() -> None:
    torch.manual_seed(0)
    network = CIFAR.build(3).eval()
    couplings = CIFAR.couplings()
    orders = couplings.random_orders(torch.Generator().manual_seed(1))
    moved = couplings.permuted(network.state_dict(), orders)
    assert not torch.equal(moved["conv1.weight"], network.state_dict()["conv1.weight"])
    pixels = torch.randn(4, 3, 16, 16)
    with torch.no_grad():
        wanted = network(pixels)
        network.load_state_dict(moved)
        torch.testing.assert_close(network(pixels), wanted)


def test_a_permutation_and_its_inverse_give_the_weights_again() -> None:
    torch.manual_seed(0)
    weights = CIFAR.build(3).state_dict()
    couplings = CIFAR.couplings()
    orders = couplings.random_orders(torch.Generator().manual_seed(2))
    back = {name: order.argsort() for name, order in orders.items()}
    again = couplings.permuted(couplings.permuted(weights, orders), back)
    assert all(torch.equal(again[name], tensor) for name, tensor in weights.items())


def test_in_a_random_order_no_unit_stays_where_it_was() -> None:
    for seed in range(20):
        for order in CIFAR.couplings().random_orders(torch.Generator().manual_seed(seed)).values():
            assert sorted(order.tolist()) == list(range(len(order)))
            assert bool((order != torch.arange(len(order))).all())


def test_units_of_grouped_convolutions_are_blocks() -> None:
    def build() -> nn.Module:
        grouped = nn.Conv2d(6, 9, 3, groups=3)
        return nn.Sequential(nn.Conv2d(3, 6, 1), grouped, nn.ReLU(), nn.Flatten(), nn.Linear(9 * 36, 2))

    group = of(build, 8).groups["0"]
    places = {(side.tensor, side.axis): side.places.tolist() for side in group.sides}
    assert places["0.weight", 0] == [[0, 1], [2, 3], [4, 5]]
    assert places["1.weight", 0] == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert ("1.weight", 1) not in places


def test_units_move_inside_of_the_groups_of_a_group_norm_only() -> None:
    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 6, 3), nn.GroupNorm(2, 6), nn.ReLU(), nn.Conv2d(6, 2, 6), nn.Flatten())

    assert units(of(build, 8)) == {"0": 3, "0/2": 3}


def test_what_multiplies_units_by_different_constants_lets_none_move() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(3, 4, 8)
            self.head = nn.Linear(4, 2)

        def forward(self, pixels: Tensor) -> Tensor:
            outputs: Tensor = self.head(self.conv(pixels).flatten(1) * torch.arange(4).to(pixels))
            return outputs

    assert units(of(Scaled, 8)) == {}


def test_a_network_that_cannot_be_followed_is_refused_by_module() -> None:
    class Sorted(nn.Module):
        def forward(self, values: Tensor) -> Tensor:
            return values.sort(1).values

    def build() -> nn.Module:
        return nn.Sequential(nn.Conv2d(3, 4, 8), nn.Flatten(), nn.Sequential(Sorted()), nn.Linear(4, 2))

    with pytest.raises(ComposerError, match=r"module '2\.0': the operation 'sort' cannot be followed"):
        of(build, 8)


def test_couplings_that_do_not_hold_are_refused_by_module() -> None:
    class Rolled(nn.Module):
        """Takes its weights by another way in the proof than it did when it was followed."""

        def __init__(self) -> None:
            super().__init__()
            self.inner = nn.Linear(4, 5)
            self.head = nn.Linear(5, 2)
            self.calls = 0

        def forward(self, pixels: Tensor) -> Tensor:
            self.calls += 1
            hidden = F.relu(self.inner(pixels.mean(-1).repeat(1, 2)[:, :4]))
            outputs: Tensor = self.head(hidden.roll(1, 1) if self.calls == 3 else hidden)
            return outputs

    class Whole(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.part = Rolled()

        def forward(self, pixels: Tensor) -> Tensor:
            outputs: Tensor = self.part(pixels.mean(-1))
            return outputs

    with pytest.raises(ComposerError, match=r"module 'part\.inner': the outputs change when its units change places"):
        of(Whole, 8)


def test_a_dead_network_proves_nothing() -> None:
    class Dead(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(3, 4)
            self.head = nn.Linear(4, 2)

        def forward(self, pixels: Tensor) -> Tensor:
            outputs: Tensor = self.head(self.hidden(pixels.mean((2, 3)) * 0))
            return outputs

    with pytest.raises(ComposerError, match="do not depend on the picture"):
        of(Dead, 8)


def test_what_is_done_to_colours_only_can_be_anything() -> None:
    class Unfollowed(Architecture):
        """Sorts."""

        name = "unfollowed"
        head = "head"
        size: int = 8

        def build(self, outputs: int) -> nn.Module:
            class Network(nn.Module):
                def __init__(self) -> None:
                    super().__init__()
                    self.head = nn.Linear(3, outputs)

                def forward(self, pixels: Tensor) -> Tensor:
                    logits: Tensor = self.head(torch.cumsum(pixels.mean((2, 3)), 1))
                    return logits

            return Network()

    couplings = Unfollowed().couplings()  # nothing but colours is summed up: nothing can move, and nothing is wrong
    assert couplings.groups == {}


def test_deriving_couplings_leaves_the_random_state_and_the_hooks_of_nobody() -> None:
    torch.manual_seed(5)
    before = torch.get_rng_state()
    CNN(filters=(2, 4), size=16).couplings()
    assert torch.equal(torch.get_rng_state(), before)
