"""The assembler `aligned_mean`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Literal

import pytest
import torch

from composer import Architecture, ComposerError, Population, Preprocessing, Run
from composer_cifar_resnet import CifarResNet
from composer_cnn import CNN
from composer_merging import AlignedMean
from tiny import permuted, tiny_images, trained_like, training_images

IMAGES = tiny_images()
PICTURES = (training_images("black"), training_images("cat", seed=2))
PLAIN = CNN(filters=(4, 5), size=16)
RESIDUAL = CifarResNet(depth=20, filters=4, size=16)
By = Literal["weights", "activations"]


def merged(*parents: Population, **options: Any) -> Population:
    chosen = {"head": "mean", "recalibrate": False, **options}
    (part,) = AlignedMean(**chosen).assemble(None, parents, Run(pictures=PICTURES)).parts
    return part


@pytest.mark.parametrize("architecture", [PLAIN, RESIDUAL], ids=["cnn", "cifar_resnet"])
@pytest.mark.parametrize("by", ["weights", "activations"])
def test_merging_networks_with_permuted_copies_of_themselves_gives_these_networks(
    architecture: Architecture, by: By
) -> None:
    parent = trained_like(architecture)
    for other in (parent, permuted(parent)):
        found = merged(parent, other, by=by)
        for name, tensor in parent.weights.items():
            torch.testing.assert_close(found.weights[name], tensor, rtol=0, atol=1e-5, msg=name)


@pytest.mark.parametrize("architecture", [PLAIN, RESIDUAL], ids=["cnn", "cifar_resnet"])
@pytest.mark.parametrize("by", ["weights", "activations"])
def test_the_order_in_which_units_come_changes_nothing(architecture: Architecture, by: By) -> None:
    first, second = trained_like(architecture), trained_like(architecture, seed=1)
    wanted = merged(first, second, by=by).logits(IMAGES)
    torch.testing.assert_close(merged(first, permuted(second), by=by).logits(IMAGES), wanted, rtol=0, atol=1e-5)
    torch.testing.assert_close(merged(permuted(first), second, by=by).logits(IMAGES), wanted, rtol=0, atol=1e-5)


def test_without_alignment_it_is_the_plain_mean() -> None:
    first, second = trained_like(PLAIN), trained_like(PLAIN, seed=1)
    found = merged(first, second, by="nothing")
    for name, tensor in first.weights.items():
        torch.testing.assert_close(found.weights[name], (tensor + second.weights[name]) / 2)
    assert found.members == ("black 0 + black 0", "black 1 + black 1")


@pytest.mark.parametrize("by", ["weights", "activations"])
def test_alignment_brings_networks_nearer_to_each_other(by: By) -> None:
    """A noisy copy in another order: the mean of the aligned is near the first, the plain mean is not."""
    parent = trained_like(RESIDUAL, members=1)
    noise = torch.Generator().manual_seed(3)
    noisy = {
        name: tensor * (1 + 0.1 * torch.randn(tensor.shape, generator=noise)) if tensor.is_floating_point() else tensor
        for name, tensor in parent.weights.items()
    }
    other = permuted(replace(parent, weights=noisy))

    def distance(found: Population) -> float:
        return float((found.weights["layer3.2.conv1.weight"] - parent.weights["layer3.2.conv1.weight"]).norm())

    assert distance(merged(parent, other, by=by)) < 0.2 * distance(merged(parent, other, by="nothing"))


def test_a_parent_of_one_network_serves_all() -> None:
    found = merged(trained_like(PLAIN, members=3), trained_like(PLAIN, members=1, seed=1))
    assert found.members == ("black 0 + black 0", "black 1 + black 0", "black 2 + black 0")


def test_three_parents_are_aligned_with_the_first() -> None:
    parent = trained_like(PLAIN)
    found = merged(parent, permuted(parent, 1), permuted(parent, 2))
    torch.testing.assert_close(found.weights["conv2.weight"], parent.weights["conv2.weight"])


def test_parents_of_different_concepts_get_a_head_that_knows_the_cells() -> None:
    parents = [trained_like(RESIDUAL), trained_like(RESIDUAL, "cat", seed=1)]
    (part,) = AlignedMean().assemble(None, parents, Run(pictures=PICTURES)).parts
    assert part.cells == ("black", "cat")
    assert part.concept == "black+cat"
    assert part.log_odds(IMAGES).shape == (2, len(IMAGES))
    assert part.parameters == parents[0].parameters + 2 * 17, "four outputs in place of two, and nothing else"


def test_running_statistics_are_those_of_the_merged_network() -> None:
    parents = [trained_like(RESIDUAL), trained_like(RESIDUAL, seed=1)]
    plain, set_right = merged(*parents), merged(*parents, recalibrate=True)
    assert torch.equal(plain.weights["conv1.weight"], set_right.weights["conv1.weight"])
    prepared = Preprocessing(16)(torch.cat([images.at(16) for images in PICTURES]))
    first = torch.nn.functional.conv2d(prepared, set_right.weights["conv1.weight"][0], padding=1)
    torch.testing.assert_close(set_right.weights["bn1.running_mean"][0], first.mean((0, 2, 3)), rtol=1e-4, atol=1e-4)


def test_a_network_without_batch_norm_keeps_its_biases() -> None:
    parents = [trained_like(PLAIN), trained_like(PLAIN, seed=1)]
    assert torch.equal(merged(*parents, recalibrate=True).weights["conv1.bias"], merged(*parents).weights["conv1.bias"])


def test_labels_are_never_asked_for() -> None:
    bare = tuple(replace_labels(images) for images in PICTURES)
    parents = [trained_like(RESIDUAL), trained_like(RESIDUAL, "cat", seed=1)]
    (blind,) = AlignedMean(by="activations").assemble(None, parents, Run(pictures=bare)).parts
    (seeing,) = AlignedMean(by="activations").assemble(None, parents, Run(pictures=PICTURES)).parts
    assert all(torch.equal(tensor, seeing.weights[name]) for name, tensor in blind.weights.items())


def replace_labels(images: Any) -> Any:
    return type(images)(images.names, {}, images.at(16))


def test_pictures_are_asked_for_only_where_they_are_used() -> None:
    assert AlignedMean().terms.pictures == "unlabelled"
    assert AlignedMean(head="mean", recalibrate=False).terms.pictures == "none"
    assert AlignedMean(head="mean", recalibrate=False, by="activations").terms.pictures == "unlabelled"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"by": "activations"}, "activations are compared on the parents' pictures, and there are none"),
        ({"recalibrate": True}, "running statistics are estimated on the parents' pictures, and there are none"),
    ],
)
def test_missing_pictures_are_named(options: dict[str, Any], message: str) -> None:
    parents = [trained_like(RESIDUAL), trained_like(RESIDUAL, seed=1)]
    chosen = {"head": "mean", "recalibrate": False, **options}
    with pytest.raises(ComposerError, match=message):
        AlignedMean(**chosen).assemble(None, parents, Run())


def test_a_mean_of_heads_that_mean_different_things_is_refused() -> None:
    with pytest.raises(ComposerError, match=r"the outputs of 'black' and 'cat' do not mean the same"):
        merged(trained_like(PLAIN), trained_like(PLAIN, "cat"))
    two_of_three = replace(trained_like(PLAIN), outputs=(1,))
    with pytest.raises(
        ComposerError, match=r"do not mean the same, and a merged head would mean nothing; take `head: fit`"
    ):
        merged(trained_like(PLAIN), two_of_three)


def test_heads_are_averaged_by_themselves_where_they_mean_the_same() -> None:
    parents = [trained_like(PLAIN), trained_like(PLAIN, seed=1)]
    found = merged(*parents, head=None)
    assert found.cells == ()
    assert torch.equal(found.weights["fc1.bias"], merged(*parents).weights["fc1.bias"])


def test_running_statistics_without_pictures_are_warned_of() -> None:
    run = Run()
    parents = [trained_like(RESIDUAL), trained_like(RESIDUAL, seed=1)]
    AlignedMean().assemble(None, parents, run)
    assert "often no better than chance" in run.warnings[0]
    AlignedMean().assemble(None, [trained_like(PLAIN), trained_like(PLAIN, seed=1)], plain := Run())
    assert not plain.warnings


def test_parents_that_prepare_pictures_differently_are_refused() -> None:
    other = replace(trained_like(PLAIN), preprocessing=Preprocessing(16, mean=(0.0, 0.0, 0.0)))
    with pytest.raises(ComposerError, match="prepare their pictures differently"):
        merged(trained_like(PLAIN), other)


def test_a_parent_that_has_diverged_is_named() -> None:
    broken = trained_like(PLAIN)
    broken.weights["conv2.weight"][1, 0] = float("nan")
    with pytest.raises(ComposerError, match=r"'conv2.weight' of 'black' is not finite"):
        merged(trained_like(PLAIN), broken)
