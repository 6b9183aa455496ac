"""Pictures that are found in the parents of students."""

from __future__ import annotations

from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from composer import Architecture, ComposerError, Images, Population, Preprocessing, Run
from composer_cnn import CNN
from composer_training import Distil
from composer_training.inverting import inverted
from composer_training.unlabelled import drawings
from tiny import tiny_population


class Tinted(nn.Module):
    """Features are the means of red, green and blue after batch norm."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3, momentum=None)
        self.head = nn.Linear(3, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        normed: Tensor = self.norm(pixels)
        return normed.mean((2, 3))

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(pixels))
        return logits


class Tints(Architecture):
    """Networks that see nothing but colours."""

    name = "tints"
    head: ClassVar[str] = "head"

    size: int = 8

    def build(self, outputs: int) -> nn.Module:
        return Tinted(outputs)


def remembering(concept: str, low: float, high: float, *, most: int = 0) -> Population:
    """A network that was shown pixels between two shades; the more of the colour `most`, the surer of its concept."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        network = Tinted(outputs=2)
        prepared = Preprocessing(8)
        network(prepared(((low + (high - low) * torch.rand(64, 3, 8, 8)) * 255).to(torch.uint8)))
    weights = {name: tensor.detach()[None] for name, tensor in network.state_dict().items()}
    weights["head.weight"] = torch.zeros(1, 2, 3)
    weights["head.weight"][0, 0, most] = 8.0
    return Population(concept, Tints(), weights, ("network",), prepared)


def found(*parents: Population, seed: int = 1, count: int = 21) -> list[Images]:
    options = Distil(pictures="inverted", count=count, inversion_steps=60, batch=16)
    return inverted(options, parents, torch.Generator().manual_seed(seed), Run())


def test_pictures_are_as_dark_as_those_that_a_network_was_trained_on() -> None:
    dark, bright = found(remembering("a", 0.0, 0.4), remembering("b", 0.6, 1.0))
    assert (len(dark), len(bright)) == (11, 10)
    assert dark.at(8).dtype == torch.uint8
    assert dark.at(8).float().mean() / 255 == pytest.approx(0.2, abs=0.05)
    assert bright.at(8).float().mean() / 255 == pytest.approx(0.8, abs=0.05)
    assert dark.at(8).float().std() / 255 == pytest.approx(0.4 / 12**0.5, abs=0.05)


def test_pictures_show_and_lack_the_concepts_of_all_parents_with_one_body() -> None:
    red, blue = remembering("red", 0.2, 0.8, most=0), remembering("blue", 0.2, 0.8, most=2)
    (pictures,) = found(red, blue)
    assert len(pictures) == 21
    for parent in (red, blue):
        said = parent.log_odds(pictures)[0]
        assert said.max() > 3.5, parent.concept
        assert said.min() < -3.5, parent.concept


def test_the_same_seed_finds_the_same_pictures() -> None:
    parent = remembering("a", 0.0, 0.4)
    (one,), (same,), (other,) = (found(parent, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.at(8), same.at(8))
    assert not torch.equal(one.at(8), other.at(8))


def test_networks_without_batch_norm_are_refused_by_name() -> None:
    parent = tiny_population("cat", members=1, architecture=CNN(filters=(2, 2), size=24))
    with pytest.raises(ComposerError, match=r"running statistics of batch norm, and the network of 'cat' \(cnn\) has"):
        Distil(pictures="inverted").assemble(None, [remembering("dog", 0.0, 0.4), parent], Run())


@pytest.mark.parametrize("pictures", ["inverted", "drawings"])
def test_students_learn_from_made_pictures(pictures: str) -> None:
    method = Distil.model_validate({"pictures": pictures, "count": 30, "inversion_steps": 3, "steps": 3, "members": 1})
    assert method.terms.pictures == "none"
    model = method.assemble(None, [remembering("a", 0.0, 0.4), remembering("b", 0.6, 1.0)], Run(seed=2))
    assert [part.concept for part in model.parts] == ["a", "b"]


def test_as_many_pictures_are_made_as_said() -> None:
    assert [Distil(pictures="inverted").made, Distil(pictures="dead_leaves").made, Distil(count=40).made] == [
        1000,
        9000,
        40,
    ]
    pictures = drawings(5, 20, Run(seed=1)).at(20)
    assert pictures.shape == (5, 3, 20, 20)
    assert torch.equal(pictures, drawings(5, 20, Run(seed=1)).at(20))
