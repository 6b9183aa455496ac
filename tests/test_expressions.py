"""Formulas of concepts: their text, where they hold, and their log-odds."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from composer import Expression, cell_concepts, cell_name, cell_names

A, B, C = (Expression.of(name) for name in "abc")
FORMULAS = [
    A,
    ~A,
    A & B,
    A & ~B,
    A | B,
    ~(A & B),
    ~(A | B) & C,
    (A | B) & C,
    A & B | C & ~A,
    (A & ~B) | (~A & B),
]


def each(count: int = 40, scale: float = 3.0, names: str = "abc") -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(5)
    return {name: torch.randn(2, count, generator=generator, dtype=torch.float64) * scale for name in names}


def by_definition(formula: Expression, log_odds: dict[str, torch.Tensor]) -> torch.Tensor:
    """The probability that the formula holds of independent concepts, summed over all of their values."""
    total = torch.zeros_like(next(iter(log_odds.values())))
    for flags in product([True, False], repeat=len(log_odds)):
        labels = {name: np.asarray([flag]) for name, flag in zip(log_odds, flags, strict=True)}
        if formula.holds(labels)[0]:
            shares = [v.sigmoid() if f else (-v).sigmoid() for v, f in zip(log_odds.values(), flags, strict=True)]
            total = total + torch.stack(shares).prod(0)
    return total


@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.text)
def test_log_odds_are_of_the_sum_over_the_cells_that_satisfy_the_formula(formula: Expression) -> None:
    expected = torch.logit(by_definition(formula, each()))
    torch.testing.assert_close(formula.log_odds(each()).double(), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("scale", [3.0, 30.0])  # certainties too: there 1 - p has no digits left
@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.text)
def test_not_is_a_minus_to_the_last_bit(formula: Expression, scale: float) -> None:
    said = each(scale=scale)
    assert torch.equal((~formula).log_odds(said), -formula.log_odds(said))


@pytest.mark.parametrize("scale", [3.0, 30.0])
def test_de_morgan_holds_to_the_last_bit(scale: float) -> None:
    said = each(scale=scale)
    assert torch.equal((~(A & B)).log_odds(said), (~A | ~B).log_odds(said))
    assert torch.equal((~(A | B)).log_odds(said), (~A & ~B).log_odds(said))
    assert torch.equal((~(A & B)).log_odds(said), -(A & B).log_odds(said))


def test_order_makes_no_difference() -> None:
    for one, other in ((A & B, B & A), (A | B, B | A), ((A & B) & C, C & (B & A))):
        torch.testing.assert_close(one.log_odds(each()), other.log_odds(each()), rtol=1e-6, atol=1e-6)


def test_a_concept_and_its_opposite_are_never_shown_together() -> None:
    assert (A & ~A).cells() == (False, False)
    assert (A & ~A).log_odds(each()).isneginf().all()
    assert (A | ~A).log_odds(each()).isposinf().all()
    assert torch.equal((A & A).log_odds(each()), A.log_odds(each())), "a concept asked for twice is asked for once"


@pytest.mark.parametrize("odds", [-1e4, 0.0, 1e4])
@pytest.mark.parametrize("formula", FORMULAS, ids=lambda formula: formula.text)
def test_certainties_stay_finite(formula: Expression, odds: float) -> None:
    assert formula.log_odds({name: torch.full((3,), odds) for name in "abc"}).isfinite().all()


def test_the_less_probable_concept_decides_a_conjunction_of_certainties() -> None:
    said = (A & B).log_odds({"a": torch.tensor([-1e4, 30.0, 20.0]), "b": torch.tensor([1e4, 3.0, 40.0])})
    torch.testing.assert_close(said, torch.tensor([-1e4, 3.0, 20.0]), rtol=1e-3, atol=1e-3)


def test_eight_concepts_are_the_most() -> None:
    names = "abcdefgh"
    some = Expression.all_of(names[:4]) | Expression.all_of(names[4:])
    expected = torch.logit(by_definition(some, each(3, names=names)))
    torch.testing.assert_close(some.log_odds(each(3, names=names)).double(), expected, rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="names 9 concepts; 8 are the most"):
        Expression.all_of("abcdefghi").log_odds(each(3, names="abcdefghi"))


def test_the_cells_of_a_formula_stand_in_the_order_of_their_names() -> None:
    assert dict(zip(cell_names("ab"), (A & ~B).cells(), strict=True)) == {
        "a+b": False,
        "a": True,
        "b": False,
        "none": False,
    }
    assert A.cells(["b", "a"]) == (True, False, True, False), "of other concepts too"


def test_holds_takes_arrays_and_tensors() -> None:
    a, b = [True, True, False, False], [True, False, True, False]
    formula = A & ~B
    assert formula.holds({"a": np.array(a), "b": np.array(b)}).tolist() == [False, True, False, False]
    assert formula.holds({"a": torch.tensor(a), "b": torch.tensor(b)}).tolist() == [False, True, False, False]


@pytest.mark.parametrize(
    "text",
    ["black and cat", "black and not (cat or dog)", "'black cat' or 'not'", "not black", "a and b or c", "'a+b' and c"],
)
def test_a_text_is_read_as_it_is_written(text: str) -> None:
    assert Expression.parse(text).text == text


def test_brackets_stand_where_they_are_needed_alone() -> None:
    assert Expression.parse("(a and (b and (c)))").text == "a and b and c"
    assert Expression.parse("(a and (b and (c)))") == (A & B) & C == A & (B & C), "how they were bracketed is forgotten"
    assert Expression.parse("a or (b or c)") == (A | B) | C == A | (B | C)
    assert ((A | B) & ~(B & C)).text == "(a or b) and not (b and c)"
    assert Expression.parse("not not a") == A
    for formula in FORMULAS:
        assert Expression.parse(formula.text) == formula, formula.text


def test_conjunctions_are_called_as_their_cell() -> None:
    assert str(A & B) == "a+b" == cell_name("ab")
    assert Expression.parse("a+b") == A & B
    assert (str(A), str(A & ~B), str(~A)) == ("a", "a and not b", "not a")
    assert cell_concepts("a+b") == ("a", "b")
    assert (cell_name([]), cell_concepts("none")) == ("none", ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "this one is empty"),
        ("a and", "'a and' ends where a concept should stand"),
        ("a b", "'a b' has 'b' at letter 3; 'and' or 'or' is needed"),
        ("(a or b", r"ends where '\)' should stand"),
        ("a and or b", "has 'or' at letter 7; a concept is needed"),
        (")", r"has '\)' at letter 1"),
        ("a and 'b", "a second quotation mark behind it"),
        ("a+", r"a concept on both sides of '\+'"),
        ("''", "a concept between quotation marks"),
        ("(" * 51 + "a" + ")" * 51, "at most 50 brackets within each other"),
    ],
)
def test_a_text_that_is_no_formula_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Expression.parse(text)


def test_a_concept_that_is_called_as_a_word_of_formulas_is_quoted() -> None:
    for name in ("and", "not", "none", "a b", "a+b"):
        assert Expression.parse(Expression.of(name).text) == Expression.of(name), name


def test_what_is_not_known_is_left_out_of_a_formula() -> None:
    assert (A & B & ~C).restricted("ab") == A & B
    assert ((A | B) & C).restricted("bc") == B & C
    assert ((A | B) & C).restricted("ab") == A | B
    assert (~A).restricted("b") is None
