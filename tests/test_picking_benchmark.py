"""The benchmark that chooses how members are picked: benchmarks/picking.py."""

from __future__ import annotations

import numpy as np
import picking
import picking_rules as rules
import pytest
from hdbscan.validity import validity_index
from scipy.stats import kurtosis, skew
from sklearn.metrics import r2_score, roc_auc_score, silhouette_score

from composer import ComposedModel
from composer.data.scores import consensus_pick
from composer.recipes.recipe_reader import DEFAULT_PICK
from composer_picking.stability import otsu
from conftest import ROOT
from tiny import tiny_images, tiny_population


def test_a_loss_is_the_best_members_score_less_the_picked_ones() -> None:
    population, images = tiny_population(members=5, seed=3), tiny_images(per_cell=6)
    model = ComposedModel((population,), population.members)
    losses = {loss.score: loss for loss in picking.judged("small", "product", model, images)}
    log_odds = model.log_odds(images).double().numpy()
    values = [roc_auc_score(images.target, own) for own in log_odds]
    loss = losses["AUC"]
    assert loss.best == pytest.approx(max(values))
    assert loss.lost["agreement"] == pytest.approx(max(values) - values[consensus_pick(log_odds)])
    assert loss.lost["any"] == pytest.approx(max(values) - np.mean(values))
    assert set(losses) == {
        "AUC",
        "AUC of the hardest cell",
        picking.WITH_DEAD,
        "K-means: adjusted Rand index",
        "K-means: accuracy",
        "HDBSCAN: adjusted Rand index",
    }
    for one in losses.values():
        assert min(one.lost.values()) >= 0, one.score


def test_photographs_do_not_count_for_the_choice() -> None:
    def loss(recipe: str, good: float, bad: float) -> picking.Loss:
        return picking.Loss(recipe, "product", "AUC", 0.9, {"good": good, "bad": bad, "any": 0.1})

    found = [loss("black_cat", 0.01, 0.02), loss("white_dog", 0.02, 0.03), loss("from_folders", 0.5, 0.0)]
    assert picking.least(found, ["AUC"]) == "good"
    rows = picking.table(found, "AUC")
    assert rows[0] == "| picked by | **mean** | black_cat | white_dog | *from_folders* |"
    assert rows[2] == "| good | **0.015** | 0.010 | 0.020 | 0.500 |"
    assert rows[-1].startswith("| any member |")


def test_the_page_that_is_committed_names_the_defaults() -> None:
    text = (ROOT / "docs" / "picking.md").read_text(encoding="utf-8")
    assert text.startswith("# Picking a member without labels\nWritten by `python benchmarks/picking.py")
    first = text.split("### Lost AUC\n")[1].splitlines()[2]
    assert first.startswith(f"| {DEFAULT_PICK} |"), "the way that loses least comes first"


def test_dead_members_that_are_ranked_by_position_win_and_the_default_pick_leaves_them_out() -> None:
    population, images = tiny_population(members=9, seed=3), tiny_images(per_cell=6)
    losses = picking.judged("small", "product", ComposedModel((population,), population.members), images)
    (loss,) = [one for one in losses if one.score == picking.WITH_DEAD]
    log_odds = ComposedModel((population,), population.members).log_odds(images).double().numpy()
    values = np.asarray([roc_auc_score(images.target, own) for own in log_odds])
    living = np.flatnonzero(np.arange(9) % 3)
    best = max(values[living].max(), 0.5)
    assert loss.lost[picking.BY_POSITION] == pytest.approx(best - 0.5), "a dead member was picked"
    assert loss.lost["agreement"] == pytest.approx(best - values[living[consensus_pick(log_odds[living])]])


def test_the_rules_are_the_libraries() -> None:
    rng = np.random.default_rng(1)
    log_odds = np.stack([np.concatenate([rng.normal(0, 1, 50), rng.normal(gap, 1, 30)]) for gap in (4, 2)])
    for member, own in enumerate(log_odds):
        scaled, sides = (own - own.mean()) / own.std(), otsu(own)(own)
        expected = {
            "bimodality": (skew(own) ** 2 + 1) / kurtosis(own, fisher=False),
            "separation": r2_score(own, np.where(sides, own[sides].mean(), own[~sides].mean())),
            "silhouette": silhouette_score(scaled[:, None], sides),
            "density": validity_index(scaled[:, None], sides.astype(int)),
        }
        for name, value in expected.items():
            assert rules.OF_LOG_ODDS[name](log_odds)[member] == pytest.approx(value), name


def test_agreement_of_clusters_is_the_correlation_of_being_together() -> None:
    labels = np.random.default_rng(1).integers(-1, 3, (5, 30))
    pairs = ~np.eye(30, dtype=bool)
    each = [((own[:, None] == own) & (own[:, None] >= 0))[pairs].astype(float) for own in labels]
    expected = [np.corrcoef(own, np.mean(each, axis=0))[0, 1] for own in each]
    np.testing.assert_allclose(rules.agreement_of(labels), expected)
