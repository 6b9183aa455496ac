"""Students that begin with a pretrained body."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from composer import (
    Architecture,
    ModelSource,
    Population,
    Run,
)
from composer.errors import RecipeError
from composer.recipes.recipe_reader import read_recipe
from composer_fit import Fit
from composer_training import Distil, distilling
from teachers import (
    LARGE,
    OTHERS,
    PARENTS,
    SMALL,
    correlation,
    opposite_members,
    pictures,
    taught,
)
from tiny import tiny_population, training_images


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


def test_parents_on_the_students_own_body_are_learned_whole_where_nothing_they_say_is_cut_off() -> None:
    own = [(concept, training_images(concept, 80, 24)) for concept in ("black", "cat")]
    fit = Fit(backbone=Ready(), strengths=(0.01,), scaling="common")
    parents = [fit.load(concept, Run(pictures=(images,))) for concept, images in own]
    assert all(float(parent.log_odds(OTHERS).abs().max()) > 5 for parent in parents), "more than is taught by default"
    whole, cut = (taught(parents, architecture=None, body=Ready(), mixed=0, **clip)[0] for clip in ({"clip": 100}, {}))
    for parent, part, other in zip(parents, whole.parts, cut.parts, strict=True):
        said = parent.log_odds(OTHERS)
        torch.testing.assert_close(part.log_odds(OTHERS), said, atol=0.1, rtol=0.01)
        assert float((other.log_odds(OTHERS) - said).abs().max()) > 1


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


def test_a_body_that_there_is_not_is_named_where_the_recipe_says_it(tmp_path: Path) -> None:
    file = tmp_path / "recipe.yaml"
    file.write_text(
        "name: odd\nconcepts: [black, cat]\nimages: drawings\nmodels: train\n"
        "compositions:\n  one: {assembler: {use: distil, body: {use: torchvision, model: mobilenet_v9}}}\n"
    )
    with pytest.raises(RecipeError, match=r"6:.*compositions\.one\.assembler\.body\.model: torchvision has no classif"):
        read_recipe(file)
