"""Translators by closed form, flow and teaching, and what is said of results that came out badly."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from composer import ComposerError, KernelSet, Lines, Population, Run, recalibrated
from composer_translation import Flow, Ridge, Taught, Transport
from composer_translation.flow import Space
from composer_translation.judging import Body, error
from composer_translation.maps import carried, predicted
from composer_translation.members import Form, pairs
from composer_translation.taught import Lesson, split, teach
from tiny import ARCHITECTURE, tiny_kernels, tiny_population, training_images

BLACK, CAT = tiny_population("black", members=3), tiny_population("cat", members=3, seed=1)
PICTURES = (training_images("black"), training_images("cat"))
QUICK = Taught(steps=2, networks=2, pictures=40)


def kernels_of(population: Population) -> KernelSet:
    layers = {layer: population.weights[f"{layer}.weight"] for layer in ("conv1", "conv2")}
    return KernelSet(population.concept, layers, population.members)


def surroundings(parents: Sequence[Population] = (BLACK, CAT), seed: int = 3) -> Run:
    return Run(seed, pictures=PICTURES, parents=tuple(parents))


def taught(options: Taught = QUICK, parents: Sequence[Population] = (BLACK, CAT)) -> tuple[Lesson, Run]:
    run = surroundings(parents)
    return teach(options, [kernels_of(parent) for parent in parents], run), run


def random_rows(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# -- taught ------------------------------------------------------------------------------------


def test_networks_are_made_of_members_that_training_never_saw() -> None:
    lesson, _ = taught()
    stranger = tiny_population("black", members=3, seed=9)
    changed = {name: torch.cat([tensor[:2], stranger.weights[name][2:]]) for name, tensor in BLACK.weights.items()}
    other, run = taught(parents=(replace(BLACK, weights=changed, _memo={}), CAT))
    for before, after in zip(lesson.generator.learned, other.generator.learned, strict=True):
        assert torch.equal(before, after), "the member held out plays no part in training"
    made = Taught.translate(QUICK, [kernels_of(BLACK), kernels_of(CAT)], run)
    assert made.members == ("black 2 + cat 2",)


def test_what_the_generator_makes_depends_on_members_it_never_saw_and_on_their_order() -> None:
    lesson, run = taught()
    parents = [kernels_of(BLACK), kernels_of(CAT)]
    made = {how: lesson.applied(parents, how, run).layers["conv2"] for how in ("members", "shuffled", "mean")}
    assert not torch.allclose(made["members"], made["shuffled"])
    assert not torch.allclose(made["members"], made["mean"])


def test_teaching_lowers_the_error_that_heads_are_left_with() -> None:
    _, run = taught(Taught(steps=40, networks=2, pictures=60, learning_rate=0.01))
    figure = run.figures["teaching"]
    assert isinstance(figure, Lines)
    (curve,) = figure.series.values()
    assert sum(curve[-5:]) < 0.9 * sum(curve[:5])


def test_an_untaught_generator_gives_the_mean_of_the_members() -> None:
    lesson, run = taught(Taught(steps=1, learning_rate=1e-12))
    made = lesson.applied([kernels_of(BLACK), kernels_of(CAT)], "members", run)
    mean = (BLACK.weights["conv2.weight"][2] + CAT.weights["conv2.weight"][2]) / 2
    torch.testing.assert_close(made.layers["conv2"][0], mean, rtol=1e-4, atol=1e-5)


def test_labels_and_pictures_of_the_target_are_not_needed_but_parents_and_pictures_are() -> None:
    kernels = [kernels_of(BLACK), kernels_of(CAT)]
    with pytest.raises(ComposerError, match="both must be at hand"):
        QUICK.translate(kernels, Run(pictures=PICTURES))
    with pytest.raises(ComposerError, match="both must be at hand"):
        QUICK.translate(kernels, Run(parents=(BLACK, CAT)))
    headless = replace(CAT, weights=CAT.body_weights, outputs=(), _memo={})
    with pytest.raises(ComposerError, match="taught: the population of 'cat' has no head"):
        QUICK.translate(kernels, surroundings((BLACK, headless)))


def test_a_parent_of_one_member_is_said_to_be_judged_on_what_it_taught() -> None:
    run = surroundings()
    seen, unseen = split([tiny_kernels("black", 1), tiny_kernels("cat", 6)], 0.34, run)
    assert (seen, unseen) == ([[0], [0, 1, 2, 3]], [[0], [4, 5]])
    assert run.warnings == ["taught: 'black' has one member, so it is judged on what it has learned from"]


def test_members_held_out_go_together_each_with_its_neighbour_first() -> None:
    assert pairs([[4, 5], [7, 8]], 6) == [(4, 7), (5, 8), (4, 8), (5, 7)]
    assert pairs([[4, 5], [7, 8]], 3) == [(4, 7), (5, 8), (4, 8)]
    assert pairs([[0], [7, 8]], 6) == [(0, 7), (0, 8)]


def test_a_made_network_is_judged_as_it_is_used() -> None:
    images = PICTURES[0]
    headless = replace(BLACK, weights=BLACK.body_weights, outputs=(), _memo={})
    used = recalibrated(headless, [images], Run()).features(images)
    weights = {name: tensor[1] for name, tensor in BLACK.weights.items() if name.startswith("conv")}
    judged = Body(ARCHITECTURE).features(weights, BLACK.preprocessing(images.at(16)))
    torch.testing.assert_close(judged, used[1], rtol=1e-4, atol=1e-5)


def test_the_error_is_nothing_where_features_tell_all_and_one_where_they_tell_nothing() -> None:
    features = random_rows(60, 4)
    said = features @ random_rows(4, 2, seed=1) + 3
    assert float(error(features, said, 1e-6)) < 1e-6
    assert float(error(torch.zeros_like(features), said, 0.1)) == pytest.approx(1, abs=0.3)
    assert float(error(random_rows(60, 4, seed=5), said, 0.1)) > 0.8


def test_few_and_many_features_are_fitted_alike() -> None:
    features, said = random_rows(30, 12), random_rows(30, 2, seed=1)
    padded = torch.cat([features, torch.zeros(30, 24, dtype=torch.float64)], 1)  # 36 features, 20 pictures to fit
    assert float(error(features, said, 0.1)) == pytest.approx(float(error(padded, said, 0.3)))


# -- maps --------------------------------------------------------------------------------------


def test_a_member_is_predicted_from_all_pairs_but_its_own() -> None:
    own, other = random_rows(5, 8), random_rows(5, 8, seed=1)
    changed = other.clone()
    changed[2] += 1
    before, after = (predicted(own, partners, 1.0) for partners in (other, changed))
    assert torch.equal(before[2], after[2])
    assert not torch.allclose(before[1], after[1])


def test_ridge_finds_a_linear_map() -> None:
    own = random_rows(12, 3)
    other = own @ random_rows(3, 3, seed=1) + 2
    torch.testing.assert_close(predicted(own, other, 1e-9), other, rtol=1e-4, atol=1e-4)


def test_transport_undoes_a_shuffle_and_shares_out_where_numbers_differ() -> None:
    own = random_rows(6, 5)
    order = torch.tensor([3, 0, 5, 1, 4, 2])
    torch.testing.assert_close(carried(own, own[order] + 0.01), own + 0.01)
    twice = torch.cat([own, own]) + 0.01
    torch.testing.assert_close(carried(own, twice), own + 0.01, rtol=0, atol=0.05)


@pytest.mark.parametrize("translator", [Ridge(), Transport()])
def test_maps_give_the_objects_members_and_then_each_attributes(translator: Ridge | Transport) -> None:
    made = translator.translate([tiny_kernels("black", 2), tiny_kernels("cat", 3, seed=1)], Run())
    assert made.concept == "black+cat"
    assert made.members == (*(f"cat {i} -> black" for i in range(3)), *(f"black {i} -> cat" for i in range(2)))


def test_transport_goes_half_the_way() -> None:
    black, cat = tiny_kernels("black", 1), tiny_kernels("cat", 1, seed=1)
    made = Transport().translate([black, cat], Run())
    torch.testing.assert_close(made.layers["conv1"][0], (black.layers["conv1"][0] + cat.layers["conv1"][0]) / 2)


def test_one_pair_leaves_ridge_nothing_to_learn_from_and_it_says_so() -> None:
    run = Run()
    Ridge().translate([tiny_kernels("black", 1), tiny_kernels("cat", 1, seed=1)], run)
    assert "no others to learn from" in run.warnings[0]


# -- flow --------------------------------------------------------------------------------------


def test_principal_components_bring_members_back() -> None:
    rows = random_rows(5, 9)
    space = Space.of(rows)
    assert len(space.axes) == 4
    torch.testing.assert_close(space.mean + space.places(rows) @ space.axes, rows)
    torch.testing.assert_close(space.places(rows).std(0), torch.ones(4, dtype=torch.float64))


def test_a_flow_draws_as_many_networks_as_asked_for_near_the_members() -> None:
    parents = [tiny_kernels("black", 4), tiny_kernels("cat", 3, seed=1)]
    made = Flow(steps=300, learning_rate=0.01, members=5).translate(parents, Run(1))
    assert len(made) == 5
    rows = torch.cat([parent.layers["conv1"] for parent in parents])
    assert float(made.layers["conv1"].std()) == pytest.approx(float(rows.std()), rel=0.5)
    assert len(Flow(steps=1).translate(parents, Run())) == 3


def test_a_flow_that_diverges_says_so() -> None:
    with pytest.raises(ComposerError, match=r"flow: training diverged in step \d+ of 300: .*; lower learning_rate"):
        Flow(steps=300, learning_rate=1.0).translate([tiny_kernels("black"), tiny_kernels("cat", seed=1)], Run())


# -- what came out badly -----------------------------------------------------------------------


def shown(rows: Tensor) -> Run:
    parents = [tiny_kernels("black"), tiny_kernels("cat", seed=1)]
    run = Run()
    Form.of(parents, "made").kernels(rows, parents, ["one", "two"], "made", run)
    return run


def test_networks_that_are_all_the_same_and_dead_ones_are_named() -> None:
    parents = [tiny_kernels("black"), tiny_kernels("cat", seed=1)]
    rows = Form.of(parents, "made").rows(parents[0])[:2]
    assert shown(rows).warnings == []
    same = shown(rows[:1].repeat(2, 1) * torch.tensor([[1.0], [1.0001]]))
    assert same.warnings == ["made: it collapsed: all 2 networks are the same, whatever members they are made of"]
    rows[1, : 2 * 3 * 25] = 0
    assert shown(rows).warnings == ["made: 1 of 2 networks are dead, a layer of zeros: two"]
    rows[0, 0] = torch.inf
    with pytest.raises(ComposerError, match="made: it diverged: 1 of 2 networks are not finite, 'one' first"):
        shown(rows)


@pytest.mark.parametrize("translator", [Ridge(), Transport(), Flow(steps=1), QUICK])
def test_kernels_that_do_not_fit_or_are_not_finite_are_refused(translator: Ridge | Transport | Flow | Taught) -> None:
    black, cat = tiny_kernels("black"), tiny_kernels("cat", seed=1)
    fewer = replace(cat, layers={"conv1": cat.layers["conv1"]})
    with pytest.raises(ComposerError, match=f"{translator.name}: the kernels of 'black' and 'cat' must have the same"):
        translator.translate([black, fewer], surroundings())
    broken = replace(cat, layers={**cat.layers, "conv2": cat.layers["conv2"] * torch.nan})
    with pytest.raises(ComposerError, match=f"{translator.name}: kernels of 'cat' are not finite in layer 'conv2'"):
        translator.translate([black, broken], surroundings())
