"""What keeps a recipe from its pictures, and what is worth knowing of them, before any of them is opened."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from composer import Split, cell_concepts, cell_name, cell_names
from composer_cells.collection import Collection, Picture
from composer_cells.parting import Parted
from composer_folder import layout

MOST = 30
"""Names that a message writes out."""


def problems(pictures: Parted, split: Split) -> Iterator[tuple[str, str]]:
    """(option, message) for all that keeps a split from being loaded."""
    unknown = list(_unknown(pictures.collection, split.shown))
    yield from unknown
    if unknown:
        return
    if split.concept is None:
        yield from _test_problems(pictures, split)
    else:
        yield from _training_problems(pictures, split, split.concept)


def notes(pictures: Parted, split: Split) -> Iterator[str]:
    """Sentences on a split that can be loaded, and may yet mislead."""
    if split.concept is None:
        yield from _parting_notes(pictures.collection)
        return
    chosen = pictures.of(split)
    shared = [picture.shown for picture in chosen if split.concept in picture.shown]
    constant = frozenset.intersection(*(picture.shown for picture in chosen)) if chosen else frozenset()
    for other in sorted(frozenset.intersection(*shared) - constant - {split.concept}) if shared else ():
        yield (
            f"all training pictures of {split.concept!r} show {other!r}: its cells vary in nothing else, "
            f"so what is learned as {split.concept!r} may be {other!r}; add some of {split.concept!r} without {other!r}"
        )


def targets(collection: Collection) -> Sequence[tuple[str, str]]:
    """The pairs of two factors that can be held out: both occur in another pair too."""
    factors = collection.by_factor()
    pairs = list(dict.fromkeys(picture.values for picture in collection.pictures))
    if len(factors) != 2 or factors[0][1] & factors[1][1] or not all(all(map(cell_concepts, pair)) for pair in pairs):
        return ()
    first, second = (Counter(pair[place] for pair in pairs) for place in (0, 1))
    return sorted((a, b) for a, b in pairs if first[a] > 1 and second[b] > 1)


def _unknown(collection: Collection, concepts: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Concepts that no picture shows, or of which nobody knows which column says them."""
    known = sorted(frozenset().union(*(picture.shown for picture in collection.pictures)))
    for concept in concepts:
        if concept not in known:
            there = f"there are {layout.listed(known, MOST)}{_other_table(collection)}"
            yield "", f"no picture shows {concept!r}{layout.did_you_mean(layout.nearest(concept, known))} ({there})"
            continue
        columns = [name for name, values in collection.by_factor() if concept in values]
        if collection.factors and len(columns) > 1:
            yield (
                "labels",
                (
                    f"{concept!r} stands in the columns {' and '.join(map(repr, columns))}; rename it in one of them, "
                    "or leave a column out of `factors`"
                ),
            )


def _other_table(collection: Collection) -> str:
    """A table beside folders that nobody has named: perhaps it says what the pictures show."""
    tables = [path.name for path in collection.strays if path.suffix == ".csv"]
    return "" if not tables else f", by the folders' names; `labels: {tables[0]}` reads the table"


def _test_problems(pictures: Parted, split: Split) -> Iterator[tuple[str, str]]:
    """Where no test picture shows the target, or none shows anything else."""
    targets, others = layout.cells_of_the_target(split)
    for cells, what in ((targets, f"the target {split.target}"), (others, f"anything but {split.target}")):
        if any(_cell(picture, split) in cells for picture in pictures.of(split)):
            continue
        there = [picture for picture in pictures.collection.pictures if _cell(picture, split) in cells]
        if there:
            yield _unparted(pictures.collection, there, what, "test", "training")
        else:
            held = sorted({cell_name(picture.values) for picture in pictures.collection.pictures})
            yield (
                "",
                f"no picture shows {what}, so there is nothing to test on; pictures show {layout.listed(held, MOST)}",
            )


def _training_problems(pictures: Parted, split: Split, concept: str) -> Iterator[tuple[str, str]]:
    """Where no training picture that may be used shows the concept, or all of them do."""
    for wanted, what, which in ((True, f"{concept!r}", "show"), (False, f"no {concept!r}", "are without")):
        if any((concept in picture.shown) is wanted for picture in pictures.of(split)):
            continue
        there = [picture for picture in pictures.collection.pictures if (concept in picture.shown) is wanted]
        usable = [picture for picture in there if not split.held_out.true_of(picture.shown)]
        if usable:
            yield _unparted(pictures.collection, usable, what, "training", "test")
        elif there:
            why = f"all {len(there)} that {which} {concept!r} show {split.held_out}, which is kept out of training"
            yield "", f"there is no training picture of {what}: {why}; add some of {what} with something else"
        else:
            yield "", f"every picture shows {concept!r}, so nothing tells it from others; add pictures without it"


def _unparted(collection: Collection, there: Sequence[Picture], what: str, part: str, other: str) -> tuple[str, str]:
    """Why there are pictures of something in one part only."""
    count = f"all {len(there)} pictures that show {what}"
    if collection.split:
        return "split", f"{count} are {other} pictures by the table, so there is none for {part}; change some of them"
    groups = sorted({picture.group for picture in there})
    if collection.grouped and len(groups) == 1:
        return "group", (
            f"{count} are of the group {groups[0]!r}, which cannot be parted, so there is none for {part}; add "
            "pictures of another group or, where those of a group are no more alike than others, say `group: null`"
        )
    whose = f", of {len(groups)} groups," if collection.grouped else ""
    return "test", f"{count}{whose} have become {other} pictures; add pictures, or change `test` or `seed`"


def _parting_notes(collection: Collection) -> Iterator[str]:
    """Where what belongs together may be on both sides."""
    sides: dict[str, set[bool | None]] = {}
    for picture in collection.pictures:
        sides.setdefault(picture.group, set()).add(picture.testing)
    both = sum(len(each) > 1 for each in sides.values())
    if collection.split and collection.grouped and both:
        yield (
            f"{both} of {len(sides)} groups have training and test pictures by the table's own split, so the scores do "
            "not say how well new groups are known"
        )
    elif not collection.grouped and not collection.split:
        yield (
            "nothing says which pictures belong together, so each is trained or tested on by itself: pictures of one "
            "thing, or by one person, may be on both sides, and the scores flatter"
        )


def _cell(picture: Picture, split: Split) -> str:
    return cell_name(concept for concept in split.concepts if concept in picture.shown)


def missing_cells(chosen: Sequence[Picture], split: Split) -> list[str]:
    """The cells of a recipe's concepts of which none of the pictures is one."""
    there = {_cell(picture, split) for picture in chosen}
    return [cell for cell in cell_names(split.concepts) if cell not in there]
