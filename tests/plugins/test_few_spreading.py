"""Label spreading beside the handful of labels of `few_shot`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.semi_supervised import LabelSpreading
from torch import Tensor

from composer import ComposerError, Expression, Population, Run
from composer_assembly import Product
from composer_few import FewAlone, FewShot, curve, moving, spreading
from composer_few.moving import Shown, moved
from composer_few.spreading import affinity, beside, spread, trials
from handfuls import PARENTS, TEST, ranked, turned, written

TARGET = Expression.all_of(["black", "cat"])


@pytest.fixture(autouse=True)
def short_curves(monkeypatch: pytest.MonkeyPatch) -> None:
    """No learning curve between no labels and all, which takes longer than all the rest."""
    monkeypatch.setattr(curve, "COUNTS", ())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight labelled pictures of each kind, and 40 others without labels."""
    written(tmp_path / "labels", 8)
    pictures = written(tmp_path / "all", 28)
    (tmp_path / "unlabelled").mkdir()
    known = {file.name for file in (tmp_path / "labels").rglob("*.png")}
    for file in pictures.rglob("*.png"):
        if file.name not in known:
            file.rename(tmp_path / "unlabelled" / file.name)
    return tmp_path


def few_shot(folder: Path, **options: object) -> FewShot:
    return FewShot.model_validate({"folder": folder / "labels", "unlabelled": folder / "unlabelled", **options})


def clusters(apart: float = 3.0) -> tuple[Tensor, Tensor]:
    """Features [60, 4] of two heaps of pictures, and which heap each is of."""
    generator = torch.Generator().manual_seed(3)
    heap = (torch.arange(60) % 2).double()
    return torch.randn(60, 4, generator=generator).double() + apart * heap[:, None], heap


def shown(features: Tensor, log_odds: Tensor, yes: Tensor) -> Shown:
    return Shown(("black", "cat"), TARGET, [features, features], log_odds, yes)


def test_labels_spread_as_those_of_scikit_learn_do() -> None:
    features, heap = clusters(apart=1.0)
    graph = affinity(features, 6)
    model = LabelSpreading(kernel=lambda one, other: graph.numpy(), alpha=0.7, max_iter=100_000, tol=1e-15)
    labels = np.where(np.arange(60) < 10, heap.numpy(), -1)
    model.fit(features.numpy(), labels)
    found = spread(graph, heap[:10], None, 0.7)
    np.testing.assert_allclose(found.said, model.label_distributions_[10:, 1], atol=1e-9)
    labels[3] = -1
    model.fit(features.numpy(), labels)
    np.testing.assert_allclose(found.without[:, 3], model.label_distributions_[10:, 1], atol=1e-9)


def test_what_parents_say_stands_where_no_label_is() -> None:
    features, heap = clusters(apart=30.0)
    before = torch.full_like(heap, 0.3)
    found = spread(affinity(features, 5), heap[:1], before, 0.9)
    assert heap[0] == 0, "the label says no"
    other = heap[1:] == 1
    torch.testing.assert_close(found.said[other], before[1:][other], atol=1e-9, rtol=0)
    assert (found.said[~other] < 0.3).all()
    torch.testing.assert_close(found.without[:, 0], before[1:], atol=1e-9, rtol=0)


def test_pictures_that_no_label_reaches_are_as_likely_the_target_as_not() -> None:
    features, heap = clusters(apart=30.0)
    found = spread(affinity(features, 5), heap[:1], None, 0.9)
    assert (found.said[heap[1:] == 1] == 0.5).all()
    assert (found.said[heap[1:] == 0] == 0).all()


def test_leaving_out_takes_away_what_a_label_told_its_neighbours() -> None:
    generator = torch.Generator().manual_seed(1)
    features, heap = clusters(apart=1.5)
    log_odds = torch.randn(2, 60, generator=generator).double()
    known, others = range(12), range(12, 60)

    def part(index: list[int]) -> Shown:
        return shown(features[index], log_odds[:, index], heap[index])

    def joint(labelled: list[int], rest: list[int]) -> tuple[Shown, Tensor]:
        found = beside(part(labelled), part(rest), 5, 0.9, knowing=False)
        assert found is not None
        found = replace(found, weighs=torch.ones_like(found.yes))
        return found, torch.stack([own @ own.T / 8 + 1 for own in found.features])

    whole, kernels = joint(list(known), list(others))
    echoes = whole.echoes
    assert echoes is not None
    _, closed = moving._most_probable(whole, kernels)
    real: list[float] = []
    blind: list[float] = []
    for left_out in known:
        kept = [index for index in known if index != left_out]
        fewer = replace(
            whole,
            features=[own[[*kept, *others]] for own in whole.features],
            log_odds=whole.log_odds[:, [*kept, *others]],
            yes=torch.cat([whole.yes[kept], whole.yes[12:] + echoes[12:, left_out]]),
            weighs=whole.weighs[[*kept, *others]],
            echoes=torch.zeros(59, 11).double(),
        )
        for yes, losses in ((fewer.yes, real), (torch.cat([whole.yes[kept], whole.yes[12:]]), blind)):
            index = [*kept, *others]
            weights, _ = moving._most_probable(replace(fewer, yes=yes), kernels[:, index][:, :, index])
            added = (kernels[:, left_out, index] * weights).sum(1)
            said, _ = whole.of_target(log_odds[:, [left_out]] + added[:, None])
            losses.append(float(whole.surprise(said, slice(left_out, left_out + 1))))
    assert abs(float(closed.mean()) - np.mean(real)) < 0.05 * np.mean(real)
    assert np.mean(blind) < 0.9 * np.mean(real), "else the neighbours tell of the picture that was left out"


def test_without_labels_it_is_the_product(folder: Path) -> None:
    model = few_shot(folder, most=0).assemble(None, PARENTS, Run())
    product = Product().assemble(None, PARENTS, Run())
    assert torch.equal(model.log_odds(TEST), product.log_odds(TEST))
    assert model.labels == 0


def test_two_labels_are_enough_where_pictures_lie_in_heaps() -> None:
    features, heap = clusters(apart=2.0)
    known = shown(features[:2], torch.zeros(2, 2).double(), heap[:2])
    others = shown(features[2:40], torch.zeros(2, 38).double(), heap[2:40])
    joint = beside(known, others, 5, 0.9, knowing=False)
    assert joint is not None
    steps = {
        name: moving._Tried(pictures, 10.0, moving._most_probable(pictures, 10 * kernels_of(pictures))[0], known.yes)
        for name, pictures in (("labels", known), ("spread", replace(joint, weighs=torch.ones(40).double())))
    }

    def right(name: str) -> float:
        slopes, shifts = steps[name].step()
        said = torch.stack([features[40:] @ slope + shift for slope, shift in zip(slopes, shifts, strict=True)])
        return float(((known.of_target(said)[0] > 0) == (heap[40:] > 0)).double().mean())

    assert right("spread") > 0.9
    assert right("spread") > right("labels")


def kernels_of(pictures: Shown) -> Tensor:
    return torch.stack([own @ own.T / scale + 1 for own, scale in map(moving.levelled, pictures.features)])


def test_unlabelled_pictures_count_only_where_they_clearly_help() -> None:
    features, heap = clusters(apart=2.0)
    coin = (torch.rand(60, generator=torch.Generator().manual_seed(5)) > 0.5).double()
    found = {}
    for name, yes in (("heaps", heap), ("coin", coin)):
        known = shown(features[:8], torch.zeros(2, 8).double(), yes[:8])
        joint = beside(known, shown(features[8:], torch.zeros(2, 52).double(), yes[8:]), 5, 0.9, knowing=True)
        assert joint is not None
        found[name] = moved(known, beside=trials(joint))
        assert len(found[name].losses) == 1 + (1 + len(spreading.WEIGHTS)) * len(moving.FREEDOMS)
    assert found["coin"].spread == 0


def test_only_labels_are_counted_and_what_unlabelled_pictures_weigh_is_measured(folder: Path) -> None:
    parents = [turned(PARENTS[0]), PARENTS[1]]
    run = Run()
    model = few_shot(folder).assemble(None, parents, run)
    assert model.labels == 16
    assert set(run.measured["spread"]) <= {0.0, *spreading.WEIGHTS}
    assert ranked(model) > ranked(Product().assemble(None, parents, Run())) + 0.1


def test_what_is_wrong_with_unlabelled_pictures_is_said_before_any_work(folder: Path) -> None:
    def problem(**options: object) -> str:
        return "; ".join(f"{option}: {message}" for option, message in few_shot(folder, **options).problems([]))

    assert problem() == ""
    assert "unlabelled: no folder" in problem(unlabelled=folder / "nowhere")
    assert "unlabelled: " in problem(unlabelled=empty(folder / "empty"))
    assert "neighbours: asks for 60 neighbours" in problem(neighbours=60)
    assert "there are 26 pictures" in problem(neighbours=26, unlabelled_most=10)
    first = next((folder / "labels" / "yes").iterdir())
    (folder / "unlabelled" / "copy.png").write_bytes(first.read_bytes())
    assert "are the same picture, byte for byte" in problem()


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_networks_to_which_all_pictures_look_the_same_spread_nothing_and_say_so(folder: Path) -> None:
    blind = [blinded(parent) for parent in PARENTS]
    run = Run()
    model = few_shot(folder).assemble(None, blind, run)
    assert len(run.warnings) == len(model.members)
    assert all("all pictures look the same to it" in warning for warning in run.warnings)
    assert run.measured["spread"] == [0.0, 0.0]
    assert bool(model.log_odds(TEST).isfinite().all())


def blinded(parent: Population, value: float = 0.0) -> Population:
    weights = {
        name: tensor if name.startswith("fc1") else torch.full_like(tensor, value)
        for name, tensor in parent.weights.items()
    }
    return replace(parent, weights=weights, _memo={})


def test_numbers_that_are_not_finite_are_refused_by_name(folder: Path) -> None:
    for options in (few_shot(folder), FewAlone(folder=folder / "labels")):
        with pytest.raises(ComposerError, match=f"{options.name}: what the networks of 'cat' say .* is not finite"):
            options.assemble(None, [PARENTS[0], blinded(PARENTS[1], float("nan"))], Run())
