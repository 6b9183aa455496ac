"""The assembler `learned_choice`, the scorer that chooses in it, and how the scorer learns."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from composer import ComposerError, Population, Run
from composer_cifar_resnet import CifarResNet
from composer_cnn import CNN
from composer_merging import ChannelChoice, LearnedChoice, Learning, learn_scorer
from composer_merging.learning import example, kept_softly, learn, solved
from composer_merging.scorer import Scorer, best, described
from tiny import tiny_images, tiny_population, trained_like, training_images

PLAIN = CNN(filters=(4, 6), kernel_size=3, size=16)
PICTURES = (training_images("black"), training_images("cat", seed=2))
PARENTS = (trained_like(PLAIN, "black"), trained_like(PLAIN, "cat", seed=1))
QUICK = Learning(steps=3, members=1, pictures=30, hidden=8)


def random(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def some_units(seed: int = 0) -> tuple[Tensor, Tensor]:
    """Covariance of two networks' four units each, and what the next layers ask of them."""
    answers, weights = random(50, 8, seed=seed), random(8, 8, seed=seed + 1)
    return answers.T @ answers / 50, weights @ weights.T


def learned(seed: int = 0) -> Scorer:
    """A scorer whose last layer is not zero."""
    scorer = Scorer.fresh(8, torch.Generator().manual_seed(seed))
    return replace(scorer, weights={**scorer.weights, "leave": random(8, 1).float()}, concepts=("white", "dog"))


def merged(choice: LearnedChoice | ChannelChoice, run: Run | None = None) -> Population:
    (part,) = choice.assemble(None, PARENTS, run or Run(seed=3, pictures=PICTURES)).parts
    return part


def test_a_fresh_scorer_chooses_what_regression_chooses(tmp_path: Path) -> None:
    Scorer.fresh(8, torch.Generator().manual_seed(0)).save(tmp_path / "fresh")
    found, wanted = merged(LearnedChoice(scorer=tmp_path / "fresh")), merged(ChannelChoice())
    for name, tensor in wanted.weights.items():
        assert torch.equal(found.weights[name], tensor), name


def test_a_unit_has_the_same_score_wherever_it_stands() -> None:
    covariance, demand = some_units()
    order = torch.tensor([6, 4, 7, 5, 1, 0, 3, 2])  # the networks change places, and their units too
    scores = learned()(described(covariance, demand))
    moved = learned()(described(covariance[order][:, order], demand[order][:, order]))
    torch.testing.assert_close(moved, scores[order], rtol=1e-4, atol=1e-5)
    assert len(set(scores.tolist())) == 8


def test_a_scorer_looks_at_more_than_the_order_of_regression() -> None:
    units = described(*some_units())
    added = learned()(units) - units.start
    assert float(added.std()) > 0.1
    alone = learned()(replace(units, alike=torch.zeros_like(units.alike))) - units.start
    assert not torch.allclose(added, alone), "it sees which units are alike"


def test_units_that_never_change_have_finite_scores() -> None:
    covariance, demand = some_units()
    covariance[2] = covariance[:, 2] = 0
    for some in (covariance, torch.zeros_like(covariance)):
        assert bool(learned()(described(some, demand)).isfinite().all())


def test_the_best_units_keep_their_own_order() -> None:
    assert best(torch.tensor([0.1, 0.9, 0.5, 0.7]), 3) == [1, 2, 3]


def test_a_scorer_comes_back_from_its_file_and_other_files_are_refused(tmp_path: Path) -> None:
    scorer = learned()
    scorer.save(tmp_path / "scorer")
    back = Scorer.load(tmp_path / "scorer")
    assert back.concepts == ("white", "dog")
    assert all(torch.equal(back.weights[name], tensor) for name, tensor in scorer.weights.items())
    (tmp_path / "other").write_text("no tensors", encoding="utf-8")
    with pytest.raises(ComposerError, match="other: cannot be read as a scorer"):
        Scorer.load(tmp_path / "other")


def test_the_control_chooses_by_chance_of_the_seed_and_needs_no_file() -> None:
    by_chance = LearnedChoice(choice="random")
    first, same, other = (merged(by_chance, Run(seed=seed, pictures=PICTURES)).weights for seed in (1, 1, 2))
    assert all(torch.equal(tensor, same[name]) for name, tensor in first.items())
    assert not torch.equal(first["conv1.weight"], other["conv1.weight"])
    with pytest.raises(ComposerError, match="learned_choice: zoo: say pairs of other concepts to learn from"):
        merged(LearnedChoice())


def test_a_scorer_that_learned_from_a_parents_concept_is_told_of(tmp_path: Path) -> None:
    replace(learned(), concepts=("black", "dog")).save(tmp_path / "scorer")
    run = Run(pictures=PICTURES)
    merged(LearnedChoice(scorer=tmp_path / "scorer"), run)
    assert any("the scorer has learned from 'black', so that it says nothing" in said for said in run.warnings)


def test_what_is_learned_is_a_function_of_pairs_and_seed_and_the_file_names_the_concepts(tmp_path: Path) -> None:
    for name, seed in (("one", 5), ("same", 5), ("other", 6)):
        learn_scorer([(PARENTS, PICTURES)], tmp_path / name, QUICK, Run(seed=seed))
    one, same, other = (Scorer.load(tmp_path / name) for name in ("one", "same", "other"))
    assert one.concepts == ("black", "cat")
    assert torch.equal(one.weights["leave"], same.weights["leave"])
    assert not torch.equal(one.weights["leave"], other.weights["leave"])
    assert bool(one.weights["leave"].any()), "it has learned"


def test_an_error_is_as_a_network_of_the_kept_units_has_it() -> None:
    """With all units kept, layer and head are plain ridge regressions on what both networks give."""
    own = example(PARENTS, PICTURES, 0, 30, Run())
    everything = [torch.full((8,), 1 - 1e-6), torch.full((12,), 1 - 1e-6)]
    features = F.max_pool2d(own.wanted, 2).relu().flatten(1)
    mean, level = features[:20].mean(0), own.said[:20].mean(0)
    head = solved(features[:20] - mean, own.said[:20] - level, torch.ones(features.shape[1]), 0.1)
    missed = ((features[20:] - mean) @ head + level - own.said[20:]).square().mean(0)
    spread = (own.said[20:] - level).square().mean(0).clamp(min=1e-6)
    found = float(own.missed(everything[0], everything[1], 1e-7))
    assert found == pytest.approx(float((missed / spread).mean()), rel=0.01)


def test_inputs_that_are_not_kept_get_no_weights_with_few_and_with_many_pictures() -> None:
    inputs, outputs = random(40, 6), random(40, 2, seed=1)
    kept = torch.tensor([1, 1, 1e-9, 1, 1e-9, 1], dtype=torch.float64)
    alone = torch.linalg.lstsq(inputs[:, [0, 1, 3, 5]], outputs).solution
    for found in (solved(inputs, outputs, kept, 1e-9), solved(inputs[:4], outputs[:4], kept, 1e-3)):
        assert float(found[[2, 4]].abs().max()) < 1e-6
    torch.testing.assert_close(solved(inputs, outputs, kept, 1e-9)[[0, 1, 3, 5]], alone, rtol=1e-5, atol=1e-6)


def test_gradients_say_that_a_unit_that_is_missing_would_help() -> None:
    own = example(PARENTS, PICTURES, 0, 40, Run())
    signal = F.max_pool2d(own.wanted, 2).relu()[:, :1].mean((2, 3))
    scores = torch.linspace(0.49, 0.51, 12).requires_grad_()
    told = replace(own, said=(signal - signal.mean()).repeat(1, 2))  # all that is asked is what unit 0 says
    everything = torch.full((8,), 0.99)
    told.missed(everything, kept_softly(scores, 6), 1e-3).backward()  # type: ignore[no-untyped-call]
    assert scores.grad is not None
    assert int(scores.grad[:6].argmin()) == 0, "of those that are left out, to keep unit 0 lowers the error most"
    assert kept_softly(scores, 6).gt(0.5).tolist() == [False] * 6 + [True] * 6


def test_a_training_that_diverges_and_networks_that_it_cannot_learn_from_are_named() -> None:
    with pytest.raises(
        ComposerError, match=r"learn_scorer: it diverged in step 2 of 3; lower learning_rate \(3e\+37\)"
    ):
        learn(replace(QUICK, learning_rate=3e37, hidden=64), [(PARENTS, PICTURES)], Run())
    deep = [tiny_population(concept, 1, architecture=CifarResNet(filters=2, size=16)) for concept in ("black", "cat")]
    with pytest.raises(ComposerError, match="learns from networks of `cnn`, not of 'cifar_resnet'"):
        learn(QUICK, [(deep, PICTURES)], Run())
    with pytest.raises(ComposerError, match="no pairs"):
        learn(QUICK, [], Run())


def test_a_scorer_of_small_networks_serves_deep_ones_and_any_width(tmp_path: Path) -> None:
    learned().save(tmp_path / "scorer")
    deep = [trained_like(CifarResNet(filters=2, size=8), concept, 1) for concept in ("black", "cat")]
    choice = LearnedChoice(scorer=tmp_path / "scorer", width=1.5, pictures=24)
    (part,) = choice.assemble(None, deep, Run(pictures=PICTURES)).parts
    assert part.weights["conv1.weight"].shape[1] == 3
    assert bool(part.features(tiny_images()).isfinite().all())
