"""How much memory a recipe will hold at once, estimated before any work; no torch in here.

Pictures, networks and features are counted only where components say their numbers, and only what is held at once:
the estimate is a floor. What is far above the machine's memory cannot work, and is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from composer.recipes.located_yaml import Path_
from composer.recipes.recipe import models_path, placed_splits

if TYPE_CHECKING:
    from composer.interfaces import Split
    from composer.networks.architecture import Architecture
    from composer.recipes.recipe import Concept, Recipe

TOO_MUCH = 2.0
"""Times the machine's memory: an estimate above is refused. Swap and luck may do for less."""
MUCH = 0.5
"""Share of the machine's memory above which `check` and the run say the estimate."""
FLOAT = 4
LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
"""Where Linux says how much memory a container may take; larger numbers mean no limit."""


@dataclass(frozen=True)
class Need:
    """Something that a run will hold in memory as a whole, and which option decides how much it is."""

    place: Path_
    held: int
    """Bytes."""
    what: str
    lower: str
    """What to lower, for people."""

    def sentence(self, memory: int) -> str:
        """What is compared with what."""
        return (
            f"{self.what} take about {gigabytes(self.held)}, and this machine has {gigabytes(memory)} of memory; "
            f"lower {self.lower}"
        )


def machine_memory() -> int | None:
    """Bytes of memory that this process may take; None where the system does not say."""
    try:
        found = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
    except (AttributeError, ValueError, OSError):  # Windows has no such call
        return None
    for limit in LIMITS:
        try:
            text = Path(limit).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if text.isdigit():
            found.append(int(text))
    return min(found)


def memory_problems(recipe: Recipe) -> Iterator[tuple[Path_, str]]:
    """(path, sentence) for all that is far above the machine's memory."""
    memory = machine_memory()
    if memory is None:
        return
    for need in needs(recipe):
        if need.held > TOO_MUCH * memory:
            yield need.place, need.sentence(memory)


def memory_notes(recipe: Recipe) -> list[str]:
    """A sentence for all that takes much of the machine's memory, and may yet work."""
    memory = machine_memory()
    if memory is None:
        return []
    return [
        f"{'.'.join(map(str, need.place))}: {need.sentence(memory)} where it does not fit"
        for need in needs(recipe)
        if MUCH * memory < need.held <= TOO_MUCH * memory
    ]


def needs(recipe: Recipe) -> Iterator[Need]:
    """All that is known beforehand to be held at once."""
    yield from _pictures(recipe)
    for concept in recipe.concepts:
        yield from _population(recipe, concept)
    yield from _translated(recipe)


def _pictures(recipe: Recipe) -> Iterator[Need]:
    """Every split at the size of its source and at those that networks ask for, uint8."""
    for path, source, split in placed_splits(recipe):
        counted = source.picture_count(split)
        if counted is None:
            continue
        option, count = counted
        own = getattr(source, "size", None)
        for size in dict.fromkeys([*([own] if isinstance(own, int) else []), *_sizes(recipe, split)]):
            what = f"{count:,} pictures ({split}) of {size}x{size} pixels"
            lower = f"`{option}`" + (" or `size`" if size == own else f" or the size of the network ({size})")
            yield Need((*path, option), count * 3 * size * size, what, lower)


def _sizes(recipe: Recipe, split: Split) -> Iterator[int]:
    """The input sizes of the networks that look at a split: of the test pictures all, of others the concept's own."""
    for concept in recipe.concepts:
        if split.concept in (None, concept.name):
            yield concept.models.network.input_size


def _population(recipe: Recipe, concept: Concept) -> Iterator[Need]:
    path = models_path(recipe, concept)
    for option, held, what in concept.models.memory():
        yield Need((*path, option), held, what, f"`{option}` or the network's size")
    members = concept.models.member_count()
    if members is not None:
        yield from _features(recipe, concept.models.network, members, (*path, "members"))


def _translated(recipe: Recipe) -> Iterator[Need]:
    """Members that a translator makes as many of as an option says."""
    for arm in recipe.compositions:
        members = None if arm.translator is None else arm.translator.member_count()
        if members is None:
            continue
        place: Path_ = ("controls",) if arm.control else ("compositions", arm.name, "translator", "members")
        network = next(one.models.network for one in recipe.concepts if one.name in arm.parents)
        footprint = network.footprint()
        if footprint is not None:
            what = f"the weights of {members:,} networks of {footprint.parameters:,} parameters ({arm.name})"
            yield Need(place, members * footprint.parameters * FLOAT, what, "`members`")
        yield from _features(recipe, network, members, place)


def _features(recipe: Recipe, network: Architecture, members: int, place: Path_) -> Iterable[Need]:
    """What all members see in all test pictures, which the evaluators work on."""
    footprint = network.footprint()
    counted = None if recipe.images is None else recipe.images.picture_count(recipe.split())
    if footprint is None or counted is None:
        return
    what = f"the features of {members:,} networks on {counted[1]:,} test pictures, {footprint.features:,} numbers each,"
    held = members * counted[1] * footprint.features * FLOAT
    yield Need(place, held, what, f"`members`, the network or the images' `{counted[0]}`")


def gigabytes(count: int) -> str:
    """`3.2 GB`, `78 GB`, `17,000 GB`."""
    size = count / 1e9
    return f"{size:.1f} GB" if size < 10 else f"{size:,.0f} GB"
