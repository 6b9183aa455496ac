"""Formulas put together out of others, and written with all of their brackets."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from composer import Expression


def spelled_out(expression: Expression) -> str:
    """A formula with all of its brackets, which is a phrase too."""
    if expression.operator == "is":
        return expression.text
    inner = [f"({spelled_out(part)})" if part.operator != "is" else part.text for part in operands(expression)]
    return f"not {inner[0]}" if expression.operator == "not" else f" {expression.operator} ".join(inner)


def said_by(joints: Sequence[str]) -> list[str]:
    """Commas say what the next `and` or `or` says, and `and` where there is none."""
    said: list[str] = []
    for joint in reversed(joints):
        said.append(joint if joint != "comma" else said[-1] if said else "and")
    return said[::-1]


def joined(each: Sequence[Expression], joints: Sequence[str]) -> Expression:
    """All of them, `and` before `or`."""
    rows = [[each[0]]]
    for joint, one in zip(joints, each[1:], strict=True):
        if joint == "or":
            rows.append([one])
        else:
            rows[-1].append(one)
    return any_of([all_of(row) for row in rows])


def all_of(each: Sequence[Expression]) -> Expression:
    return reduce(Expression.__and__, each)


def any_of(each: Sequence[Expression]) -> Expression:
    return reduce(Expression.__or__, each)


def operands(expression: Expression) -> list[Expression]:
    return [each for each in expression.operands if isinstance(each, Expression)]


def once(expression: Expression) -> Expression:
    """The same without repetitions: cats that are cats are cats."""
    if expression.operator == "is":
        return expression
    inner = list(dict.fromkeys(map(once, operands(expression))))
    if expression.operator == "not":
        return ~inner[0]
    return all_of(inner) if expression.operator == "and" else any_of(inner)
