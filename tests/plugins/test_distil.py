"""Students that learn what the parents say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from composer import (
    Architecture,
    ComposedModel,
    ComposerError,
    Expression,
    Images,
    Lines,
    ModelSource,
    Population,
    Preprocessing,
    Run,
)
from composer.errors import RecipeError
from composer.recipes.recipe_reader import read_recipe
from composer_cifar_resnet import CifarResNet
from composer_cnn import CNN
from composer_efficientnet_lite import EfficientNetLite
from composer_training import Distil, distilling
from composer_training.distilling import lessons
from composer_training.unlabelled import dead_leaves
from tiny import tiny_images, tiny_population, training_images

SMALL, LARGE = CNN(filters=(2, 2), size=24), CNN(filters=(6, 8), size=24)
IMAGES = tiny_images(per_cell=20, size=24)


class Secret(dict[str, NDArray[np.bool_]]):
    """Labels that nobody may look at."""

    def __getitem__(self, concept: str) -> NDArray[np.bool_]:
        raise AssertionError("a student looked at a label")

    def items(self) -> NoReturn:
        raise AssertionError("a student looked at the labels")

    values = items


class Droppy(nn.Module):
    """Features are four sums of pixels, some of which are dropped while it is trained."""

    def __init__(self, outputs: int, share: float) -> None:
        super().__init__()
        self.hidden = nn.Linear(3 * 8 * 8, 4)
        self.drop = nn.Dropout(share)
        self.head = nn.Linear(4, outputs)

    def features(self, pixels: torch.Tensor) -> torch.Tensor:
        hidden: torch.Tensor = self.drop(self.hidden(pixels.flatten(1)))
        return hidden

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        logits: torch.Tensor = self.head(self.features(pixels))
        return logits


class Dropping(Architecture):
    """Networks with dropout."""

    name = "dropping"
    head = "head"
    size: int = 8
    share: float = 0.5

    def build(self, outputs: int) -> nn.Module:
        return Droppy(outputs, self.share)


OTHERS = training_images("black", 80, 24, seed=9)
"""Pictures as the students learn from, and others."""


def clear(concept: str) -> Population:
    """Two networks that see how bright a ninth of the picture is, and know black by all of it and cats by a corner."""
    light = torch.zeros(2, 3, 3)
    if concept == "black":
        light -= 1
    else:
        light[:, 0, 0], light[:, 2, 2] = 1, -1
    weights = {
        "conv1.weight": torch.full((2, 2, 3, 5, 5), 1 / 75),
        "conv1.bias": torch.ones(2, 2),
        "conv2.weight": torch.full((2, 2, 2, 5, 5), 1 / 50),
        "conv2.bias": torch.zeros(2, 2),
        "fc1.weight": torch.stack([light.flatten(), torch.zeros(18)]).expand(2, -1, -1),
        "fc1.bias": torch.zeros(2, 2),
    }
    parent = Population(concept, SMALL, weights, (f"{concept} 0", f"{concept} 1"), Preprocessing(24))
    said = parent.log_odds(IMAGES)
    scale = float(3 / said.std())
    bias = torch.tensor([-float(said.mean()), 0.0]).expand(2, -1)
    head = {"fc1.weight": weights["fc1.weight"] * scale, "fc1.bias": bias * scale}
    return replace(parent, weights={**weights, **head}, _memo={})


PARENTS = [clear("black"), clear("cat")]


def pictures(count: int = 80) -> tuple[Images, ...]:
    shown = tuple(training_images(concept, count, 24) for concept in ("black", "cat"))
    for images in shown:
        images.labels = Secret(images.labels)
    return shown


def taught(parents: list[Population] = PARENTS, seed: int = 4, **options: object) -> tuple[ComposedModel, Run]:
    run = Run(seed=seed, pictures=pictures())
    settings: dict[str, Any] = {"architecture": LARGE, "steps": 150, "batch": 32, "flip": False, **options}
    return Distil(**settings).assemble(None, parents, run), run


def correlation(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(np.corrcoef(one.flatten().numpy(), other.flatten().numpy())[0, 1])


def test_a_student_says_what_its_teachers_say_and_never_sees_a_label() -> None:
    model, run = taught()
    for part, parent in zip(model.parts, PARENTS, strict=True):
        assert part.concept == parent.concept
        mean = parent.log_odds(OTHERS).clamp(-5, 5).mean(0)
        for student in part.log_odds(OTHERS):
            assert correlation(student, mean) > 0.8, parent.concept
    assert isinstance(run.figures["students"], Lines)
    assert len(run.measured["agreement_with_teachers"]) == len(model) == 2


def test_the_student_of_one_parent_in_its_own_architecture_agrees_with_it() -> None:
    parent = taught()[0].parts[0]  # two networks that have learned something
    (part,) = taught([parent], architecture=None, members=1, steps=100)[0].parts
    assert part.architecture == parent.architecture == LARGE
    mean = parent.log_odds(OTHERS).clamp(-5, 5).mean(0)
    assert correlation(part.log_odds(OTHERS)[0], mean) > 0.95
    assert (part.log_odds(OTHERS)[0] > 0).eq(mean > 0).float().mean() > 0.9


def test_a_student_is_one_network_of_a_parents_size_with_an_output_for_each_concept() -> None:
    model, _ = taught(steps=2, architecture=None)
    assert model.bodies == (0, 0)
    assert [part.weights["fc1.weight"].shape[1] for part in model.parts] == [1, 1]
    assert model.parameters == PARENTS[0].parameters, "two outputs, as a parent has"
    assert model.parts[0].architecture == SMALL
    asked = model.answering(Expression.parse("cat and not black"))
    each = {part.concept: part.log_odds(IMAGES) for part in model.parts}
    assert torch.equal(asked.log_odds(IMAGES), Expression.parse("cat and not black").log_odds(each))


def test_the_first_student_of_pairs_learns_from_the_first_member_of_each() -> None:
    opposite = [
        replace(
            parent,
            weights={
                name: torch.cat([t[:1], -t[:1] if "fc1" in name else t[:1]]) for name, t in parent.weights.items()
            },
            _memo={},
        )
        for parent in PARENTS
    ]
    model, _ = taught(opposite, teachers="pairs")
    for part, parent in zip(model.parts, opposite, strict=True):
        for student, teacher in zip(part.log_odds(OTHERS), parent.log_odds(OTHERS), strict=True):
            assert correlation(student, teacher) > 0.8, "the mean of both teachers says nothing"


def test_students_may_be_of_another_architecture_and_number() -> None:
    wide = CNN(filters=(4, 6), size=16)
    model, run = taught(architecture=wide, members=3, steps=2)
    assert len(model) == len(run.measured["agreement_with_teachers"]) == 3
    assert model.parts[0].architecture == wide
    assert model.parts[0].preprocessing.size == 16


@pytest.mark.parametrize(("width", "filters"), [(0.5, (1, 1)), (1.5, (3, 3)), (2.0, (4, 4))])
def test_students_are_as_wide_as_asked_for(width: float, filters: tuple[int, int]) -> None:
    model, _ = taught(architecture=None, width=width, steps=2)
    assert model.parts[0].architecture == CNN(filters=filters, size=24)
    assert model.parts[0].weights["conv2.weight"].shape == (2, filters[1], filters[0], 5, 5)
    assert model.parts[0].preprocessing == PARENTS[0].preprocessing


def test_widths_that_no_student_can_have_are_refused() -> None:
    with pytest.raises(ComposerError, match=r"distil: width: 0\.1 times as wide, architecture 'cnn' has filters 0"):
        taught(architecture=None, width=0.1, steps=2)
    narrow = Distil(architecture=CNN(), width=0.01)
    assert dict(narrow.problems(["black"]))["width"].startswith("0.01 times as wide, architecture 'cnn' has filters 0")
    fixed = Distil(architecture=EfficientNetLite(size=32), width=2)
    assert dict(fixed.problems(["black"]))["width"].startswith("2: architecture 'efficientnet_lite' has no width")


class Ready(ModelSource):
    """Networks that are there already; their heads mean nothing."""

    name = "ready"
    members: int = 1

    @property
    def network(self) -> Architecture:
        return LARGE

    def load(self, concept: str, run: Run) -> Population:
        return tiny_population(concept, self.members, 5, LARGE)


def test_a_student_of_a_pretrained_body_learns_its_head_and_leaves_the_body_as_it_is() -> None:
    model, run = taught(architecture=None, body=Ready())
    body = Ready().load("black", Run())
    assert len(model) == 1, "with the same teachers and the same body all students would be one"
    for name, tensor in body.body_weights.items():
        assert torch.equal(model.parts[0].weights[name], tensor), name
    assert model.parts[0].shares_body(model.parts[1])
    assert min(run.measured["agreement_with_teachers"]) > 0.8
    for part, parent in zip(model.parts, PARENTS, strict=True):
        assert correlation(part.log_odds(OTHERS)[0], parent.log_odds(OTHERS)[0]) > 0.8


class Shelf(dict[str, Mapping[str, Tensor]]):
    """Keeps tensors beside pictures, as the store does."""

    def kept(self, name: str) -> Mapping[str, Tensor] | None:
        return self.get(name)

    def keep(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        self[name] = tensors


@pytest.mark.parametrize("options", [{"architecture": None, "body": Ready()}, {"architecture": SMALL, "steps": 5}])
def test_what_networks_have_seen_of_plain_pictures_is_not_computed_again(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    parents, given = [parent.select([0]) for parent in PARENTS], {"mixed": 0, **options}
    with monkeypatch.context() as patched:
        patched.setattr(distilling, "may_be_kept", lambda *_: False)
        slow, said = taught(parents, **given)
    own = pictures()
    for images in own:
        networks = [*parents, Ready().load("", Run())]
        images.keeper = Shelf({f"features-{one.body_digest}": {"features": one.features(images)} for one in networks})
    monkeypatch.setattr(Population, "_of_pixels", None)
    run = Run(seed=4, pictures=own)
    quick = Distil(**{"steps": 150, "batch": 32, "flip": False, **given}).assemble(None, parents, run)
    for part, other in zip(quick.parts, slow.parts, strict=True):
        for name, tensor in part.weights.items():
            torch.testing.assert_close(tensor, other.weights[name], atol=1e-3, rtol=1e-2, msg=name)
    assert run.measured["agreement_with_teachers"] == pytest.approx(said.measured["agreement_with_teachers"], abs=1e-4)


def test_all_of_a_pretrained_body_is_trained_where_asked_for_and_is_never_worse_than_its_head_alone() -> None:
    _, alone = taught(architecture=None, body=Ready())
    model, run = taught(architecture=None, body=Ready(), train="all", learning_rate=0.001, steps=40)
    moved = model.parts[0].weights["conv2.weight"] - Ready().load("black", Run()).weights["conv2.weight"]
    assert float(moved.abs().max()) > 0
    assert run.measured["agreement_with_teachers"] >= alone.measured["agreement_with_teachers"]
    (wild,), (tame,) = (
        taught(architecture=None, body=Ready(), train="all", learning_rate=rate, steps=1)[1].measured[
            "agreement_with_teachers"
        ]
        for rate in (1.0, 1e-6)
    )
    assert wild >= 0.99 * tame, "a step that spoils the body is not kept"


def test_students_of_pairs_start_from_one_body_each_and_learn_from_their_own_teachers() -> None:
    model, _ = taught([*map(opposite_members, PARENTS)], architecture=None, body=Ready(members=2), teachers="pairs")
    body = Ready(members=2).load("black", Run())
    assert torch.equal(model.parts[0].weights["conv1.weight"], body.weights["conv1.weight"])
    first, second = model.parts[0].log_odds(OTHERS)
    assert correlation(first, second) < -0.5, "the second teacher says the opposite of the first"


def opposite_members(parent: Population) -> Population:
    """The second member says the opposite of the first."""
    sign = torch.tensor([1.0, -1.0])
    head = {"fc1.weight": sign[:, None, None], "fc1.bias": sign[:, None]}
    weights = {name: tensor * head.get(name, 1.0) for name, tensor in parent.weights.items()}
    return replace(parent, weights=weights, _memo={})


@pytest.mark.parametrize(
    ("options", "option", "message"),
    [
        ({"body": Ready(), "architecture": LARGE}, "architecture", "is the body's own with `body`"),
        ({"body": Ready(), "width": 2}, "width", "is of students that start from nothing"),
        ({"body": Ready(), "members": 3}, "members", "all students would be the same network"),
        ({"train": "all"}, "train", "is of `body`, and there is none"),
    ],
)
def test_what_a_body_has_no_use_for_is_named(options: dict[str, Any], option: str, message: str) -> None:
    assert message in dict(Distil(**options).problems(["black", "cat"]))[option]
    assert not list(Distil(body=Ready(), teachers="pairs", members=3).problems(["black"]))


def test_students_with_batch_norm_learn_too() -> None:
    residual = CifarResNet(depth=20, filters=4, size=16)
    model, _ = taught(architecture=residual, members=1, steps=80)
    assert not residual.misfit(model.parts[0].weights)
    assert model.parts[0].weights["bn1.running_mean"].all(), "the statistics are those of fresh networks"
    for part, parent in zip(model.parts, PARENTS, strict=True):
        assert correlation(part.log_odds(OTHERS)[0], parent.log_odds(OTHERS).clamp(-5, 5).mean(0)) > 0.8, parent.concept


def test_students_may_learn_from_plain_pictures_alone() -> None:
    model, _ = taught(mixed=0)
    for part, parent in zip(model.parts, PARENTS, strict=True):
        assert correlation(part.log_odds(OTHERS)[0], parent.log_odds(OTHERS).clamp(-5, 5).mean(0)) > 0.8, parent.concept


def test_pictures_are_mixed_few_at_a_time_and_as_they_would_be_all_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def mixed() -> Tensor:
        run = Run(seed=4, pictures=pictures())
        return lessons(Distil(), PARENTS, 2, 24, run.generator(), run)[0].pixels

    at_once = mixed()
    assert len(at_once) > len(pictures()[0]) * 2, "half of them are mixed"
    monkeypatch.setattr(distilling, "PICTURES_AT_ONCE", 7)
    assert torch.equal(mixed(), at_once)


class Exploding(Architecture):
    """Networks whose features are out of bounds."""

    name: ClassVar[str] = "exploding"
    head: ClassVar[str] = "head"
    size: int = 24

    def build(self, outputs: int) -> nn.Module:
        return ExplodingNetwork(outputs)


class ExplodingNetwork(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.full((3,), 1e30))
        self.head = nn.Linear(3, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        return pixels.mean((2, 3)) * self.scale


def test_students_whose_loss_grows_out_of_bounds_are_refused_and_never_given() -> None:
    with pytest.raises(ComposerError, match=r"out of bounds in step 1 of 20; set a learning_rate below 0\.5"):
        taught(architecture=Exploding(), steps=20, learning_rate=0.5)


def test_the_same_seed_gives_the_same_students() -> None:
    one, same, other = (taught(steps=5, seed=seed)[0].parts[0].weights["conv1.weight"] for seed in (4, 4, 5))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def test_dropout_draws_from_the_stage_s_seed_and_leaves_the_global_state_alone() -> None:
    found = []
    for seed in (3, 4):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            before = torch.get_rng_state()
            found.append(taught(architecture=Dropping(), steps=3)[0].parts[0].weights["hidden.weight"])
            assert torch.equal(torch.get_rng_state(), before)
    plain = taught(architecture=Dropping(share=0), steps=3)[0].parts[0].weights["hidden.weight"]
    assert torch.equal(found[0], found[1])
    assert not torch.equal(found[0], plain), "nothing was dropped"


def test_pictures_are_mixed_two_and_two_and_the_teachers_are_asked_about_the_mixed_ones() -> None:
    """Of plain pictures of two greys, the mixed ones are of greys between; none of them is held out."""
    grey = torch.tensor([100, 200], dtype=torch.uint8).repeat(20).view(-1, 1, 1, 1).expand(-1, 3, 24, 24)
    plain = Images([str(number) for number in range(len(grey))], {}, grey.contiguous())
    run = Run(seed=4, pictures=(plain,))
    learning, held_out = lessons(Distil(mixed=0.5), PARENTS, 2, 24, run.generator(), run)
    assert (len(held_out.pixels), len(learning.pixels)) == (4, 36 + 36)
    for index, (pixels, own) in enumerate(((held_out.pixels, 4), (learning.pixels, 36))):
        assert (pixels == pixels[:, :1, :1, :1]).all()
        greys = pixels[:, 0, 0, 0].int()
        assert set(greys[:own].tolist()) <= {100, 200}
        assert ((greys >= 100) & (greys <= 200)).all()
        assert ((greys[own:] > 100) & (greys[own:] < 200)).any() == bool(index)
    asked = Images([str(number) for number in range(len(learning.pixels))], {}, learning.pixels)
    said = torch.stack([parent.log_odds(asked).clamp(-5, 5).mean(0) for parent in PARENTS], dim=-1)
    torch.testing.assert_close(learning.taught[0], said)


def test_students_may_learn_without_a_picture_at_hand() -> None:
    options: dict[str, Any] = {"pictures": "dead_leaves", "count": 400, "architecture": LARGE, "flip": False}
    assert Distil(**options).terms.pictures == "none"
    run = Run(seed=4)
    model = Distil(**options, steps=300, batch=64, teachers="mean").assemble(None, PARENTS, run)
    others = dead_leaves(100, 24, torch.Generator().manual_seed(9))
    for part, parent in zip(model.parts, PARENTS, strict=True):
        assert correlation(part.log_odds(others)[0], parent.log_odds(others).clamp(-5, 5).mean(0)) > 0.6, parent.concept


def test_drawn_shapes_are_many_and_hide_each_other_at_every_scale() -> None:
    one, same, other = (
        dead_leaves(30, size, torch.Generator().manual_seed(seed)) for size, seed in ((64, 1), (64, 1), (64, 2))
    )
    assert torch.equal(one.at(64), same.at(64))
    assert not torch.equal(one.at(64), other.at(64))
    assert (one.at(64).dtype, one.at(64).shape, one.at(200).shape) == (torch.uint8, (30, 3, 64, 64), (30, 3, 200, 200))
    pixels = one.at(64).flatten(2)
    colours = [len(picture.unique(dim=1).T) for picture in pixels]
    assert max(colours) <= 61
    assert min(colours) > 5, "no shape hides all others"
    assert dead_leaves(2, 500, torch.Generator().manual_seed(1)).at(500).shape == (2, 3, 500, 500)


def test_students_may_learn_from_any_folder_of_pictures(tmp_path: Path) -> None:
    for number, pixels in enumerate(OTHERS.at(24).permute(0, 2, 3, 1).numpy()[:30]):
        place = tmp_path / f"{number % 3}" / f"{number}.PNG"
        place.parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(place)
    (tmp_path / ".hidden.png").write_text("no picture")
    (tmp_path / "notes.txt").write_text("no picture")
    options: dict[str, Any] = {"pictures": "folder", "folder": tmp_path, "architecture": SMALL, "steps": 2, "mixed": 0}
    assert len(list(Distil(**options).files())) == 30
    learning, held_out = lessons(Distil(**options), PARENTS, 2, 24, Run().generator(), Run())
    together = torch.cat([learning.pixels, held_out.pixels])
    assert {picture.numpy().tobytes() for picture in together} == {
        picture.numpy().tobytes() for picture in OTHERS.at(24)[:30]
    }
    (tmp_path / "0" / "0.PNG").write_text("no picture")
    with pytest.raises(ComposerError, match=r"distil: folder: .*0\.PNG"):
        Distil(**options).assemble(None, PARENTS, Run())


def test_a_folder_is_asked_for_with_its_pictures_alone(tmp_path: Path) -> None:
    said = [("folder", "is where the pictures are with `pictures: folder`, and with that alone")]
    assert list(Distil(pictures="folder").problems(())) == said
    assert list(Distil(folder=tmp_path).problems(())) == said
    assert list(Distil(pictures="folder", folder=tmp_path / "no").problems(())) == [
        ("folder", f"no folder {tmp_path}/no")
    ]
    assert not list(Distil(pictures="folder", folder=tmp_path).problems(()))
    with pytest.raises(ComposerError, match="0 pictures to learn from; 20 are the fewest"):
        Distil(pictures="folder", folder=tmp_path).assemble(None, PARENTS, Run())


def test_a_student_that_has_learned_nothing_is_told_of() -> None:
    _, run = taught(steps=1, learning_rate=1e-8)
    assert any("agree badly with their teachers on 'black'" in warning for warning in run.warnings)
    assert not any("agree badly" in warning for warning in taught()[1].warnings)


def test_too_few_pictures_too_few_teachers_and_no_heads_are_refused() -> None:
    few = Run(pictures=pictures(5))
    with pytest.raises(ComposerError, match="distil: 10 pictures to learn from; 20"):
        Distil().assemble(None, PARENTS, few)
    with pytest.raises(ComposerError, match="members: 3 students need as many pairs of teachers, and there are 2"):
        taught(teachers="pairs", members=3)
    headless = replace(PARENTS[0], outputs=())
    with pytest.raises(ComposerError, match=r"distil: .*'black'"):
        taught([headless, PARENTS[1]])


def test_a_teacher_whose_answers_are_not_finite_is_named() -> None:
    weight = PARENTS[1].weights["fc1.weight"].clone()
    weight[1, 0, 0] = torch.nan
    broken = replace(PARENTS[1], weights={**PARENTS[1].weights, "fc1.weight": weight}, _memo={})
    with pytest.raises(ComposerError, match="distil: the log-odds of 'cat' are not finite"):
        taught([PARENTS[0], broken])


def test_a_body_that_there_is_not_is_named_where_the_recipe_says_it(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(
        "name: odd\nconcepts: [black, cat]\nimages: drawings\nmodels: train\n"
        "compositions:\n  one: {assembler: {use: distil, body: {use: torchvision, model: mobilenet_v9}}}\n"
    )
    with pytest.raises(RecipeError, match=r"6:.*compositions\.one\.assembler\.body\.model: torchvision has no classif"):
        read_recipe(file)
