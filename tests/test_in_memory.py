"""Networks in memory are composed as those of a run are, and what nobody can know of them is asked for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import Tensor, nn

import composer
from composer import ComposerError, LoadedModel, Parent, Preprocessing
from composer.errors import RecipeError
from composer.models.exporting import export
from composer.models.pixels import resize
from composer_cnn import CNN
from tiny import product_of_experts

STUDENT = CNN(filters=(2, 3), size=16)


class Darkness(nn.Module):
    """A logit that falls with the mean of one channel, or of all."""

    def __init__(self, channel: int | None = None, columns: int = 0) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(4.0))
        self.channel, self.columns = channel, columns

    def forward(self, pixels: Tensor) -> Tensor:
        seen = pixels if self.channel is None else pixels[:, self.channel : self.channel + 1]
        logits: Tensor = -self.scale * seen.mean((1, 2, 3))
        return logits[:, None].expand(-1, self.columns) if self.columns else logits


def linear(outputs: int, *after: nn.Module, size: int = 8) -> nn.Sequential:
    """A linear network with fixed weights."""
    head = nn.Linear(3 * size * size, outputs)
    with torch.no_grad():
        generator = torch.Generator().manual_seed(outputs)
        head.weight.copy_(torch.randn(head.weight.shape, generator=generator) / size)
    return nn.Sequential(nn.Flatten(), head, *after)


def black(**changes: object) -> Parent:
    given: dict[str, object] = {"network": Darkness(), "concept": "black", "preprocessing": Preprocessing(16)}
    return Parent(**(given | changes))  # type: ignore[arg-type]  # of mixed types


def cat(network: nn.Module, **given: object) -> Parent:
    return Parent(network, "cat", Preprocessing(8), **given)  # type: ignore[arg-type]


def pixels(count: int = 6, size: int = 16) -> Tensor:
    return torch.randint(0, 256, (count, 3, size, size), generator=torch.Generator().manual_seed(1)).to(torch.uint8)


def test_a_product_multiplies_what_the_networks_say_of_their_own_sizes(tmp_path: Path) -> None:
    network = linear(3)
    model = composer.product(black(), cat(network, names=["dog", "cat", "cow"]))
    shown = pixels()
    darkness = Darkness()(Preprocessing(16)(shown))
    logits = network(Preprocessing(8)(resize(shown, 8)))
    of_cat = logits[:, 1] - logits[:, [0, 2]].logsumexp(1)
    torch.testing.assert_close(model(shown), product_of_experts(torch.stack([darkness, of_cat])))
    assert (model.target, model.concepts, model.sizes) == ("black+cat", ("black", "cat"), (16, 8))

    Image.new("RGB", (40, 30), (5, 5, 5)).save(tmp_path / "dark.png")
    (said,) = model.predict([tmp_path / "dark.png"])
    assert said.concepts["black"] > 0.9
    assert said.probability is not None


def test_several_outputs_may_mean_a_concept_and_a_formula_may_be_asked() -> None:
    network = linear(4)
    model = composer.product(black(), cat(network, outputs=[0, 2]), target="cat and not black")
    shown = pixels(size=8)
    logits = network(Preprocessing(8)(shown))
    of_cat = logits[:, [0, 2]].logsumexp(1) - logits[:, [1, 3]].logsumexp(1)
    of_black = model.parts[0](shown)
    torch.testing.assert_close(model(shown), product_of_experts(torch.stack([of_cat, -of_black])))
    assert model.target == "cat and not black"


def test_two_concepts_of_one_network_run_it_once() -> None:
    network = linear(3)
    model = composer.product(cat(network, outputs=0), Parent(network, "dog", Preprocessing(8), outputs=1))
    assert model.bodies == (0, 0)
    logits = network(Preprocessing(8)(pixels(size=8)))
    each = [logits[:, own] - logits[:, [other for other in range(3) if other != own]].logsumexp(1) for own in (0, 1)]
    torch.testing.assert_close(model(pixels(size=8)), product_of_experts(torch.stack(each)))


def test_the_model_keeps_what_the_networks_knew_and_leaves_them_as_they_were() -> None:
    network = linear(1, nn.Dropout(0.5))
    network.train()
    model = composer.product(black(), cat(network))
    before = model(pixels())
    assert network.training
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.zero_()
    torch.testing.assert_close(model(pixels()), before, rtol=0, atol=0)


def test_a_network_in_memory_can_be_exported_as_a_graph_and_not_as_a_recipe(tmp_path: Path) -> None:
    model = composer.product(black(), cat(linear(1)))
    assert export(model, tmp_path / "both", "torch_export").is_file()
    with pytest.raises(ComposerError, match="a network in memory cannot be written as a recipe"):
        export(model, tmp_path / "folder", "safetensors")


Asked = Callable[[], LoadedModel]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (lambda: composer.product(black()), "product() takes two parents or more, not 1"),
        (lambda: composer.product(black(), cat(linear(2))), "has 2 outputs, and nothing says which of them mean 'cat'"),
        (lambda: composer.product(black(), cat(linear(2), names=["no", "cats"])), "called 'cat'; did you mean 'cats'?"),
        (lambda: composer.product(black(), cat(linear(3), names=["no", "cat"])), "has 3 outputs, and 2 names"),
        (lambda: composer.product(black(), cat(linear(2), outputs=1, names=["no", "cat"])), "are said twice"),
        (lambda: composer.product(black(), cat(linear(2), outputs=2)), "must be some, not all, of its 2"),
        (lambda: composer.product(black(), cat(linear(2), outputs=[0, 1])), "must be some, not all, of its 2"),
        (lambda: composer.product(black(), cat(linear(1, nn.Sigmoid()))), "probabilities (it ends with Sigmoid)"),
        (
            lambda: composer.product(black(), cat(linear(2, nn.Softmax(1), nn.Identity()), outputs=1)),
            "probabilities (they sum to 1)",
        ),
        (lambda: composer.product(black(), cat(linear(1, size=9))), "cannot take pictures [4, 3, 8, 8]: mat1 and mat2"),
        (lambda: composer.product(black(), cat(nn.Conv2d(3, 2, 3))), "of 4 pictures it gives [4, 2, 6, 6]: wrap it"),
        (lambda: composer.product(black(), cat(linear(1)), target="cat and blak"), "no parent knows 'blak'; did you"),
        (lambda: composer.product(black(), cat(linear(1)), target="cat and"), "target: 'cat and' ends where"),
        (lambda: distilled(pictures=pixels(30).float()), "must be uint8 [N, 3, S, S] in 0..255, not float32"),
        (lambda: distilled(pictures="photos"), 'such as Path("photos").glob("*.jpg")'),
        (lambda: distilled(members=3), "members: one student is made"),
    ],
)
def test_what_nobody_can_know_of_a_network_is_asked_for(asked: Asked, said: str) -> None:
    with pytest.raises(ComposerError) as refused:
        asked()
    assert said in str(refused.value)


def distilled(**changes: object) -> LoadedModel:
    given: dict[str, object] = {"pictures": pixels(60), "student": STUDENT, "steps": 60, "seed": 3}
    parents = black(), Parent(Darkness(0, columns=1), "cyan", Preprocessing(16))
    return composer.distil(*parents, **(given | changes))  # type: ignore[arg-type]


def test_a_student_in_memory_learns_both_and_can_be_kept(tmp_path: Path) -> None:
    shades = torch.arange(0, 256, 4, dtype=torch.uint8).view(-1, 1, 1, 1).expand(-1, 3, 16, 16)
    model = distilled(pictures=shades.contiguous(), steps=150)
    (body,) = set(model.bodies)
    assert body == 0, "one network"
    said = model(torch.stack([shades[0], shades[-1]]))
    assert said[0] > 0 > said[1]
    folder = export(model, tmp_path / "student", "safetensors")
    torch.testing.assert_close(composer.load(folder)(shades), model(shades))


@pytest.mark.filterwarnings("ignore:.*agree badly with their teachers")
def test_the_same_seed_makes_the_same_student_whatever_names_it() -> None:
    one, other = distilled(steps=5), distilled(steps=5, student={"use": "cnn", "filters": [2, 3], "size": 16})
    torch.testing.assert_close(one(pixels()), other(pixels()), rtol=0, atol=0)


def test_a_student_that_learned_nothing_is_warned_of() -> None:
    with pytest.warns(UserWarning, match="students agree badly with their teachers"):
        distilled(pictures=torch.zeros(40, 3, 16, 16, dtype=torch.uint8), steps=1)


def test_an_option_that_a_student_does_not_have_is_refused() -> None:
    with pytest.raises(RecipeError, match="stepps: unknown option; did you mean 'steps'"):
        distilled(stepps=3)


def test_a_product_in_memory_takes_the_assemblers_options() -> None:
    parents = black(), cat(linear(1))
    model, shown = composer.product(*parents, dependence="minimum"), pixels(size=8)
    of_black, of_cat = (part(shown) for part in model.parts)
    assert torch.equal(model(shown), torch.minimum(of_black, of_cat))
    with pytest.raises(RecipeError, match="unknown option"):
        composer.product(*parents, dependance="minimum")
    with pytest.raises(ComposerError, match="nothing can be calibrated for 'black'"):
        composer.product(*parents, calibrate="platt")
