"""What people see of a zoo."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.text import Text

from composer.command_line.terminal import print_note
from composer.text import counted, make_console, plain_table
from composer.zoo.entry import FILL, Concept, how_known
from composer.zoo.zoo import Zoo

if TYPE_CHECKING:
    from composer.zoo.checking import Check

MOST_OTHERS = 5
"""Concepts that are named for whose pictures another one fires."""


def zoo_data(zoo: Zoo) -> dict[str, Any]:
    """A zoo as JSON holds it."""
    concepts = [concept_data(concept) for concept in zoo.concepts]
    return {"folder": str(zoo.folder), "concepts": concepts, "damaged": dict(zoo.damaged)}


def concept_data(concept: Concept) -> dict[str, Any]:
    """A concept as JSON holds it."""
    return {
        "name": concept.name,
        "synonyms": list(concept.synonyms),
        "kind": concept.kind,
        "auc": concept.auc,
        "pictures": concept.pictures,
        "source": concept.source,
        "licence": concept.licence,
        "version": concept.version,
        "folder": str(concept.folder),
    }


def print_zoo(zoo: Zoo) -> None:
    """A row for each concept, and a note for each that is damaged."""
    console = make_console()
    if len(zoo):
        table = plain_table()
        for heading, justify in (("concept", "left"), ("kind", "left"), ("AUC", "right"), ("pictures", "right")):
            table.add_column(f"{heading}  ", justify=justify)  # type: ignore[arg-type]  # a literal of rich's
        table.add_column("source", overflow="fold")
        for concept in zoo.concepts:
            called = ", ".join((concept.name, *concept.synonyms))
            pictures = "-" if concept.pictures is None else str(concept.pictures)
            known = "-" if concept.auc is None else f"{concept.auc:.3f}"
            cells = (called, concept.kind or "-", known, pictures)
            table.add_row(*(Text(f"{cell}  ") for cell in cells), Text(concept.source or "-"))
        console.print(table)
    empty = "" if len(zoo) else f"; {FILL}"
    console.print(f"{zoo.folder}: {counted(len(zoo), 'concept')}{empty}", soft_wrap=True)
    print_damaged(zoo)


def print_damaged(zoo: Zoo) -> None:
    """A note for each concept that cannot be used."""
    for reason in zoo.damaged.values():
        print_note(reason)


def print_concept(concept: Concept) -> None:
    """All that is known of a concept, a line each."""
    home = concept.architecture
    facts = {
        "also called": ", ".join(concept.synonyms) or "-",
        "kind": concept.kind or "not said",
        "known": how_known(concept),
        "network": f"{home.name}, pictures of {home.input_size} x {home.input_size}",
        "source": concept.source or "not said",
        "licence": concept.licence or "not said",
        "written by": f"composer {concept.version}",
        "folder": str(concept.folder),
    }
    console = make_console()
    console.print(Text(concept.name, style="bold"))
    for name, said in facts.items():
        console.print(Text(f"  {name:<13}{said}"), soft_wrap=True)


def print_learned(concept: Concept) -> None:
    """What was learned or added, and how to use it."""
    make_console().print(Text(f"{concept.name}: {how_known(concept)}; {concept.folder}"), soft_wrap=True)


def print_checks(checks: Sequence[Check]) -> None:
    """A row for each concept: what it does on its own pictures, on whose others it fires; then the doubtful ones."""
    table = plain_table("concept  ", "own AUC  ", "fires for its own  ", right=2)
    table.add_column("fires for pictures of", overflow="fold")
    for check in checks:
        own = "-" if check.own is None else f"{check.own:.3f}"
        share = f"{check.fires[check.concept]:.0%}" if check.concept in check.fires else "-"
        shown = [f"{name} {share:.0%}" for name, share in check.others.items()]
        more = f" and {len(shown) - MOST_OTHERS} more" if len(shown) > MOST_OTHERS else ""
        others = ", ".join(shown[:MOST_OTHERS]) + more or "no other"
        table.add_row(Text(f"{check.concept}  "), f"{own}  ", f"{share}  ", Text(others))
    console = make_console()
    console.print(table)
    doubtful = [check for check in checks if check.doubts]
    for check in doubtful:
        console.print(Text(f"doubtful: {check.concept}: {'; '.join(check.doubts)}"), soft_wrap=True)
    if not doubtful:
        console.print("no concept is doubtful", soft_wrap=True)
    if without := [check.concept for check in checks if check.own is None]:
        print_note(f"the zoo keeps no pictures of {', '.join(without)}: see what else they fire for")
