"""Students that learn what the parents say."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import pytest
import torch
from torch import Tensor, nn

from composer import (
    Architecture,
    ComposerError,
    Expression,
    Images,
    Lines,
    Run,
)
from composer_cifar_resnet import CifarResNet
from composer_cnn import CNN
from composer_efficientnet_lite import EfficientNetLite
from composer_training import Distil, distilling
from composer_training.distilling import lessons
from teachers import (
    IMAGES,
    LARGE,
    OTHERS,
    PARENTS,
    SMALL,
    correlation,
    pictures,
    taught,
)


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
