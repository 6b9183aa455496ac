"""How concepts hang together: which laws of logic hold of a formula's log-odds under which assumption."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal

from composer import ComposedModel, Dependence, Expression, Run
from composer.data.dependence import bounds, probit
from composer.running.storage import pack, unpack
from composer_assembly.dependence import dependence_of, mean_correlation
from tiny import tiny_images, tiny_population

A, B, C, D = (Expression.of(name) for name in "abcd")
FORMULAS = [A & B, A & ~B, A | B, ~(A & B), (A | B) & C, A & B & ~C, (A & B) | (~A & C)]
INDEPENDENT, MINIMUM = Dependence(), Dependence("minimum")
COPULAS = [Dependence("copula", correlation) for correlation in (0.6, -0.4)]
EVERY = [INDEPENDENT, MINIMUM, *COPULAS]
KNOWN = pytest.mark.parametrize("dependence", EVERY, ids=lambda one: f"{one.kind} {one.correlation}")


def each(scale: float = 4.0, seed: int = 5) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(2, 30, generator=generator, dtype=torch.float64) * scale for name in "abcd"}


def same(found: torch.Tensor, expected: torch.Tensor) -> None:
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@KNOWN
@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.text)
def test_not_is_a_minus(formula: Expression, dependence: Dependence) -> None:
    same(dependence.log_odds(~formula, each()), -dependence.log_odds(formula, each()))


@KNOWN
def test_de_morgan_holds(dependence: Dependence) -> None:
    same(dependence.log_odds(~(A & B & C), each()), dependence.log_odds(~A | ~B | ~C, each()))
    same(dependence.log_odds(~(A | B), each()), dependence.log_odds(~A & ~B, each()))


@KNOWN
@pytest.mark.parametrize("join", [Expression.__and__, Expression.__or__])
def test_the_order_of_a_tree_makes_no_difference(
    join: Callable[[Expression, Expression], Expression], dependence: Dependence
) -> None:
    said = each()
    usual = dependence.log_odds(reduce(join, (A, B, C, D)), said)
    for one, two, three, four in list(permutations((A, B, C, D)))[::5]:
        other = join(join(one, two), join(three, four))
        same(dependence.log_odds(other, said), usual)


@KNOWN
@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.text)
def test_a_concept_that_helps_never_lowers_a_formula(formula: Expression, dependence: Dependence) -> None:
    said = each()
    for concept in formula.concepts:
        signs = {_sign(formula, concept, shown) for shown in (frozenset("abcd"), frozenset("bd"), frozenset("c"))}
        if len(signs - {0}) != 1:
            continue
        more = {**said, concept: said[concept] + 0.5 * max(signs, key=abs)}
        assert bool((dependence.log_odds(formula, more) >= dependence.log_odds(formula, said) - 1e-5).all())


def _sign(formula: Expression, concept: str, shown: frozenset[str]) -> int:
    """1 where the concept turns the formula on for what shows these others, -1 where off, else 0."""
    return formula.true_of(shown | {concept}) - formula.true_of(shown - {concept})


@KNOWN
def test_a_contradiction_is_impossible_and_a_tautology_certain_whatever_is_assumed(dependence: Dependence) -> None:
    assert bool((dependence.log_odds(A & ~A, each()) == -torch.inf).all())
    assert bool((dependence.log_odds(A | ~A, each()) == torch.inf).all())


@KNOWN
def test_a_concept_twice_is_the_concept(dependence: Dependence) -> None:
    same(dependence.log_odds(A & A, each()), each()["a"].float())
    same(dependence.log_odds(A | A, each()), each()["a"].float())


def test_two_equal_concepts_are_one_only_where_concepts_come_and_go_together() -> None:
    own = each()["a"]
    twins = {"a": own, "b": own}
    assert torch.equal(MINIMUM.log_odds(A & B, twins), own.float())
    assert torch.equal(MINIMUM.log_odds(A | B, twins), own.float())
    assert bool((INDEPENDENT.log_odds(A & B, twins) < own).all())
    close, far = (Dependence("copula", correlation).log_odds(A & B, twins) for correlation in (0.9, 0.1))
    assert bool((far < close).all()), "the more they hang together, the less is lost"


def test_of_equal_concepts_one_with_the_other_left_out_is_possible_under_minimum_alone_up_to_a_half() -> None:
    own = each()["a"]
    assert bool((MINIMUM.log_odds(A & ~B, {"a": own, "b": own}) == -own.abs().float()).all())


@KNOWN
@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.text)
def test_certainties_stay_finite(formula: Expression, dependence: Dependence) -> None:
    sure = {name: torch.tensor([1e4, -1e4, 1e4, -1e4, 0.0, 700.0]).roll(place) for place, name in enumerate("abc")}
    assert bool(dependence.log_odds(formula, sure).isfinite().all())


@KNOWN
@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.text)
def test_no_dependence_leaves_the_bounds_of_frechet(formula: Expression, dependence: Dependence) -> None:
    low, high = bounds(formula, each())
    found = dependence.log_odds(formula, each()).double().sigmoid()
    assert bool(((found >= low - 1e-6) & (found <= high + 1e-6)).all())
    assert bool((high - low > 1e-3).any()), "bounds that say something"


def test_bounds_are_reached() -> None:
    low, high = bounds(A & B, each())
    torch.testing.assert_close(high, MINIMUM.log_odds(A & B, each()).double().sigmoid(), rtol=1e-5, atol=1e-7)
    a, b = each()["a"].sigmoid(), each()["b"].sigmoid()
    torch.testing.assert_close(low, (a + b - 1).clamp(min=0))
    either = bounds(A | B, each())
    torch.testing.assert_close(either[1], (a + b).clamp(max=1))


@pytest.mark.parametrize("correlation", [0.8, 0.3, -0.5])
@pytest.mark.parametrize("values", [(0.0, 0.0), (2.0, -3.0), (-4.0, -4.0)])
def test_a_copula_of_two_concepts_is_scipys_normal_distribution(
    correlation: float, values: tuple[float, float]
) -> None:
    given = {name: torch.tensor([value], dtype=torch.float64) for name, value in zip("ab", values, strict=True)}
    places = [float(probit(value)) for value in given.values()]
    whole = multivariate_normal([0, 0], [[1, correlation], [correlation, 1]])
    found = Dependence("copula", correlation).log_odds(A & B, given).double().sigmoid()
    assert float(found) == pytest.approx(float(whole.cdf(places)), rel=2e-3)


def test_a_copula_without_correlation_is_independence() -> None:
    same(Dependence("copula").log_odds((A | B) & C, each()), INDEPENDENT.log_odds((A | B) & C, each()))
    negative = Dependence("copula", -0.5)
    same(negative.log_odds(A & B & C, each()), INDEPENDENT.log_odds(A & B & C, each()))
    assert bool((negative.log_odds(A & B, each()) < INDEPENDENT.log_odds(A & B, each())).all())


def test_probits_are_exact_where_probabilities_have_no_digits_left() -> None:
    log_odds = torch.linspace(-1e4, 1e4, 4001, dtype=torch.float64)
    found = probit(log_odds)
    assert bool((found.diff() > 0).all())
    near = torch.tensor([-601.0, -600.0, -599.0, -20.0, 0.0, 3.0, 650.0], dtype=torch.float64)
    back = torch.special.log_ndtr(probit(near)) - torch.special.log_ndtr(-probit(near))
    torch.testing.assert_close(back, near, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("arguments", [("minimal", 0.0), ("copula", 0.99), ("copula", float("nan"))])
def test_a_dependence_that_there_is_not_is_refused(arguments: tuple[str, float]) -> None:
    with pytest.raises(ValueError, match=r"dependence: there are|correlation: must be"):
        Dependence(*arguments)  # type: ignore[arg-type]


def test_a_model_keeps_its_dependence() -> None:
    black, cat = tiny_population("black"), tiny_population("cat", seed=1)
    model = ComposedModel((black, cat), black.members, dependence=Dependence("copula", 0.25))
    facts, tensors = pack(model)
    again = unpack({"type": "ComposedModel", **facts}, tensors)
    assert isinstance(again, ComposedModel)
    assert again.dependence == model.dependence
    said = {part.concept: part.log_odds(tiny_images()) for part in model.parts}
    wanted = model.dependence.log_odds(Expression.all_of(["black", "cat"]), said)
    assert torch.equal(model.log_odds(tiny_images()), wanted)
    assert torch.equal(model.answering(~Expression.all_of(["black", "cat"])).log_odds(tiny_images()), -wanted)
    assert "dependence" not in pack(ComposedModel((black, cat), black.members))[0], "files of before are as they were"


def test_a_copula_has_the_correlation_that_its_variables_have() -> None:
    drawn = np.random.default_rng(0).multivariate_normal([0, 0], [[1, 0.6], [0.6, 1]], 4000)
    assert mean_correlation([np.exp(drawn[:, 0]), drawn[:, 1] ** 3]) == pytest.approx(0.6, abs=0.03)


def test_three_concepts_that_avoid_each_other_count_as_independent_and_it_is_said() -> None:
    black = tiny_population("black")
    against = {name: -own if name.startswith(black.architecture.head) else own for name, own in black.weights.items()}
    others = [replace(black, concept=concept, weights=against, _memo={}) for concept in ("cat", "small")]
    run = Run(pictures=(tiny_images(),))
    assert dependence_of("copula", [black, *others], run).correlation < 0
    (warning,) = run.warnings
    assert "the mean correlation of 3 concepts is -0." in warning
    assert "below 0 they count as independent" in warning
