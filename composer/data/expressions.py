"""Formulas of concepts: what a composition is asked for, such as `black and cat and not striped`.

Nothing here imports torch when it is imported, so that recipes are read and checked quickly.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from itertools import compress, product
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    Flags = TypeVar("Flags", NDArray[np.bool_], Tensor)

MOST_CONCEPTS = 8
"""Concepts of one formula: it has two to the power of that many cells, each of which is summed over."""
MOST_NESTED = 50
"""Brackets within brackets of one text: each takes some of the stack of Python."""
NONE = "none"
"""What the cell is called in which no concept is shown."""
_TOKEN = re.compile(r"\s*(?:([()])|'([^']*)'|([^\s()']+)|('))")


def cell_name(concepts: Iterable[str]) -> str:
    """`black+cat`, `black`, or `none` for no concept."""
    return "+".join(concepts) or NONE


def cell_concepts(name: str) -> tuple[str, ...]:
    """The concepts of a cell's name: the inverse of `cell_name`."""
    return () if name == NONE else tuple(name.split("+"))


def cell_names(concepts: Sequence[str]) -> tuple[str, ...]:
    """All cells of some concepts: the one that shows all of them first, `none` last."""
    return tuple(
        cell_name(concept for concept, shown in zip(concepts, flags, strict=True) if shown)
        for flags in _combinations(len(concepts))
    )


def cell_order(name: str) -> tuple[bool, int, str]:
    """Sorts cells by their names: those that show most first, `none` last."""
    return name == NONE, -len(cell_concepts(name)), name


def letter_of(concept: str, text: str) -> int:
    """At which letter, counted from 1, a formula's text names a concept for the first time; 0 where it does not."""
    for found in _TOKEN.finditer(text):
        named = (found[2],) if found[2] is not None else cell_concepts(found[3] or "")
        if concept in named:
            return found.start(found.lastindex or 0) + 1
    return 0


@dataclass(frozen=True)
class Expression:
    """A formula of concepts: a concept, or `not`, `and`, `or` of formulas.

    Made by `Expression.of("black")`, `Expression.all_of(["black", "cat"])` and the operators `~`, `&`, `|`, or read
    from its text by `Expression.parse`.
    """

    operator: Literal["is", "not", "and", "or"]
    operands: tuple[str | Expression, ...]

    @classmethod
    def of(cls, concept: str) -> Expression:
        """The formula that one concept is."""
        return cls("is", (concept,))

    @classmethod
    def all_of(cls, concepts: Iterable[str]) -> Expression:
        """All of the concepts at once; ValueError for none."""
        return reduce(Expression.__and__, map(cls.of, concepts)) if (concepts := tuple(concepts)) else _no_concept()

    @classmethod
    def parse(cls, text: str) -> Expression:
        """The formula that a text such as `black and not (cat or 'big dog')` says; `black+cat` is a cell's name.

        `not` binds before `and`, `and` before `or`. ValueError says what is wrong with the text, and where.
        """
        return _Reader(text).whole()

    def __and__(self, other: Expression) -> Expression:
        return Expression("and", (*self._parts("and"), *other._parts("and")))

    def __or__(self, other: Expression) -> Expression:
        return Expression("or", (*self._parts("or"), *other._parts("or")))

    def __invert__(self) -> Expression:
        return self._inner[0] if self.operator == "not" else Expression("not", (self,))

    @cached_property
    def concepts(self) -> tuple[str, ...]:
        """Every concept that the formula names, in the order of their first mention."""
        if self.operator == "is":
            return (str(self.operands[0]),)
        return tuple(dict.fromkeys(concept for part in self._inner for concept in part.concepts))

    @property
    def negated(self) -> tuple[str, ...]:
        """The concepts that keep something from satisfying the formula: it would, did it not show them as well."""
        cells = [frozenset(compress(self.concepts, flags)) for flags in _combinations(len(self.concepts))]
        off = {one for cell in cells if self.true_of(cell) for one in self.concepts if not self.true_of(cell | {one})}
        return tuple(concept for concept in self.concepts if concept in off)

    @property
    def is_certain(self) -> bool:
        """Whether nothing decides it: no cell satisfies it (`p and not p`), or every one does."""
        return len(set(self.cells())) == 1

    @property
    def is_conjunction(self) -> bool:
        """Whether it asks for all of its concepts at once, and for nothing else."""
        return all(part.operator == "is" for part in self._parts("and"))

    def __str__(self) -> str:
        """A cell's name where the formula asks for just one concept or for all at once; else its text."""
        return cell_name(self.concepts) if self.is_conjunction else self.text

    @property
    def text(self) -> str:
        """The formula as `parse` reads it: `black and not (cat or 'big dog')`."""
        if self.operator == "is":
            return _quoted(self.concepts[0])
        inner = [f"({part.text})" if part._binds_looser(self.operator) else part.text for part in self._inner]
        return f"not {inner[0]}" if self.operator == "not" else f" {self.operator} ".join(inner)

    def holds(self, labels: Mapping[str, Flags]) -> Flags:
        """Where the formula is true, bool [N], given where each concept is shown; KeyError for one that lacks."""
        if self.operator == "is":
            return labels[self.concepts[0]]
        each = [part.holds(labels) for part in self._inner]
        if self.operator == "not":
            return ~each[0]
        return reduce(lambda one, other: one & other if self.operator == "and" else one | other, each)

    def cells(self, concepts: Sequence[str] | None = None) -> tuple[bool, ...]:
        """Whether each cell of the concepts (default: its own) satisfies the formula, in the order of `cell_names`."""
        named = tuple(self.concepts if concepts is None else concepts)
        return tuple(self.true_of(frozenset(compress(named, flags))) for flags in _combinations(len(named)))

    def true_of(self, shown: Collection[str]) -> bool:
        """Whether what shows these concepts, and no other, satisfies the formula."""
        if self.operator == "is":
            return self.concepts[0] in shown
        each = (part.true_of(shown) for part in self._inner)
        if self.operator == "not":
            return not next(each)
        return all(each) if self.operator == "and" else any(each)

    def log_odds(self, each: Mapping[str, Tensor]) -> Tensor:
        """log P(formula) - log P(not formula), float32, from log-odds of each concept, of one shape.

        Concepts are taken to be independent: the probabilities of the cells that satisfy the formula are summed. Of a
        conjunction this is the product of experts (Hinton 2002, "Training products of experts by minimizing contrastive
        divergence", eq. 1). Minus infinity where no cell satisfies it (`p and not p`), infinity where all do.
        """
        import torch
        from torch.nn.functional import logsigmoid

        if len(self.concepts) > MOST_CONCEPTS:
            raise ValueError(f"{self} names {len(self.concepts)} concepts; {MOST_CONCEPTS} are the most")
        flags = self.cells()
        values = torch.stack([each[concept] for concept in self.concepts]).double()
        if sum(flags) == 1:  # a conjunction, of concepts or of what they are not
            return _of_one_cell(_signed(values, flags.index(True)))
        if sum(flags) == len(flags) - 1:
            return -_of_one_cell(_signed(values, flags.index(False)))
        impossible = values.new_full(values.shape[1:], -torch.inf)
        sums = {True: impossible, False: impossible}
        for index, true in enumerate(flags):
            sums[true] = torch.logaddexp(sums[true], logsigmoid(_signed(values, index)).sum(0))
        return (sums[True] - sums[False]).float()

    def restricted(self, concepts: Iterable[str]) -> Expression | None:
        """What the formula says of these concepts alone: all others are left out of it; None where nothing remains."""
        known = frozenset(concepts)
        if self.operator == "is":
            return self if self.concepts[0] in known else None
        inner = [part for part in (part.restricted(known) for part in self._inner) if part is not None]
        if not inner:
            return None
        return ~inner[0] if self.operator == "not" else reduce(_JOINED[self.operator], inner)

    @property
    def _inner(self) -> tuple[Expression, ...]:
        return tuple(part for part in self.operands if isinstance(part, Expression))

    def _parts(self, operator: str) -> tuple[Expression, ...]:
        """What `operator` joins in it: `a and b` is one formula of two parts for `and`, and one part for `or`."""
        return self._inner if self.operator == operator else (self,)

    def _binds_looser(self, around: str) -> bool:
        return (self.operator, around) in (("or", "and"), ("or", "not"), ("and", "not"))


_JOINED: Mapping[str, Callable[[Expression, Expression], Expression]] = {
    "and": Expression.__and__,
    "or": Expression.__or__,
}


class _Reader:
    """Reads a formula's text from left to right."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = [(found.start(found.lastindex or 0), found) for found in _TOKEN.finditer(text)]
        self.next = 0
        self.open = 0
        """Brackets around what is being read."""

    def whole(self) -> Expression:
        if not self.tokens:
            raise ValueError("a formula needs a concept, and this one is empty")
        found = self.joined("or")
        if self.word():
            self.fail("'and' or 'or'")
        return found

    def joined(self, operator: str) -> Expression:
        def inner() -> Expression:
            return self.joined("and") if operator == "or" else self.negated()

        found = inner()
        while self.word() == operator:
            self.next += 1
            found = _JOINED[operator](found, inner())
        return found

    def negated(self) -> Expression:
        negative = False
        while self.word() == "not":
            self.next += 1
            negative = not negative
        found = self.single()
        return ~found if negative else found

    def single(self) -> Expression:
        word = self.word()
        if word == "(":
            if self.open == MOST_NESTED:
                self.fail(f"at most {MOST_NESTED} brackets within each other, and a concept")
            self.open += 1
            self.next += 1
            found = self.joined("or")
            if self.word() != ")":
                self.fail("')'")
            self.open -= 1
            self.next += 1
            return found
        if word in ("", ")", "and", "or"):
            self.fail("a concept")
        _, token = self.tokens[self.next]
        if token[4]:
            self.fail("a second quotation mark behind it")
        named = cell_concepts(token[3]) if token[2] is None else (token[2],)
        if not all(named):
            self.fail("a concept on both sides of '+'" if token[2] is None else "a concept between quotation marks")
        self.next += 1
        return Expression.all_of(named)

    def word(self) -> str:
        """The next word as it is written; empty at the end."""
        return self.tokens[self.next][1][0].strip() if self.next < len(self.tokens) else ""

    def fail(self, wanted: str) -> None:
        if self.next == len(self.tokens):
            raise ValueError(f"{self.text!r} ends where {wanted} should stand")
        place = self.tokens[self.next][0] + 1
        raise ValueError(f"{self.text!r} has {self.word()!r} at letter {place}; {wanted} is needed")


def _combinations(count: int) -> list[tuple[bool, ...]]:
    return list(product([True, False], repeat=count))


def _signed(values: Tensor, cell: int) -> Tensor:
    """Log-odds of being as a cell is, from those [concepts, ...] of each concept."""
    flags = _combinations(len(values))[cell]
    return values * values.new_tensor([1.0 if flag else -1.0 for flag in flags]).view(-1, *[1] * (values.ndim - 1))


def _of_one_cell(log_odds: Tensor) -> Tensor:
    """Log-odds of all at once, float32: log p = sum of log P(each)."""
    import torch
    from torch.nn.functional import logsigmoid

    if len(log_odds) == 1:
        return log_odds[0].float()
    log_probability = logsigmoid(log_odds).sum(0)
    # log(1 - p) by expm1, exact where p is near 0; near 1 the clamp keeps it finite.
    log_other = torch.log(-torch.expm1(log_probability.clamp(max=-1e-12)))
    return (log_probability - log_other).float()


def _quoted(concept: str) -> str:
    plain = re.fullmatch(r"[^\s()'+]+", concept) and concept not in ("and", "or", "not", NONE)
    return concept if plain else f"'{concept}'"


def _no_concept() -> Expression:
    raise ValueError("a formula needs at least one concept")
