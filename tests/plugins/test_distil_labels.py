"""Students that learn a handful of labelled pictures beside what their teachers say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from composer import ComposedModel, Expression, Images, Run
from composer_efficientnet_lite import PretrainedEfficientNetLite
from composer_training import Distil
from composer_training.labelled import Labels
from handfuls import PARENTS, ranked, turned, written
from teachers import Secret
from tiny import training_images

OPPOSED = (turned(PARENTS[0]), PARENTS[1])
"""Of which the first says the opposite of what labels say."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "labels", 8)


def student(run: Run | None = None, **options: object) -> ComposedModel:
    shown = tuple(training_images(concept, 60, 16) for concept in ("black", "cat"))
    for images in shown:
        images.labels = Secret(images.labels)
    run = run or Run(seed=4)
    run.pictures = shown
    settings = {"members": 2, "steps": 120, "batch": 32, "learning_rate": 0.03, "flip": False, **options}
    return Distil.model_validate(settings).assemble(None, OPPOSED, run)


def test_without_labels_a_student_is_the_same_bytes(folder: Path) -> None:
    plain, none = student(steps=10), student(steps=10, labels=folder, labels_most=0)
    assert (plain.labels, none.labels) == (0, 0)
    for one, other in zip(plain.parts, none.parts, strict=True):
        for name, weight in one.weights.items():
            assert torch.equal(weight, other.weights[name]), name


def test_labels_teach_what_teachers_do_not_know_and_are_counted(folder: Path) -> None:
    plain, labelled = student(), student(labels=folder, labels_weight=100.0)
    assert labelled.labels == 16
    assert ranked(labelled) > ranked(plain) + 0.1
    assert [part.concept for part in labelled.parts] == ["black", "cat"]


def test_labels_that_weigh_little_leave_the_teachers_the_main_word(folder: Path) -> None:
    def agreement(**options: object) -> float:
        run = Run(seed=4)
        student(run, **options)
        return float(np.mean(run.measured["agreement_with_teachers"]))

    alone, little, much = agreement(), agreement(labels=folder), agreement(labels=folder, labels_weight=300.0)
    assert much < little
    assert little > alone - 0.1


def test_only_as_many_as_are_asked_for_are_taken(folder: Path) -> None:
    assert student(steps=2, labels=folder, labels_most=3).labels == 6


def test_labels_are_of_the_formula_that_the_recipe_asks_for(folder: Path) -> None:
    said = torch.tensor([[[2.0, -1.0], [0.5, 3.0]]])  # [1, 2 pictures, 2 concepts]
    target = Expression.parse("black and not cat")
    labels = Labels(torch.zeros(2, 3, 4, 4), torch.tensor([1.0, 0.0]), ("black", "cat"), target, 0.5)
    whole = target.log_odds({"black": said[..., 0], "cat": said[..., 1]})
    wanted = 0.5 * torch.nn.functional.softplus(whole * torch.tensor([-1.0, 1.0])).mean(1)
    torch.testing.assert_close(labels.loss(said), wanted)
    run = Run(seed=4, target=target)
    asked = student(run, labels=folder, labels_weight=300.0).answering(target)
    other = student(labels=folder, labels_weight=300.0).answering(target)
    learned = _learned(folder)

    def loss(model: ComposedModel) -> float:
        yes = torch.tensor([name.startswith("yes") for name in learned.names]).float().expand(2, -1)
        return float(torch.nn.functional.binary_cross_entropy_with_logits(model.log_odds(learned), yes))

    assert loss(asked) < loss(other), "what is in `yes` counts as the formula's target"


def _learned(folder: Path) -> Images:
    from composer_few.reading import handful

    return handful("distil", folder, None, Run().rng())[0]


def test_what_is_wrong_with_labels_is_said_of_their_option(folder: Path, tmp_path: Path) -> None:
    def problem(**options: object) -> str:
        found = Distil.model_validate(options).problems(["black", "cat"])
        return "; ".join(f"{option}: {message}" for option, message in found)

    assert problem(labels=folder) == ""
    assert "labels: no folder" in problem(labels=tmp_path / "nowhere")
    assert "labels_most: asks for 9 pictures of each kind" in problem(labels=folder, labels_most=9)
    assert "labels: are learned by steps" in problem(labels=folder, body=PretrainedEfficientNetLite())
    assert "labels" not in problem(labels=folder, body=PretrainedEfficientNetLite(), train="all")


def test_the_files_of_labels_are_among_those_that_are_read(folder: Path) -> None:
    assert {file.parent.name for file in Distil(labels=folder).files()} == {"yes", "no"}
