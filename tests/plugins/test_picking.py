"""The criteria that come with composer, and what a pick keeps whatever the criterion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from composer import ComposedModel, Criterion, Images, Run
from composer.data.scores import consensus_pick
from composer.judging import picking
from composer.judging.picking import CriterionError, MemberFeatures, pick_member
from composer_picking import Agreement, Stability
from composer_picking.alignment import alignment
from composer_picking.stability import of_features, of_log_odds, otsu
from tiny import tiny_images, tiny_population

IMAGES = tiny_images(per_cell=8)
CRITERIA: tuple[Criterion, ...] = (Agreement(), Stability())


class Given(Criterion):
    """Gives what it is told to, and remembers what it was given."""

    name = "given"
    picked_by = "what it was told"
    found: Any = None
    seen: list[Any] = []  # noqa: RUF012  # pydantic copies it for every instance

    def values(self, log_odds: Any, features: Sequence[torch.Tensor], run: Run) -> Any:
        self.seen.append((log_odds, [features[index] for index in range(len(features))]))
        return self.found


def product(**changed: torch.Tensor) -> ComposedModel:
    """Four members; `changed` replaces the first's weights."""
    black = tiny_population("black", members=4, seed=1)
    weights = {name: value.clone() for name, value in black.weights.items()}
    for name, value in changed.items():
        weights[name.replace("_", ".")][0] = value
    return ComposedModel((replace(black, weights=weights),), black.members)


def headless(**changed: torch.Tensor) -> ComposedModel:
    model = product(**changed)
    return ComposedModel((replace(model.parts[0], outputs=()),), model.members)


def parted(gap: float, seed: int = 0) -> NDArray[np.float64]:
    """Log-odds of 80 pictures in two groups."""
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(0, 1, 50), rng.normal(gap, 1, 30)])


# -- the pick ------------------------------------------------------------------------------------


def test_by_log_odds_agreement_picks_as_recognition_did() -> None:
    model = product()
    pick = pick_member(Agreement(), model, IMAGES, Run())
    assert pick.member == consensus_pick(model.log_odds(IMAGES).double().numpy())
    assert pick.by == "agreement with the other members"


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda one: one.name)
def test_no_label_enters_the_pick(criterion: Criterion) -> None:
    exchanged = Images(IMAGES.names, {name: values[::-1] for name, values in IMAGES.labels.items()}, IMAGES.at(16))
    for model in (product(), headless()):
        first, second = (pick_member(criterion, model, images, Run(seed=3)) for images in (IMAGES, exchanged))
        assert first.values.tobytes() == second.values.tobytes()


@pytest.mark.parametrize("criterion", CRITERIA, ids=lambda one: one.name)
@pytest.mark.parametrize(
    ("model", "said"),
    [
        (
            product(fc1_weight=torch.tensor(0.0), fc1_bias=torch.tensor([0.4, 0.0])),
            "1 of 4 members are dead: they have the same log-odds for every picture",
        ),
        (
            product(fc1_weight=torch.tensor([[1e-7], [0.0]]), fc1_bias=torch.tensor([0.4, 0.0])),
            "1 of 4 members are dead: they have the same log-odds for every picture",
        ),
        (
            product(fc1_bias=torch.tensor(torch.nan)),
            "the log-odds of 1 of 4 members are not finite ('black 0'); they are never picked",
        ),
        (
            headless(conv2_weight=torch.tensor(0.0)),
            "1 of 4 members are dead: they have the same features for every picture",
        ),
        (
            headless(conv2_bias=torch.tensor(torch.inf)),
            "the features of 1 of 4 members are not finite ('black 0'); they are never picked",
        ),
    ],
    ids=["dead", "dead but for rounding", "diverged", "dead features", "diverged features"],
)
def test_a_dead_or_diverged_member_is_said_and_never_picked(
    criterion: Criterion, model: ComposedModel, said: str
) -> None:
    run = Run()
    pick = pick_member(criterion, model, IMAGES, run)
    assert run.warnings == [said]
    assert np.isneginf(pick.values[0])
    assert np.isfinite(pick.values[1:]).all()
    assert (pick.member != 0, pick.dead) == (True, 1)


def test_ten_dead_networks_that_agree_with_each_other_perfectly_do_not_win() -> None:
    black = tiny_population("black", members=14, seed=1)
    weights = {name: value.clone() for name, value in black.weights.items()}
    weights["fc1.weight"][:10] = 0
    run = Run()
    pick = pick_member(Agreement(), ComposedModel((replace(black, weights=weights),), black.members), IMAGES, run)
    assert pick.member >= 10
    assert pick.dead == 10


def test_where_all_are_dead_the_criterion_is_not_asked() -> None:
    criterion = Given()
    model = product().select([0, 1])
    weights = {name: torch.zeros_like(value) for name, value in model.parts[0].weights.items()}
    pick = pick_member(
        criterion, ComposedModel((replace(model.parts[0], weights=weights),), model.members), IMAGES, Run()
    )
    assert (pick.member, pick.dead, criterion.seen) == (0, 2, [])


def test_a_single_member_is_picked_without_asking() -> None:
    criterion = Given()
    pick = pick_member(criterion, product().select([2]), IMAGES, Run())
    assert (pick.member, pick.by, criterion.seen) == (0, "the only member", [])


def test_a_criterion_is_given_the_living_members_alone() -> None:
    criterion = Given(found=np.array([0.1, 0.9, 0.5]))
    model = product(fc1_weight=torch.tensor(0.0))
    pick = pick_member(criterion, model, IMAGES, Run())
    assert pick.member == 2
    ((log_odds, features),) = criterion.seen
    np.testing.assert_array_equal(log_odds, model.log_odds(IMAGES).double().numpy()[1:])
    assert torch.equal(torch.stack(features), model.features(IMAGES)[1:])


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (np.zeros(3), "float64 [3] for 4 members; give float64 [4]"),
        (np.zeros(4, dtype=np.float32), "float32 [4] for 4 members"),
        ([0.0] * 4, "a list for 4 members"),
        (np.array([0.0, np.nan, 1.0, 2.0]), "NaN or infinity for 1 of 4 members that tell pictures apart"),
    ],
)
def test_what_is_no_number_for_each_member_is_refused(found: Any, fault: str) -> None:
    with pytest.raises(CriterionError) as raised:
        pick_member(Given(found=found), product(), IMAGES, Run())
    assert fault in str(raised.value)


def test_features_that_are_too_many_to_hold_are_computed_some_members_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model = headless()
    whole = model.features(IMAGES)
    monkeypatch.setattr(picking, "MOST_BYTES", 1)
    monkeypatch.setattr(picking, "AT_ONCE", 2)
    features = MemberFeatures(model, IMAGES, "cpu", [3, 0, 1])
    for place, member in enumerate([3, 0, 1]):
        torch.testing.assert_close(features[place], whole[member])
        assert features._held is not None
        assert len(features._held[1]) == 2


# -- the criteria ----------------------------------------------------------------------------------


def test_by_features_the_member_that_sees_likenesses_as_the_others_do_agrees_best() -> None:
    rng = np.random.default_rng(1)
    common = rng.normal(size=(30, 5))
    near = [common + 0.1 * rng.normal(size=common.shape) for _ in range(3)]
    rotated = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    features = [torch.from_numpy(own) for own in (rng.normal(size=(30, 5)), *near, 9 * near[0] @ rotated + 4)]
    values = alignment(features)
    assert int(np.argmin(values)) == 0
    assert values[4] == pytest.approx(values[1]), "neither turns, shifts nor scales of features matter"
    assert (values <= 1).all()


def test_alignment_is_that_of_centred_kernels() -> None:
    rng = np.random.default_rng(2)
    features = [rng.normal(size=(20, 4)) for _ in range(3)]
    centring = np.eye(20) - 1 / 20
    kernels = [centring @ own @ own.T @ centring for own in features]
    kernels = [kernel / np.linalg.norm(kernel) for kernel in kernels]
    mean = sum(kernels)
    expected = [(kernel * mean).sum() / np.linalg.norm(kernel) / np.linalg.norm(mean) for kernel in kernels]
    np.testing.assert_allclose(alignment([torch.from_numpy(own) for own in features]), expected)


def test_log_odds_in_two_clear_groups_are_more_stable_at_any_scale() -> None:
    values = of_log_odds(np.stack([parted(0), parted(9), 100 * parted(9) - 5]), seed=0)
    assert values[1] > values[0]
    assert values[2] == pytest.approx(values[1])


def test_one_picture_apart_from_all_others_is_no_group() -> None:
    values = np.asarray([[0.0] * 19 + [9.0], [0.0] + [9.0] * 19])
    assert of_log_odds(values, seed=0).tolist() == [-1.0, -1.0]


def test_otsus_cut_is_k_means_with_two_clusters_on_a_line() -> None:
    for seed in range(5):
        values = parted(2, seed)
        above = otsu(values)(values)
        within = sum(((own - own.mean()) ** 2).sum() for own in (values[above], values[~above]))
        expected = KMeans(2, n_init=20, random_state=0).fit(values[:, None])
        assert within <= expected.inertia_ * (1 + 1e-9)
        assert adjusted_rand_score(above, expected.labels_) > 0.9


def test_features_in_two_clear_groups_are_more_stable() -> None:
    rng = np.random.default_rng(3)
    cloud = rng.normal(size=(60, 6))
    groups = cloud + 20 * (np.arange(60) < 25)[:, None]
    values = of_features([torch.from_numpy(cloud), torch.from_numpy(groups)], seed=0)
    assert values[1] == pytest.approx(1)
    assert values[0] < 0.95


def test_features_are_looked_at_in_the_plane_of_their_first_two_principal_components() -> None:
    rng = np.random.default_rng(4)
    cloud = rng.normal(size=(60, 6))
    axes = np.linalg.qr(cloud - cloud.mean(0))[0]  # of mean 0, at right angles to each other
    flat, thick = (torch.from_numpy(axes * scales) for scales in ([30, 20, 0, 0, 0, 0], [30, 20, 15, 14, 13, 12]))
    values = of_features([flat, thick], seed=0)
    assert values[0] == pytest.approx(values[1])
    assert values[0] < 0.95, "in the plane itself there is something to get wrong"
