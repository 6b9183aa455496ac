"""What a phrase asks for: `small black cats without stripes` is `small and black and cat and not striped`.

    phrase     = ["both"] part {("or" | "and" | ",") part}
    part       = ["not"] [article] [describing] [noun {("or" | "and" | ",") noun}] {tail}
    describing = adjective {["or" | "and" | "but" | ","] adjective}
    adjective  = ["not"] attribute {"or" attribute} | "(" phrase ")"
    tail       = "that is" describing | "with" part | "without" part | ("and" | "but" | ",") adjective

- Words beside each other are meant at once. Adjectives that are joined belong together: `small black or white cat` is
  `small and (black or white) and cat`. Commas say what the next `and` or `or` says.
- `not` reaches over `or`: what is `not black or white` is neither.
- **`and` between nouns.** `cats and dogs` are pictures of either, because a plural speaks of kinds, and no picture
  shows a kind. `a cat and a dog` may be one picture of both or pictures of either: it is refused, as are two nouns
  beside each other. `both a cat and a dog` and `a cat with a dog` are one picture.
- What can be read in two ways that differ is refused with both of them, as formulas. Those are phrases too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

from composer import Expression, PhraseError
from composer_english.colours import is_colour
from composer_english.items import Item
from composer_english.joining import all_of, any_of, joined, once, operands, said_by, spelled_out

JOINTS = ("and", "or", "comma", "but")


def formula_of(items: Sequence[Item], phrase: str, notes: list[str]) -> Expression:
    """The formula of a phrase's items, innermost brackets first; `notes` gets what could be read otherwise.

    PhraseError where the items are no phrase, or one that can be read in two ways that differ.
    """
    left: list[Item] = []
    for item in items:
        left.append(item)
        if item.sort == ")":
            begin = max((index for index, each in enumerate(left) if each.sort == "("), default=None)
            if begin is None:
                raise PhraseError("grammar", f"{phrase!r} has ')' and no '(' before it")
            inner = _Parser(left[begin + 1 : -1], phrase, notes).whole()
            left[begin:] = [Item(f"({inner.text})", "attribute", bracketed=inner)]
    if any(item.sort == "(" for item in left):
        raise PhraseError("grammar", f"{phrase!r} ends where ')' should stand")
    return once(_Parser(left, phrase, notes).whole())


@dataclass(frozen=True)
class _Part:
    """A noun with what is said of it, or adjectives alone, and what decides how it can be joined to others."""

    expression: Expression
    described: bool = False
    """Whether adjectives stand before its nouns, or alone."""
    nouns: int = 1
    noun: Expression | None = None
    plural: bool = False
    tailed: bool = False
    negated: bool = False
    """Whether `not` stands before all of it."""


NO_NOUN = _Part(Expression.of("nothing"), nouns=0)


class _Parser:
    """Reads a phrase without brackets from left to right."""

    def __init__(self, items: Sequence[Item], phrase: str, notes: list[str]) -> None:
        self.items = items
        self.said = phrase
        self.notes = notes
        self.next = 0
        self.both = False
        """Whether `both` was said."""

    def at(self, *sorts: str, ahead: int = 0) -> bool:
        """Whether the next item, or one farther ahead, is of one of the sorts; the end is of the sort ''."""
        place = self.next + ahead
        return (self.items[place].sort if place < len(self.items) else "") in sorts

    def take(self, *sorts: str) -> bool:
        """Whether the next item is of one of the sorts; then it is passed."""
        found = self.at(*sorts)
        self.next += found
        return found

    def item(self) -> Item:
        """The next item, which is passed."""
        self.next += 1
        return self.items[self.next - 1]

    def fail(self, wanted: str) -> NoReturn:
        met = f"has {self.items[self.next].text!r}" if not self.at("") else "ends"
        raise PhraseError("grammar", f"{self.said!r} {met} where {wanted} should stand")

    def unclear(self, why: str) -> NoReturn:
        raise PhraseError("ambiguous", f"{self.said!r} {why}")

    def same(self, one: Expression, other: Expression) -> None:
        """Raises PhraseError where two readings are not true of the same pictures."""
        concepts = (one & other).concepts
        if one.cells(concepts) != other.cells(concepts):
            self.unclear(f"may mean {spelled_out(one)}, or {spelled_out(other)}: write the one that is meant")

    def whole(self) -> Expression:
        """All of it."""
        self.both = self.take("both")
        parts, joints = [self.part()], []
        while self.at("and", "or", "comma"):
            joints.append(self.joint())
            parts.append(self.part())
        if not self.at(""):
            self.fail("'and', 'or' or the end")
        joints = said_by(joints)
        for one, joint, other in zip(parts, joints, parts[1:], strict=False):
            self.check_reach(one, joint, other)
        if len(parts) > 1 and parts[-1].tailed and parts[-2].nouns and not parts[-2].tailed:
            formula = " or ".join(f"({spelled_out(part.expression)})" for part in parts)
            self.unclear(f"says something at its end of all, or of the last alone: write a formula, such as {formula}")
        return joined([part.expression for part in parts], self.between_nouns(parts, joints))

    def between_nouns(self, parts: Sequence[_Part], joints: Sequence[str]) -> list[str]:
        """The joints, with `or` for an `and` between plurals."""
        pairs = zip(parts, joints, parts[1:], strict=False)
        return ["or" if joint == "and" and self.are_kinds(one, other) else joint for one, joint, other in pairs]

    def are_kinds(self, one: _Part, other: _Part) -> bool:
        """Whether `and` between them means pictures of either; PhraseError where nobody can know."""
        if self.both or not (one.nouns and other.nouns) or one.negated or other.negated:
            return False
        either = one.expression | other.expression
        if not (one.plural and other.plural):
            self.unclear(
                f"names two things, {one.expression.text} and {other.expression.text}: say 'or' for pictures of "
                "either, or 'both' before them for one picture of both"
            )
        self.notes.append(f"'and' between plurals, so pictures of either: {either.text}")
        return True

    def check_reach(self, one: _Part, joint: str, other: _Part) -> None:
        """Raises PhraseError where what stands in one of two parts may belong to both."""
        if one.negated and not other.negated:
            each = (one.expression, other.expression)
            self.same(joined(each, [joint]), ~joined([~each[0], each[1]], [joint]))
        noun = next((part.noun for part in (one, other) if part.described and part.noun is not None), None)
        if joint == "or" and bool(one.nouns) != bool(other.nouns) and noun is not None:
            either = [part.expression if part.nouns else part.expression & noun for part in (one, other)]
            self.same(one.expression | other.expression, any_of(either))

    def joint(self) -> str:
        """`and`, `or`, or a comma alone, which is passed."""
        comma = self.take("comma")
        if not self.at("and", "or", "but"):
            return "comma" if comma else self.fail("'and' or 'or'")
        return "or" if self.item().sort == "or" else "and"

    def part(self) -> _Part:
        """One part, with all that is said of it."""
        if self.at("without") or (self.at("not") and self.at("article", "object", ahead=1)):
            return self.negated()
        begin = self.next
        self.take("article")
        found = [self.describing()] if self.at("attribute", "not") else []
        described, added = bool(found), None
        if described and self.at("and", "but") and self.at("object", ahead=1):
            added = self.item()  # black and cat
        nouns = self.nouns()
        own = self.of_nouns(found, nouns)
        if added is not None and added.sort == "and":
            self.check_order(begin, found[0], own[0])
        found += own
        if not found and not self.at("that"):
            self.fail("a concept")
        whole = self.with_tails(begin, found, nouns.nouns)
        if described and nouns.plural:
            self.note_colours(begin)
        noun = nouns.expression if nouns.nouns else None
        tailed = len(whole) > len(found)
        return _Part(all_of(whole), described, nouns.nouns, noun, nouns.plural, tailed)

    def note_colours(self, begin: int) -> None:
        """Notes that colours joined by `and` before a plural are those of one thing."""
        for before, joint, after in zip(*(self.items[begin + ahead : self.next] for ahead in range(3)), strict=False):
            if joint.sort == "and" and is_colour(before.text) and is_colour(after.text):
                self.notes.append(f"{before.text!r} and {after.text!r} are read as colours of one thing")

    def with_tails(self, begin: int, found: Sequence[Expression], nouns: int) -> list[Expression]:
        """What was found from the item `begin` on, and all that is said behind it."""
        whole = list(found)
        while True:
            added = self.at("and")
            more = self.tail(nouns)
            if more is None:
                return whole
            if added and whole:
                self.check_order(begin, all_of(whole), more)
            whole.append(more)

    def check_order(self, begin: int, before: Expression, added: Expression) -> None:
        """Raises PhraseError where `and` stands behind an `or` without brackets, as in `black or white and small`."""
        if before.operator == "or" and any(item.sort == "or" for item in self.items[begin : self.next]):
            *first, last = operands(before)
            self.same(before & added, any_of([*first, last & added]))

    def negated(self) -> _Part:
        """`not` or `without`, and what it is said of."""
        begin = self.next
        found = self.absent() if self.at("without") else self.operand()
        nouns = sum(item.sort == "object" for item in self.items[begin : self.next])
        whole = self.with_tails(begin, [found], 1)
        if len(whole) > 1:
            self.same(all_of(whole), ~all_of([~found, *whole[1:]]))
        return _Part(all_of(whole), nouns=nouns, tailed=len(whole) > 1, negated=True)

    def operand(self, joint: str = "") -> Expression:
        """What `with`, `without` or `not` is said of: adjectives, nouns or both. joint: what it stands behind."""
        if self.at("not"):
            clear = self.is_clear(joint)
            self.next += 1
            inner = self.operand()
            if inner.operator == "or" and not clear:
                first, *others = operands(inner)
                self.same(~inner, any_of([~first, *others]))
            return ~inner
        self.take("article")
        found = [self.describing()] if self.at("attribute", "not") else []
        found += self.of_nouns(found, self.nouns())
        return all_of(found) if found else self.fail("a concept")

    def of_nouns(self, described: Sequence[Expression], nouns: _Part) -> list[Expression]:
        """The nouns' formula, if any; PhraseError where adjectives before them may be of all, or of the first."""
        if not nouns.nouns:
            return []
        if described and nouns.expression.operator != "is":
            first, *others = operands(nouns.expression)
            of_first = joined([described[0] & first, *others], [nouns.expression.operator] * len(others))
            self.same(described[0] & nouns.expression, of_first)
        return [nouns.expression]

    def nouns(self) -> _Part:
        """Bare nouns, joined; a part without nouns where none stands next."""
        if not self.at("object"):
            return NO_NOUN
        found, joints = [self.item()], []
        while self.at("and", "or", "comma") and self.at("object", ahead=self.behind_joint()):
            joints.append(self.joint())
            found.append(self.item())
        if self.at("object"):
            both = f"{found[-1].means.text} and {self.items[self.next].means.text}"
            self.unclear(
                f"has two nouns beside each other, {both}: put 'or' between them for pictures of either, or 'with' for "
                "one picture of both"
            )
        parts = [_Part(item.means, plural=item.plural) for item in found]
        whole = joined([part.expression for part in parts], self.between_nouns(parts, said_by(joints)))
        return _Part(whole, nouns=len(parts), plural=all(part.plural for part in parts))

    def describing(self) -> Expression:
        """Adjectives beside each other, each alone or joined to others."""
        groups = [self.adjectives()]
        while self.at("attribute", "not"):
            groups.append(self.adjectives())
        if len(groups) > 1:
            self.notes += [f"read together: {group.text}" for group in groups if group.operator == "or"]
        return all_of(groups)

    def adjectives(self) -> Expression:
        """Adjectives joined by commas, `and`, `or`, `but`."""
        begin = self.next
        each, joints = [self.adjective()], []
        while self.leads_to_adjective():
            joints.append(self.joint())
            each.append(self.adjective(joints[-1]))
        found = joined(each, said_by(joints))
        listed = [is_colour(item.text) for item in self.items[begin : self.next] if item.sort == "attribute"]
        if "comma" in joints and "or" in joints and len(set(listed)) > 1:
            last = joints.index("or")
            self.same(found, all_of([*each[:last], joined(each[last:], joints[last:])]))
        return found

    def leads_to_adjective(self) -> bool:
        """Whether a joint stands next, and behind it an adjective."""
        ahead = self.behind_joint()
        return self.at(*JOINTS) and self.at("attribute", ahead=ahead + self.at("not", ahead=ahead))

    def behind_joint(self) -> int:
        """How far ahead the item behind the joint is that stands next."""
        return 1 + (self.at("comma") and self.at("and", "or", "but", ahead=1))

    def adjective(self, joint: str = "") -> Expression:
        """One adjective; or `not` before one, and before all that `or` joins to it. joint: what it stands behind."""
        if not self.at("not"):
            return self.item().means if self.at("attribute") else self.fail("an adjective")
        clear = self.is_clear(joint)
        tight = self.item().text == "non"
        first = self.adjective()
        if tight:
            return ~first
        others: list[Expression] = []
        while self.at("or") and self.at("attribute", ahead=1):
            self.next += 1
            others.append(self.adjective())
        negated = ~any_of([first, *others])
        if others and not (clear or self.at("object")):
            self.same(negated, any_of([~first, *others]))
        if self.at("and") and self.at("attribute", ahead=1) and not joint:
            beside = self.items[self.next + 1].means
            self.same(negated & beside, ~(~negated & beside))
        return negated

    def is_clear(self, joint: str) -> bool:
        """Whether the `not` that is next is of all that `or` joins to what it stands before."""
        said = joint == "but" or (self.next > 0 and self.items[self.next - 1].sort in ("that", "with"))
        return said or self.items[self.next].text in ("neither", "no")

    def tail(self, nouns: int) -> Expression | None:
        """One thing that is said behind a noun; None where nothing more is."""
        if self.take("that"):
            return self.predicate()
        if self.take("with"):
            return self.operand()
        if self.take("without"):
            return self.absent()
        if nouns and self.at("attribute", "not"):
            return self.describing()  # cats black and small
        return self.added() if self.at("and", "but", "comma") else None

    def added(self) -> Expression | None:
        """What `and`, `but` or a comma adds to a noun; None where they begin another part."""
        ahead = self.behind_joint()
        if self.at("or", ahead=ahead - 1):
            return None
        if self.at("without", "that", "with", ahead=ahead):
            self.next += ahead
            return self.tail(0)
        noun = self.at("not", ahead=ahead) and self.at("article", "object", ahead=ahead + 1)
        if not noun and (not self.leads_to_adjective() or self.names_a_noun(ahead)):
            return None
        joint = "but" if self.at("but", ahead=ahead - 1) else "and"
        self.next += ahead
        return self.operand(joint) if noun else self.adjective(joint)

    def names_a_noun(self, ahead: int) -> bool:
        """Whether the adjectives from there on stand before a noun."""
        while self.at("attribute", "not", *JOINTS, ahead=ahead):
            ahead += 1
        return self.at("object", ahead=ahead) and not self.at(*JOINTS, "not", ahead=ahead - 1)

    def predicate(self) -> Expression:
        """What a thing is said to be, to have or not to have."""
        if self.at("with", "without"):
            return self.operand() if self.take("with") else self.absent()
        if self.at("attribute") or (self.at("not") and self.at("attribute", ahead=1)):
            return self.describing()
        return self.operand()

    def absent(self) -> Expression:
        """What is missing: each of what `or` joins."""
        self.take("without")
        begin = self.next
        inner = self.operand()
        if any(item.sort == "and" for item in self.items[begin : self.next]):
            self.same(~inner, ~any_of([Expression.of(concept) for concept in inner.concepts]))
        return ~inner
