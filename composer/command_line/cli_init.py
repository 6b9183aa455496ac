"""The command that writes a first recipe, out of what people have: folders of pictures, and models."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from composer.errors import ComposerError, RecipeError


@click.command(
    epilog="\n".join(
        [
            "\b",  # keeps click from joining the lines
            "Examples:",
            "  composer init",
            "  composer init black_cat --concept black photos/black --concept cat photos/cat --test photos/test",
            "  composer init black_cat --concept black black.pth --outputs black 1 --concept cat resnet50",
        ]
    )
)
@click.argument("name", required=False)
@click.option(
    "--concept",
    "concepts",
    nargs=2,
    multiple=True,
    metavar="CONCEPT SOURCE",
    help="A concept, and a folder of pictures, a file of weights, or the name of a network. Twice or more.",
)
@click.option(
    "--outputs",
    nargs=2,
    multiple=True,
    metavar="CONCEPT NUMBERS",
    help="Which outputs of a file mean a concept, the first being 0: cat 281,282.",
)
@click.option("--test", type=click.Path(path_type=Path), help="Folder of test pictures, a folder in it for each cell.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="File to write.  [default: NAME.yaml]")
@click.option("--force", is_flag=True, help="Overwrite a recipe, and its links to pictures.")
def init(
    name: str | None,
    concepts: tuple[tuple[str, str], ...],
    outputs: tuple[tuple[str, str], ...],
    test: Path | None,
    output: Path | None,
    force: bool,
) -> None:
    """Write a first recipe.

    For each concept it takes a folder of pictures (with the folders yes and no, or pictures that all show the concept),
    a file of weights, or the name of a network. Where nothing is said, it asks.

    A concept without pictures of no takes those of the other concepts for it, or drawings where no other has any, and
    the command says so. Pictures stay where they are: a folder NAME_pictures of links is made, unless they lie as the
    image source `folder` wants them.
    """
    if not concepts:
        name, concepts, test = asked(name, test)
    elif name is None:
        name = "_".join(concept for concept, _ in concepts)
    file = output or Path(f"{name}.yaml")
    require_names(name, [concept for concept, _ in concepts])
    if os.path.lexists(file) and not force:
        raise ComposerError(f"{file}: is there already; --force overwrites it, --output takes another name")
    from composer.text import make_console  # rich

    for said in write_recipe(name, concepts, read_outputs(outputs, concepts), test, file, force):
        make_console().print(said, soft_wrap=True)


def asked(name: str | None, test: Path | None) -> tuple[str, tuple[tuple[str, str], ...], Path | None]:
    """What is needed, asked for; ComposerError where there is nobody to ask."""
    if not sys.stdin.isatty():
        raise ComposerError("say --concept CONCEPT SOURCE twice or more: this is no terminal on which to ask")
    click.echo("Two concepts; for each a folder of pictures, a file of weights, or the name of a network.\n")
    found = []
    for which in ("The attribute, such as black", "The object, such as cat"):
        concept = click.prompt(which)
        found.append((concept, click.prompt(f"Folder, file or network that knows {concept}")))
    usual = "_".join(concept for concept, _ in found)
    name = name or click.prompt("Name of the recipe", default=usual)
    if test is None:
        said = click.prompt("Folder of test pictures (nothing is judged without)", default="", show_default=False)
        test = Path(said) if said else None
    return str(name), tuple(found), test


def require_names(name: str, concepts: Sequence[str]) -> None:
    """Raises ComposerError where the recipe or a concept has no name that it can have."""
    from composer.recipes.recipe import why_no_name

    for who, given in (("NAME", name), *(("--concept", concept) for concept in concepts)):
        if wrong := why_no_name(given):
            raise ComposerError(f"{who}: {wrong}")
    if len(set(concepts)) < 2 or len(set(concepts)) < len(concepts):
        raise ComposerError(f"--concept: takes two different concepts or more, not {', '.join(concepts)}")


def read_outputs(given: Sequence[tuple[str, str]], concepts: Sequence[tuple[str, str]]) -> dict[str, list[int]]:
    """Concept -> numbers of outputs; ComposerError for what is no concept or no number."""
    known = [concept for concept, _ in concepts]
    for concept, numbers in given:
        if concept not in known:
            raise ComposerError(f"--outputs {concept}: no --concept is called so; there are {', '.join(known)}")
        if not all(number.strip().isdigit() for number in numbers.split(",")):
            raise ComposerError(f"--outputs {concept}: must be numbers from 0 up with commas between, not {numbers!r}")
    return {concept: [int(number) for number in numbers.split(",")] for concept, numbers in given}


def write_recipe(
    name: str,
    concepts: Sequence[tuple[str, str]],
    outputs: dict[str, list[int]],
    test: Path | None,
    file: Path,
    force: bool,
) -> list[str]:
    """Writes a recipe that `composer check` passes, and its links; returns what there is to say.

    Where it cannot be made nothing is left, and nothing that was there is touched.
    """
    from composer.command_line.new_recipe import Pictures, laid_out, link, look, recipe_text, require_links
    from composer.data.files import part_of, remove, write_text
    from composer.recipes.recipe_reader import read_recipe
    from composer.registry import load_registry

    registry = load_registry()
    sources = [look(concept, given, outputs.get(concept, []), registry) for concept, given in concepts]
    train, links = laid_out(sources), file.parent / f"{file.stem}_pictures"
    linked = train is None and any(isinstance(each, Pictures) for each in sources)
    if linked:
        require_links(links, sources, force)
    made, part, notes = part_of(links), part_of(file), []
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        if linked:
            notes = link(sources, made, registry)
        write_text(part, recipe_text(name, sources, made if linked else train, test, notes, file, registry))
        read_recipe(part, (), registry)
        if linked:
            remove(links)
            made.rename(links)
        write_text(file, recipe_text(name, sources, links if linked else train, test, notes, file, registry))
    except RecipeError as error:
        faults = (f"{problem.option}: {problem.message}" for problem in error.problems)
        raise ComposerError("\n".join(faults).replace(str(made), str(links))) from None
    except OSError as error:
        raise ComposerError(f"{file}: cannot be written: {error.strerror or error}") from None
    finally:
        remove(part)
        remove(made)
    return [*notes, *([f"{links}: links to the pictures"] if linked else []), f"{file}: composer run {file}"]
