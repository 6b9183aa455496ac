"""The assemblers `zipit`, `pleas`, `channel_choice` and `optimal_transport`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor, nn

from composer import Architecture, Assembler, ComposerError, Images, Population, Run
from composer_cifar_resnet import CifarResNet
from composer_cnn import CNN
from composer_efficientnet_lite import EfficientNetLite
from composer_merging import ChannelChoice, OptimalTransport, Pleas, Zipit
from composer_merging.choice import chosen
from composer_merging.mixtures import Mixer
from composer_merging.pleas import partly_matched
from composer_merging.transport import carried
from composer_merging.zipit import zipped
from tiny import permuted, tiny_images, tiny_population, trained_like, training_images

IMAGES = tiny_images()
PICTURES = (training_images("black"), training_images("cat", seed=2))
PLAIN = CNN(filters=(4, 5), size=16)
RESIDUAL = CifarResNet(depth=20, filters=4, size=8)
WAYS: Sequence[type[Assembler]] = (Zipit, Pleas, ChannelChoice, OptimalTransport)
WITH_WIDTH = WAYS[:3]
REFITTING = (Pleas, ChannelChoice)

every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
every_width = pytest.mark.parametrize("way", WITH_WIDTH, ids=lambda way: way.name)
every_network = pytest.mark.parametrize("architecture", [PLAIN, RESIDUAL], ids=lambda network: network.name)


def one(architecture: Architecture, concept: str = "black", seed: int = 0) -> Population:
    return trained_like(architecture, concept, members=1, seed=seed)


def merged(
    way: type[Assembler], *parents: Population, shown: tuple[Images, ...] = PICTURES, **options: Any
) -> Population:
    settings = {"head": "mean", "recalibrate": False, "pictures": 24, **options}
    (part,) = way.model_validate(settings).assemble(None, parents, Run(seed=3, pictures=shown)).parts
    return part


@every_network
@every_way
def test_a_network_merged_with_itself_or_a_permuted_copy_is_that_network(
    way: type[Assembler], architecture: Architecture
) -> None:
    parent = one(architecture)
    for other in (parent, permuted(parent)):
        found = merged(way, parent, other, pictures=512)
        torch.testing.assert_close(found.logits(PICTURES[0]), parent.logits(PICTURES[0]), rtol=0, atol=1e-5)
        if way is not ChannelChoice:  # which may keep a unit of the copy, at its place there
            for name, tensor in parent.weights.items():
                torch.testing.assert_close(found.weights[name], tensor, rtol=0, atol=1e-5, msg=name)


@every_network
@every_way
def test_the_order_in_which_units_come_changes_nothing(way: type[Assembler], architecture: Architecture) -> None:
    first, second = one(architecture), one(architecture, seed=1)
    wanted = merged(way, first, second).logits(IMAGES)
    for parents in ((first, permuted(second)), (permuted(first), second)):
        torch.testing.assert_close(merged(way, *parents).logits(IMAGES), wanted, rtol=0, atol=1e-4)


@every_network
@every_width
def test_at_twice_the_width_both_networks_are_kept_side_by_side(
    way: type[Assembler], architecture: Architecture
) -> None:
    first, second = one(architecture), one(architecture, seed=1)
    found = merged(way, first, second, width=2)
    assert found.architecture == architecture.scaled(2)
    wanted = torch.cat([first.features(IMAGES), second.features(IMAGES)], -1)
    ours, theirs = (each.sort(-1).values for each in (found.features(IMAGES), wanted))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=1e-4)
    both = (first.logits(IMAGES) + second.logits(IMAGES)) / 2
    torch.testing.assert_close(found.logits(IMAGES), both, rtol=0, atol=1e-4)


@every_width
def test_between_one_and_two_times_the_width_some_units_are_kept_apart(way: type[Assembler]) -> None:
    parents = [one(PLAIN), one(PLAIN, "cat", seed=1)]
    found = merged(way, *parents, width=1.5, head=None)
    assert found.architecture == CNN(filters=(6, 8), size=16)
    assert found.cells == ("black", "cat")
    assert found.parameters == sum(tensor[0].numel() for tensor in found.weights.values())
    both = (parents[0].logits(IMAGES) + one(PLAIN, seed=1).logits(IMAGES)) / 2

    def far(width: float) -> float:
        wide = merged(way, parents[0], one(PLAIN, seed=1), width=width)
        return float((wide.logits(IMAGES) - both).square().mean())

    assert far(1.5) < far(1), "a wider network is nearer to both"


@pytest.mark.parametrize("way", REFITTING, ids=lambda way: way.name)
@every_network
def test_layers_are_fitted_to_what_both_parents_layers_give(way: type[Assembler], architecture: Architecture) -> None:
    first, second = one(architecture), one(architecture, seed=1)
    wanted = (first.logits(PICTURES[0]) + second.logits(PICTURES[0])) / 2
    far = [
        float((merged(way, first, second, pictures=512, ridge=ridge).logits(PICTURES[0]) - wanted).square().mean())
        for ridge in (1e-3, 1e3)
    ]
    assert far[0] < 0.5 * far[1], "with a huge ridge the weights stay as they were mixed"


@every_way
def test_no_label_is_asked_for_and_the_same_seed_gives_the_same_bytes(way: type[Assembler]) -> None:
    parents = [one(RESIDUAL), one(RESIDUAL, "cat", seed=1)]
    bare = tuple(Images(images.names, {}, images.at(16)) for images in PICTURES)
    seeing, blind = (merged(way, *parents, shown=shown, head=None, recalibrate=None) for shown in (PICTURES, bare))
    assert all(torch.equal(tensor, seeing.weights[name]) for name, tensor in blind.weights.items())


@every_way
def test_running_statistics_are_estimated_anew_where_there_are_any(way: type[Assembler]) -> None:
    parents = [one(RESIDUAL), one(RESIDUAL, seed=1)]
    found = merged(way, *parents, recalibrate=True)
    plain = merged(way, *parents)
    assert not torch.equal(found.weights["layer3.2.bn2.running_var"], plain.weights["layer3.2.bn2.running_var"])
    assert bool((found.weights["layer3.2.bn2.running_var"] > 0).all())


def test_three_networks_are_carried_to_the_first() -> None:
    parent = one(PLAIN)
    found = merged(OptimalTransport, parent, permuted(parent, 1), permuted(parent, 2))
    torch.testing.assert_close(found.weights["conv2.weight"], parent.weights["conv2.weight"])


def test_every_member_is_merged_by_itself() -> None:
    first, second = trained_like(PLAIN), trained_like(PLAIN, seed=1)
    both = merged(Pleas, first, second)
    alone = merged(Pleas, first.select([1]), second.select([1]))
    assert both.members == ("black 0 + black 0", "black 1 + black 1")
    torch.testing.assert_close(both.weights["conv2.weight"][1], alone.weights["conv2.weight"][0])


def correlations(*pairs: tuple[int, int, float], units: int = 6) -> Tensor:
    found = torch.eye(units, dtype=torch.float64)
    for first, second, value in pairs:
        found[first, second] = found[second, first] = value
    return found


def clusters(mixture: Any) -> list[list[int]]:
    return [row.nonzero().flatten().tolist() for row in mixture.made]


def test_units_that_correlate_best_are_zipped_first_and_within_a_network_only_as_many_as_allowed() -> None:
    # Units 0 to 2 are the first network's, 3 to 5 the second's.
    seen = correlations((0, 1, 0.9), (0, 4, 0.8), (2, 3, 0.7), (4, 5, 0.2), (1, 5, 0.1))
    assert clusters(zipped(seen, 3, within=0.0, repeat=0.3)) == [[0, 4], [1, 5], [2, 3]]
    assert clusters(zipped(seen, 3, within=1.0, repeat=1.0)) == [[0, 1], [2, 3], [4, 5]], (
        "a zipped unit has the lower correlation of its parts: 0 of unit 1 with 4"
    )
    again = correlations((0, 3, 0.9), (0, 4, 0.8), (3, 4, 0.8), (1, 5, 0.3))
    again[2, 4] = again[4, 2] = 0.1
    assert clusters(zipped(again, 4, within=1.0, repeat=1.0)) == [[0, 3, 4], [1], [2], [5]]
    assert clusters(zipped(again, 4, within=1.0, repeat=0.2)) == [[0, 3], [1, 5], [2], [4]], "0.2 * 0.8 is below 0.3"
    near = correlations((0, 1, 0.9), (0, 2, 0.8), (1, 2, 0.8), (2, 3, 0.3))
    assert clusters(zipped(near, 4, within=1.0, repeat=1.0)) == [[0, 1], [2, 3], [4], [5]], "one within each network"
    last = zipped(seen, 5, within=1.0, repeat=0.3)
    assert clusters(last) == [[0, 4], [1], [2], [3], [5]], "half of what has to go of each network is none"
    assert last.made[0].tolist() == [0.5, 0, 0, 0, 0.5, 0]
    assert last.read[:, 0].tolist() == [1, 0, 0, 0, 1, 0]


def test_pairs_with_the_highest_sum_are_matched_and_the_others_kept_apart() -> None:
    seen = correlations((0, 3, 0.9), (0, 4, 0.8), (1, 3, 0.7), (2, 5, 0.1))
    assert clusters(partly_matched(seen, 4)) == [[0, 4], [1, 3], [2], [5]], "0.8 + 0.7, not 0.9 + 0.1"
    assert clusters(partly_matched(seen, 3)) == [[0, 4], [1, 3], [2, 5]]
    assert clusters(partly_matched(seen, 6)) == [[0], [1], [2], [3], [4], [5]]


def test_the_units_are_kept_out_of_which_the_others_can_be_told() -> None:
    """Of four units the third is the sum of the first two; the last is loud, and nobody listens to it."""
    values = torch.randn(4, 500, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    values[2], values[3] = values[0] + values[1], 100 * values[3]
    covariance = torch.cov(values)
    demand = torch.eye(4, dtype=torch.float64)
    demand[3, 3] = 0
    found = chosen(covariance, demand, 2)
    kept = found.made.argmax(1).tolist()
    assert 3 not in kept
    assert 2 in kept, "it says most about both others"
    assert bool((found.read[kept] == torch.eye(2)).all())
    torch.testing.assert_close(found.read[:3] @ values[kept], values[:3])
    assert chosen(covariance, torch.eye(4, dtype=torch.float64), 1).made.argmax() == 3


def test_units_matter_as_the_next_layers_use_them_and_what_all_outputs_share_does_not() -> None:
    weights = {name: tensor[0] for name, tensor in one(PLAIN).weights.items()}
    mixer = Mixer(PLAIN, PLAIN)
    demand = mixer.demand("conv2", [weights, weights])
    assert demand.shape == (10, 10)
    assert not demand[:5, 5:].any(), "units of two networks never meet in a layer"
    difference = weights["fc1.weight"][0] - weights["fc1.weight"][1]
    torch.testing.assert_close(demand[:5, :5].float(), torch.outer(difference, difference) / 2)
    first = weights["conv2.weight"].movedim(1, 0).flatten(1)
    torch.testing.assert_close(mixer.demand("conv1", [weights])[:4, :4].float(), first @ first.T)


def test_units_are_carried_to_those_whose_answers_are_nearest() -> None:
    answers = torch.tensor([[1.0, 0, 2], [0, 3, 0], [0, 3.1, 0], [1, 0, 2.2]], dtype=torch.float64)
    plan = carried([answers @ answers.T], 2)
    assert plan.made.tolist() == [[0.5, 0, 0, 0.5], [0, 0.5, 0.5, 0]]
    assert plan.read.tolist() == [[1, 0], [0, 1], [0, 1], [1, 0]]


@every_width
def test_widths_that_a_network_cannot_have_are_refused(way: type[Assembler]) -> None:
    parents = [tiny_population("black", 1, seed, EfficientNetLite(size=32)) for seed in (0, 1)]
    with pytest.raises(ComposerError, match=rf"{way.name}: width: 1\.5: architecture 'efficientnet_lite' has no width"):
        merged(way, *parents, width=1.5)


@every_way
def test_a_parent_that_has_diverged_and_missing_pictures_are_named(way: type[Assembler]) -> None:
    broken = one(PLAIN)
    broken.weights["conv2.weight"][0, 0] = float("nan")
    with pytest.raises(ComposerError, match=rf"{way.name}: 'conv2\.weight' of 'black' is not finite"):
        merged(way, one(PLAIN), broken)
    with pytest.raises(ComposerError, match=f"{way.name}: units are watched on the parents' pictures, and there are"):
        merged(way, one(PLAIN), one(PLAIN), shown=())
    with pytest.raises(ComposerError, match="the outputs of 'black' and 'cat' do not mean the same"):
        merged(way, one(PLAIN), one(PLAIN, "cat"))


class Attending(Architecture):
    """Four tokens that attend to each other."""

    name = "attending"
    head: ClassVar[str] = "head"
    size: int = 8

    def build(self, outputs: int) -> nn.Module:
        return AttendingNetwork(outputs)


class AttendingNetwork(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.patch = nn.Conv2d(3, 8, 4, 4)
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.head = nn.Linear(8, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        tokens = self.patch(pixels).flatten(2).mT
        attended: Tensor = self.attention(tokens, tokens, tokens, need_weights=False)[0]
        return attended.mean(1)

    def forward(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.head(self.features(pixels))
        return found


class Bare(Attending):
    """Layers whose weights are parameters of the network itself."""

    name = "bare"

    def build(self, outputs: int) -> nn.Module:
        return BareNetwork(outputs)


class BareNetwork(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(3 * 64, 6)
        self.matrix = nn.Parameter(torch.randn(5, 6))
        self.last = nn.Linear(5, 4)
        self.head = nn.Linear(4, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.last(self.first(pixels.flatten(1)) @ self.matrix.T)
        return found

    def forward(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.head(self.features(pixels))
        return found


@pytest.mark.parametrize(
    ("architecture", "message"),
    [
        (Attending(), "module 'attention': what its units answer to pictures cannot be seen"),
        (Bare(), "module 'at the top': nobody can say which axis of its 'matrix' gives units"),
    ],
    ids=["attention", "matrix"],
)
def test_networks_whose_units_cannot_be_merged_are_refused_by_module(architecture: Architecture, message: str) -> None:
    parents = [tiny_population("black", 1, seed, architecture) for seed in (0, 1)]
    with pytest.raises(ComposerError, match=message):
        merged(Zipit, *parents)


class Odd(Attending):
    """A convolution of its own kind and a depthwise one."""

    name = "odd"

    def build(self, outputs: int) -> nn.Module:
        return OddNetwork(outputs)


class Padding(nn.Conv2d):
    """Pads its input by itself."""

    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(nn.functional.pad(pixels, (1, 1, 1, 1)))


class OddNetwork(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.first = Padding(3, 6, 3)
        self.depthwise = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.last = nn.Conv2d(6, 5, 1)
        self.head = nn.Linear(5, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        hidden: Tensor = self.last(self.depthwise(self.first(pixels).relu()).relu()).relu()
        return hidden.mean((2, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        found: Tensor = self.head(self.features(pixels))
        return found


def test_layers_of_other_kinds_keep_what_was_mixed() -> None:
    first, second = one(Odd()), one(Odd(), seed=1)
    fitted, mixed = (merged(Pleas, first, second, ridge=ridge) for ridge in (1e-3, 1e3))
    for name in ("first", "depthwise"):
        assert torch.equal(fitted.weights[f"{name}.weight"], mixed.weights[f"{name}.weight"])
    assert not torch.equal(fitted.weights["last.weight"], mixed.weights["last.weight"])
    copy = merged(Pleas, first, permuted(first))
    torch.testing.assert_close(copy.weights["depthwise.weight"], first.weights["depthwise.weight"])
