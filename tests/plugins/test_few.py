"""The assembler `few_shot` and its control `few_alone`: heads moved by labelled pictures of the target."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from composer import ComposedModel, ComposerError, Expression, Population, Run
from composer.running.storage import pack, unpack
from composer.testing import check_assembler
from composer_assembly import Product
from composer_cnn import CNN
from composer_few import FewAlone, FewShot, curve, layout, moving
from composer_few.moving import Shown, moved
from composer_few.reading import handful
from handfuls import IMAGES, PARENTS, TEST, parent, ranked, turned, written


@pytest.fixture(autouse=True)
def short_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """No learning curve between no labels and all, which takes longer than all the rest."""
    monkeypatch.setattr(curve, "COUNTS", ())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return written(tmp_path / "labels", 8)


def test_without_labels_it_is_the_product(folder: Path) -> None:
    model, product = (
        FewShot(folder=folder, most=0).assemble(None, PARENTS, Run()),
        Product().assemble(None, PARENTS, Run()),
    )
    assert torch.equal(model.log_odds(TEST), product.log_odds(TEST))
    assert (model.members, model.labels) == (product.members, 0)


def test_labels_that_teach_nothing_leave_the_parents_as_they_are() -> None:
    generator = torch.Generator().manual_seed(0)
    features = [torch.randn(40, 5, generator=generator).double() for _ in range(2)]
    even = torch.full((2, 40), 0.8814).double()  # each parent at 0.707, so that the target is as likely as not
    yes = (torch.arange(40) % 2).double()
    said = moved(Shown(("black", "cat"), Expression.all_of(["black", "cat"]), features, even, yes))
    assert said.freedom == 0, "the labels are a coin's"
    assert not said.shifts.any()


def test_labels_make_poor_parents_better_and_are_counted(folder: Path) -> None:
    parents = [turned(PARENTS[0]), PARENTS[1]]
    model = FewShot(folder=folder).assemble(None, parents, Run())
    assert model.labels == 16
    assert ranked(model) > ranked(Product().assemble(None, parents, Run())) + 0.1


def test_a_head_moves_the_log_odds_of_its_concept_by_a_linear_function_of_the_features(folder: Path) -> None:
    many = replace(
        PARENTS[1],
        weights={
            **PARENTS[1].weights,
            "fc1.weight": torch.cat([PARENTS[1].weights["fc1.weight"]] * 2, 1),
            "fc1.bias": torch.cat([PARENTS[1].weights["fc1.bias"]] * 2, 1),
        },
        outputs=(0, 2),
        _memo={},
    )
    model = FewShot(folder=folder).assemble(None, [PARENTS[0], many], Run())
    part = model.parts[1]
    step = (part.log_odds(TEST) - many.log_odds(TEST))[0].double()
    assert step.abs().max() > 0.01
    features = torch.nn.functional.pad(many.features(TEST)[0].double(), (0, 1), value=1)
    fitted = features @ torch.linalg.lstsq(features, step[:, None]).solution
    torch.testing.assert_close(fitted[:, 0], step, atol=1e-4, rtol=1e-4)


def test_leaving_out_in_closed_form_is_close_to_leaving_out() -> None:
    generator = torch.Generator().manual_seed(1)
    features = [torch.randn(20, 3, generator=generator).double() for _ in range(2)]
    log_odds = torch.randn(2, 20, generator=generator).double()
    yes = ((features[0][:, 0] > 0) & (features[1][:, 0] > 0)).double()
    target = Expression.all_of(["black", "cat"])
    kernels = torch.stack([own @ own.T / 3 + 1 for own in features])

    def shown(kept: list[int]) -> Shown:
        return Shown(("black", "cat"), target, [own[kept] for own in features], log_odds[:, kept], yes[kept])

    _, closed = moving._most_probable(shown(list(range(20))), kernels)
    really = []
    for left_out in range(20):
        kept = [index for index in range(20) if index != left_out]
        weights, _ = moving._most_probable(shown(kept), kernels[:, kept][:, :, kept])
        added = (kernels[:, left_out, kept] * weights).sum(1)
        whole, _ = shown([left_out]).of_target(log_odds[:, [left_out]] + added[:, None])
        really.append(torch.nn.functional.binary_cross_entropy_with_logits(whole, yes[[left_out]]))
    assert abs(float(closed.mean()) - float(torch.stack(really).mean())) < 0.05 * float(torch.stack(really).mean())


def test_steps_that_overshoot_are_shortened() -> None:
    for seed in range(5):
        generator = torch.Generator().manual_seed(seed)
        features = [torch.randn(12, 4, generator=generator).double() for _ in range(2)]
        surely = 6 * torch.randn(2, 12, generator=generator).double()
        yes = (torch.rand(12, generator=generator) > 0.5).double()
        shown = Shown(("black", "cat"), Expression.all_of(["black", "cat"]), features, surely, yes)
        kernels = 10 * torch.stack([own @ own.T / 4 + 1 for own in features])
        before, _ = moving._penalised(shown, kernels, torch.zeros_like(surely))
        after, _ = moving._penalised(shown, kernels, moving._most_probable(shown, kernels)[0])
        assert after < 0.6 * before, "parents that are sure, and half of the time wrong"


def test_a_wider_prior_has_to_be_clearly_better() -> None:
    base = torch.tensor([0.5, 0.1, 0.9, 0.3])
    doubtful = base + torch.tensor([-0.20, 0.15, -0.15, 0.15])
    assert moving._narrowest(torch.stack([base, doubtful])) == 0, "better by 0.013, with an error of 0.08"
    assert moving._narrowest(torch.stack([base, doubtful, base - torch.tensor([0.1, 0.2, 0.1, 0.2])])) == 2


def test_heads_that_know_nothing_take_the_prior_that_tells_left_out_pictures_best() -> None:
    generator = torch.Generator().manual_seed(0)
    features = [torch.randn(40, 3, generator=generator).double() for _ in range(2)]
    yes = ((features[0][:, 0] > 0) & (features[1][:, 0] > 0)).double()
    shown = Shown(("black", "cat"), Expression.all_of(["black", "cat"]), features, torch.zeros(2, 40).double(), yes)
    said = moved(shown, stay=False)
    assert said.losses[moving.FREEDOMS_ALONE.index(said.freedom)] == min(said.losses)
    assert said.freedom > moving.FREEDOMS_ALONE[0], "what is easily told pays for more than the narrowest"


def test_a_handful_is_drawn_anew_by_each_seed(folder: Path) -> None:
    drawn = []
    for seed in range(6):
        pictures, yes = handful("few_shot", folder, 3, Run(seed=seed).rng())
        assert yes.tolist() == [True] * 3 + [False] * 3
        assert [name.partition("/")[0] for name in pictures.names] == ["yes"] * 3 + ["no"] * 3
        drawn.append(tuple(pictures.names))
    assert len(set(drawn)) > 1
    assert tuple(handful("few_shot", folder, 3, Run(seed=5).rng())[0].names) == drawn[5]


def test_formulas_are_asked_for_as_the_recipe_says(folder: Path) -> None:
    target = Expression.parse("black and not cat")
    run = Run(target=target)
    changed = FewShot(folder=folder).assemble(None, PARENTS, run).answering(target)
    plain = Product().assemble(None, PARENTS, Run()).answering(target)
    shows = IMAGES.target[:80]
    learned = IMAGES.select(np.concatenate([np.flatnonzero(shows)[:8], np.flatnonzero(~shows)[:8]]))

    def loss(model: ComposedModel) -> float:
        yes = torch.from_numpy(learned.target).float()
        return float(torch.nn.functional.binary_cross_entropy_with_logits(model.log_odds(learned)[0], yes))

    assert loss(changed) < loss(plain), "what is in `yes` counts as the formula's target"


def test_the_parents_may_differ_in_architecture_and_number(folder: Path) -> None:
    one = parent("cat", members=1, architecture=CNN(filters=(3, 5), size=24))
    model = FewShot(folder=folder).assemble(None, [PARENTS[0], one], Run())
    assert [len(part) for part in model.parts] == [2, 1]
    assert ranked(model) > 0.6


def test_a_parent_of_one_member_is_moved_by_the_mean_of_what_each_of_the_others_asks(folder: Path) -> None:
    one = parent("cat", members=1)

    def step(others: Population) -> torch.Tensor:
        part = FewShot(folder=folder).assemble(None, [others, one], Run()).parts[1]
        return part.log_odds(TEST) - one.log_odds(TEST)

    blacks = turned(PARENTS[0])
    alone = [step(blacks.select([member])) for member in range(2)]
    assert not torch.allclose(alone[0], alone[1], atol=0.01)
    torch.testing.assert_close(step(blacks), (alone[0] + alone[1]) / 2, atol=1e-4, rtol=1e-4)


def test_there_are_as_many_members_as_the_smallest_population_has(folder: Path) -> None:
    model = FewShot(folder=folder).assemble(None, [parent("black", members=3), PARENTS[1]], Run())
    assert [len(part) for part in model.parts] == [2, 2]
    assert len(model.members) == 2


def test_untrained_bodies_are_each_parents_own_and_leave_the_random_state(folder: Path) -> None:
    before = torch.get_rng_state()
    model = FewAlone(folder=folder, bodies="untrained").assemble(None, PARENTS, Run())
    assert torch.equal(torch.get_rng_state(), before)
    first, second = (part.features(TEST) for part in model.parts)
    assert not torch.allclose(first, second)
    assert not torch.allclose(first[0], first[1])


def test_untrained_bodies_keep_the_contract_too(folder: Path) -> None:
    check_assembler(FewAlone(folder=folder, bodies="untrained"))


def test_the_control_knows_nothing_of_the_parents_heads(folder: Path) -> None:
    others = [turned(one) for one in PARENTS]
    models = [FewAlone(folder=folder).assemble(None, parents, Run()) for parents in (PARENTS, others)]
    assert torch.equal(models[0].log_odds(TEST), models[1].log_odds(TEST))
    assert ranked(models[0]) > 0.7


def test_labels_are_stored_with_the_model(folder: Path) -> None:
    model = FewShot(folder=folder, most=3).assemble(None, PARENTS, Run())
    facts, tensors = pack(model)
    kept = unpack({"type": "ComposedModel", **facts}, tensors)
    assert isinstance(kept, ComposedModel)
    assert kept.labels == 6
    del facts["labels"]
    older = unpack({"type": "ComposedModel", **facts}, tensors)
    assert isinstance(older, ComposedModel)
    assert older.labels == 0


def test_what_is_wrong_with_a_folder_is_said_before_any_work(folder: Path, tmp_path: Path) -> None:
    def problem(made: FewShot) -> str:
        return "; ".join(f"{option}: {message}" for option, message in made.problems(["black", "cat"]))

    assert problem(FewShot(folder=folder)) == ""
    assert "no folder" in problem(FewShot(folder=tmp_path / "nowhere"))
    assert "most: asks for 9 pictures of each kind" in problem(FewShot(folder=folder, most=9))
    first = next((folder / "yes").iterdir())
    (folder / "no" / "copy.png").write_bytes(first.read_bytes())
    assert "are the same picture, byte for byte" in problem(FewShot(folder=folder))
    for file in (folder / "no").iterdir():
        file.unlink()
    assert "holds no picture" in problem(FewShot(folder=folder))
    (folder / "no").rmdir()
    assert "has no folder 'no'" in problem(FewShot(folder=folder))


@pytest.mark.parametrize("component", [FewShot, FewAlone])
def test_more_than_a_handful_is_refused_unless_most_says_how_many(
    component: type[FewShot] | type[FewAlone], tmp_path: Path
) -> None:
    for answer in layout.ANSWERS:
        (tmp_path / answer).mkdir()
        for index in range(layout.ENOUGH):
            (tmp_path / answer / f"{index}.png").write_text(f"{answer} {index}", encoding="utf-8")
    assert list(component(folder=tmp_path).problems(["black", "cat"])) == []
    (tmp_path / "no" / "one-more.png").write_bytes(b"one more")
    ((option, message),) = component(folder=tmp_path).problems(["black", "cat"])
    assert option == "folder"
    assert message.startswith(f"{tmp_path / 'no'} holds 101 pictures, more than a handful (100): ")
    assert message.endswith("say how many to take, `most: 100`")
    assert list(component(folder=tmp_path, most=100).problems(["black", "cat"])) == []
    with pytest.raises(ComposerError, match=f"{component.name}: folder: .* more than a handful"):
        component(folder=tmp_path).assemble(None, PARENTS, Run())


def test_an_unreadable_picture_is_named(folder: Path) -> None:
    (folder / "yes" / "broken.png").write_bytes(b"no picture")
    with pytest.raises(ComposerError, match=r"few_shot: folder: .*broken\.png: cannot be read"):
        FewShot(folder=folder).assemble(None, PARENTS, Run())


def test_a_parent_without_a_head_is_refused(folder: Path) -> None:
    headless = replace(PARENTS[0], outputs=(), _memo={})
    for component in (FewShot(folder=folder), FewAlone(folder=folder)):
        with pytest.raises(ComposerError, match=component.name):
            component.assemble(None, [headless, PARENTS[1]], Run())
