"""A linear head on a frozen network's features."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pydantic import ValidationError
from sklearn.metrics import roc_auc_score

from composer import ComposerError, Images, Run, Split
from composer_checkpoints import Checkpoints
from composer_cnn import CNN
from composer_efficientnet_lite import PretrainedEfficientNetLite, weights_file
from composer_fit import Fit
from composer_fit.fitting import fitted
from composer_folder import Folder
from tiny import product_of_experts, tiny_images, tiny_population, training_images

ARCHITECTURE = CNN(filters=(4, 8), size=16)


@pytest.fixture
def backbone(tmp_path: Path) -> Checkpoints:
    """Two untrained networks, whose features tell something all the same."""
    population = tiny_population("anything", members=2, architecture=ARCHITECTURE)
    for index, name in enumerate(population.members):
        torch.save({key: tensor[index] for key, tensor in population.weights.items()}, tmp_path / f"{name}.pth")
    return Checkpoints(pattern=tmp_path / "*.pth", architecture=ARCHITECTURE)


def run_with(images: Images, seed: int = 0) -> Run:
    return Run(seed=seed, pictures=(images,))


def auc(log_odds: torch.Tensor, shown: NDArray[np.bool_]) -> float:
    return float(roc_auc_score(shown, log_odds.numpy()))


def global_state() -> tuple[list[int], list[int], int, int]:
    """What a component must leave as it is: the states of torch's and numpy's generators, and torch's threads."""
    numpy_state = np.random.get_state(legacy=False)["state"]  # noqa: NPY002
    return torch.get_rng_state().tolist(), numpy_state["key"].tolist(), numpy_state["pos"], torch.get_num_threads()


def test_the_head_knows_its_concept_on_new_pictures(backbone: Checkpoints) -> None:
    test = tiny_images(30, seed=9)
    test = test.select(np.flatnonzero(~test.target))  # black cats are another matter: none was in training
    for concept in ("black", "cat"):
        population = Fit(backbone=backbone).load(concept, run_with(training_images(concept, 80)))
        for member in population.log_odds(test):
            assert auc(member, test.labels[concept]) > 0.9, concept


def test_the_body_stays_and_the_head_has_two_outputs(backbone: Checkpoints) -> None:
    frozen = backbone.load("black", Run())
    population = Fit(backbone=backbone).load("black", run_with(training_images("black")))
    assert population.members == ("black on anything 0", "black on anything 1")
    assert population.concept == "black"
    assert population.outputs == (0,)
    assert population.weights["fc1.weight"].shape == (2, 2, ARCHITECTURE.feature_count)
    assert set(population.weights) == set(frozen.weights)
    for name, tensor in frozen.weights.items():
        assert name.startswith("fc1.") or torch.equal(tensor, population.weights[name]), name
    assert population.body_digest == frozen.body_digest, "features would be computed anew for every concept"


def test_a_file_without_a_head_is_fitted_like_the_one_that_has_it(backbone: Checkpoints, tmp_path: Path) -> None:
    with_heads = Fit(backbone=backbone).load("black", run_with(training_images("black")))
    for file in sorted(backbone.pattern.parent.glob("*.pth")):
        state = {name: tensor for name, tensor in torch.load(file).items() if not name.startswith("fc1.")}
        (tmp_path / "bodies").mkdir(exist_ok=True)
        torch.save(state, tmp_path / "bodies" / file.name)
    headless = Checkpoints(pattern=tmp_path / "bodies" / "*.pth", architecture=ARCHITECTURE)
    fitted = Fit(backbone=headless).load("black", run_with(training_images("black")))
    assert fitted.weights.keys() == with_heads.weights.keys()
    assert torch.equal(fitted.weights["fc1.weight"], with_heads.weights["fc1.weight"])


@pytest.mark.parametrize("scaling", ["each", "common"])
def test_the_scaling_is_folded_into_the_head(backbone: Checkpoints, scaling: Literal["each", "common"]) -> None:
    images, test = training_images("cat"), tiny_images(5, seed=9)
    options = Fit(backbone=backbone, strengths=(10.0,), scaling=scaling)
    population = options.load("cat", run_with(images))
    seen, new = (backbone.load("cat", Run()).features(each)[0].double().numpy() for each in (images, test))
    wanted = fitted(seen, images.labels["cat"], 10.0, options).log_odds(new)
    np.testing.assert_allclose(population.log_odds(test)[0].numpy(), wanted, rtol=1e-3, atol=1e-3)


def test_a_common_scale_leaves_features_as_unequal_as_they_are(backbone: Checkpoints) -> None:
    rng = np.random.default_rng(0)
    shown = np.arange(200) % 2 == 0
    both = shown[:, None] + rng.normal(size=(200, 2))  # two features that tell equally much ...
    features = both * [3.0, 0.03]  # ... of which one hardly varies
    each, common = (fitted(features, shown, 10.0, Fit(backbone=backbone, scaling=one)) for one in ("each", "common"))
    assert each.scale == pytest.approx(features.std(0))
    assert common.scale == pytest.approx(np.sqrt(features.var(0).mean()))
    share = [
        float(np.divide(*np.abs(head.classifier.coef_[0] * features.std(0) / head.scale))) for head in (each, common)
    ]
    assert 0.5 < share[0] < 2
    assert share[1] > 20, "the penalty keeps the feature that hardly varies from having a say"
    for factor in (1e-3, 1e3):  # the unit of the features does not matter
        again = fitted(features * factor, shown, 10.0, Fit(backbone=backbone, scaling="common"))
        np.testing.assert_allclose(again.log_odds(features * factor), common.log_odds(features), rtol=1e-3, atol=1e-3)
    flat = fitted(np.ones((200, 2)), shown, 10.0, Fit(backbone=backbone, scaling="common"))
    assert np.isfinite(flat.log_odds(np.ones((1, 2)))).all()


def test_features_that_never_vary_do_no_harm(tmp_path: Path) -> None:
    population = tiny_population("anything", members=1, architecture=ARCHITECTURE)
    state = {key: tensor[0].clone() for key, tensor in population.weights.items()}
    state["conv2.bias"][0] = -1e3  # after ReLU this filter is zero on every picture
    torch.save(state, tmp_path / "dead.pth")
    source = Fit(backbone=Checkpoints(pattern=tmp_path / "dead.pth", architecture=ARCHITECTURE))
    fitted = source.load("black", run_with(training_images("black")))
    assert fitted.weights["fc1.weight"].isfinite().all()


def test_the_same_seed_gives_the_same_head_and_leaves_the_global_state_alone(backbone: Checkpoints) -> None:
    images = training_images("black")
    before = global_state()
    first, again = (Fit(backbone=backbone).load("black", run_with(images, seed=5)) for _ in range(2))
    assert torch.equal(first.weights["fc1.weight"], again.weights["fc1.weight"])
    assert global_state() == before


def test_the_strength_with_the_lowest_held_out_loss_is_taken(backbone: Checkpoints) -> None:
    images = training_images("black")
    run = run_with(images)
    chosen = Fit(backbone=backbone, strengths=(1e-3, 10.0, 1e6)).load("black", run)
    figure = run.figures["fit"]
    for index, losses in enumerate(figure.series.values()):  # type: ignore[union-attr]
        best = (1e-3, 10.0, 1e6)[int(np.argmin(losses))]
        alone = Fit(backbone=backbone, strengths=(best,)).load("black", run_with(images))
        assert torch.equal(chosen.weights["fc1.weight"][index], alone.weights["fc1.weight"][index])
    assert "AUC" in figure.title


def test_balanced_heads_do_not_lean_to_the_commoner_kind(backbone: Checkpoints) -> None:
    images = training_images("cat", 80)
    few = images.select([*np.flatnonzero(~images.labels["cat"]), *np.flatnonzero(images.labels["cat"])[:4]])
    strong = (1e6,)  # nothing but the bias is fitted
    leaning = Fit(backbone=backbone, strengths=strong, balanced=False).load("cat", run_with(few))
    level = Fit(backbone=backbone, strengths=strong).load("cat", run_with(few))
    assert leaning.log_odds(images).median() < -1
    assert abs(level.log_odds(images).median()) < 0.1


def test_a_parent_that_cannot_do_its_own_concept_is_warned_of(backbone: Checkpoints) -> None:
    images = training_images("black", 60)
    shuffled = np.random.default_rng(0).permutation(images.labels["black"])
    run = run_with(Images(images.names, {"black": shuffled}, images.at(16)))
    Fit(backbone=backbone).load("black", run)
    assert len(run.warnings) == 1
    assert "2 of 2 heads fitted for 'black'" in run.warnings[0]
    assert "AUC 0." in run.warnings[0]
    good = run_with(images)
    Fit(backbone=backbone).load("black", good)
    assert good.warnings == []


def test_both_kinds_of_pictures_are_needed_twice_each(backbone: Checkpoints) -> None:
    images = training_images("black")
    shown, not_shown = np.flatnonzero(images.labels["black"]), np.flatnonzero(~images.labels["black"])
    with pytest.raises(ComposerError, match="no picture of 'black'"):
        Fit(backbone=backbone).load("black", run_with(images.select(not_shown)))
    with pytest.raises(ComposerError, match="two pictures with 'black' and two without"):
        Fit(backbone=backbone).load("black", run_with(images.select([*not_shown, shown[0]])))
    few = run_with(images.select([*not_shown, *shown[:2]]))  # fewer than there are folds
    assert len(Fit(backbone=backbone).load("black", few)) == 2


def test_the_source_is_what_its_backbone_is(backbone: Checkpoints) -> None:
    source = Fit(backbone=backbone)
    assert source.network == ARCHITECTURE
    assert list(source.files()) == list(backbone.files())


@pytest.mark.parametrize("strength", [float("inf"), float("nan")])
def test_a_strength_that_is_no_finite_number_makes_no_component(backbone: Checkpoints, strength: float) -> None:
    with pytest.raises(ValidationError, match="finite number"):
        Fit(backbone=backbone, strengths=(1.0, strength))


@pytest.mark.parametrize("strengths", [(), (1.0, 0.0), (-1.0,)])
def test_strengths_must_be_numbers_above_zero(backbone: Checkpoints, strengths: tuple[float, ...]) -> None:
    problems = list(Fit(backbone=backbone, strengths=strengths).problems(("black", "cat")))
    assert [option for option, _ in problems] == ["strengths"]


@pytest.mark.slow
def test_black_cats_are_found_on_photographs_with_no_black_cat_seen(shared: Path) -> None:
    if weights_file() is None:
        pytest.skip("the extra 'pretrained' is not installed")
    if not (shared / "catdog").is_dir():
        pytest.skip(f"no real data: {shared / 'catdog'} is absent")
    concepts = ("black", "cat")
    source = Folder.model_validate({"size": 224}, context={"root": shared / "catdog"})
    test = source.load(Split(concepts), Run())
    parts = []
    for concept in concepts:
        run = run_with(source.load(Split(concepts, concept), Run()))
        parts.append(Fit(backbone=PretrainedEfficientNetLite()).load(concept, run))
        assert run.warnings == []
    alone = torch.stack([part.log_odds(test) for part in parts])
    scores = product_of_experts(alone)[0]
    target, cells = test.target, np.asarray(test.cells)
    hardest = min(
        auc(scores[torch.from_numpy(target | (cells == cell))], target[target | (cells == cell)])
        for cell in ("black", "cat", "none")
    )
    assert auc(scores, target) >= 0.985
    assert hardest >= 0.96
    for part in alone:
        assert auc(part[0], target) < 0.9, "one parent alone should not do it"
