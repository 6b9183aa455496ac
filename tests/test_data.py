from __future__ import annotations

from typing import ClassVar

import numpy as np
import pytest
import torch
from torch import nn

from composer import Architecture, ComposedModel, Images, KernelSet
from composer.data.expressions import cell_names
from composer.networks.stacking import features_one_by_one
from tiny import tiny_images, tiny_kernels, tiny_population


def test_pictures_are_resized_as_torchvision_does() -> None:
    from PIL import Image
    from torchvision.transforms import Resize

    images = tiny_images(size=23)
    picture = Image.fromarray(images.at(23)[0].permute(1, 2, 0).numpy())
    expected = torch.from_numpy(np.array(Resize((16, 16))(picture))).permute(2, 0, 1)
    assert torch.equal(images.at(16)[0], expected)


def test_cells_are_named_by_the_concepts_they_show() -> None:
    assert cell_names(["black", "cat"]) == ("black+cat", "black", "cat", "none")
    images = tiny_images(per_cell=2, concepts=("small", "black", "cat"))
    assert set(images.cells) == set(cell_names(["small", "black", "cat"]))
    assert images.target.sum() == 2


def test_selected_pictures_keep_their_pixels_and_labels() -> None:
    images = tiny_images()
    chosen = images.select([3, 1])
    assert chosen.names == (images.names[3], images.names[1])
    assert torch.equal(chosen.at(16), images.at(16)[[3, 1]])
    assert chosen.cells == (images.cells[3], images.cells[1])
    assert torch.equal(images.select([-1, 0]).at(16), images.at(16)[[-1, 0]])
    assert len(images.select([])) == 0


def test_selected_pictures_that_follow_one_another_share_their_pixels() -> None:
    images = tiny_images()
    chosen = images.select(range(2, 5))
    assert torch.equal(chosen.at(16), images.at(16)[2:5])
    assert chosen.at(16).data_ptr() == images.at(16)[2:].data_ptr()


@pytest.mark.parametrize(
    "make",
    [
        lambda: Images(["a"], {"black": [True, False]}, torch.zeros(1, 3, 4, 4, dtype=torch.uint8)),
        lambda: Images(["a"], {"black": [True]}, torch.zeros(1, 3, 4, 4)),
        lambda: KernelSet("black", {"conv1": torch.zeros(2, 3, 3, 5, 5)}, ("one",)),
        lambda: ComposedModel((tiny_population(members=3),), ("a", "b")),
    ],
)
def test_data_of_the_wrong_shape_is_refused_when_made(make: object) -> None:
    with pytest.raises(ValueError, match=r"shape|must be|members"):
        make()  # type: ignore[operator]


def test_stacked_features_equal_those_of_each_member_alone() -> None:
    population = tiny_population(members=11)
    pixels = population.preprocessing(tiny_images().at(16))
    stacked = population.architecture.stacked_features(population.weights, pixels)
    alone = features_one_by_one(population.architecture, population.weights, pixels)
    assert stacked.shape == (11, 20, population.architecture.feature_count)  # type: ignore[attr-defined]
    torch.testing.assert_close(stacked, alone)


class Remembering(Architecture):
    """A network that computes its table of its weights once, as some do, and so must not be shared by members."""

    name = "remembering"
    head: ClassVar[str] = "head"
    built: ClassVar[list[int]] = []

    def build(self, outputs: int) -> nn.Module:
        self.built.append(outputs)
        return RememberingNetwork(outputs)


class RememberingNetwork(nn.Module):
    filter: torch.Tensor

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(3))
        self.register_buffer("filter", torch.full((3,), 2.0), persistent=False)
        self.head = nn.Linear(3, outputs)
        self.table: list[torch.Tensor] = []

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        if not self.table:
            self.table.append(self.scale * self.filter)
        return pixels.mean((2, 3)) * self.table[0]


def test_a_network_is_built_once_for_all_batches_and_members_share_nothing() -> None:
    weights, pixels = {"scale": torch.tensor([[1.0, 1.0, 1.0], [3.0, 3.0, 3.0]])}, torch.rand(4, 3, 2, 2)
    for _ in range(3):
        features = features_one_by_one(Remembering(), weights, pixels)
    torch.testing.assert_close(features, torch.stack([2 * pixels.mean((2, 3)), 6 * pixels.mean((2, 3))]))
    assert len(Remembering.built) == 1


def test_log_odds_are_those_of_the_summed_softmax_probability() -> None:
    population = tiny_population()
    images = tiny_images()
    probability = population.logits(images).double().softmax(-1)[..., 0]
    torch.testing.assert_close(population.log_odds(images).double(), torch.logit(probability), rtol=1e-4, atol=1e-5)


def test_a_part_with_one_member_serves_all() -> None:
    model = ComposedModel((tiny_population("black", 3), tiny_population("cat", 1)), ("a", "b", "c"))
    images = tiny_images()
    assert model.log_odds(images).shape == (3, len(images))
    assert model.features(images).shape[0] == 3
    assert model.parameters == 2 * sum(w[0].numel() for w in tiny_population().weights.values())


def test_kernels_are_the_weights_of_the_network() -> None:
    assert torch.equal(tiny_kernels().layers["conv1"], tiny_population().weights["conv1.weight"])
