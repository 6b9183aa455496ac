"""The commands of the zoo: `composer zoo` and `composer learn`. Torch is imported by those that need it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace as changed
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from composer.command_line.cli_options import device_option, examples, revision_option
from composer.command_line.cli_store import store_option
from composer.errors import ComposerError

if TYPE_CHECKING:
    from composer.zoo.zoo import Zoo

zoo_option = click.option(
    "--zoo",
    "folder",
    metavar="FOLDER",
    type=click.Path(path_type=Path),
    help="The zoo.  [default: $COMPOSER_ZOO, else composer/zoo in the user's data folder]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
replace_option = click.option("--replace", is_flag=True, help="Put it in the place of one of that name.")
synonym_option = click.option("--synonym", "synonyms", multiple=True, help="Another word for it. May be repeated.")
kind_option = click.option(
    "--kind",
    type=click.Choice(["attribute", "object"]),
    help="Said of things, as adjectives are, or a thing, as nouns.",
)
licence_option = click.option("--licence", default="", help="Under which it may be used, in words.")


@click.group(
    "zoo",
    invoke_without_command=True,
    epilog=examples(
        "composer zoo",
        "composer zoo drawings",
        "composer zoo show black",
        "composer zoo add resnet18 --concept 'tiger cat'",
        "composer zoo check",
    ),
)
@zoo_option
@json_option
@click.pass_context
def zoo(context: click.Context, folder: Path | None, as_json: bool) -> None:
    """Show the zoo: a folder of concepts.

    Each is a model folder, with how well it knows its concept, and where it came from. `composer learn` learns another
    one from pictures.
    """
    if context.invoked_subcommand is not None:
        return
    from composer.command_line.terminal_zoo import print_zoo, zoo_data

    opened = _zoo(folder)
    if as_json:
        click.echo(json.dumps(zoo_data(opened), indent=2, ensure_ascii=False))
    else:
        print_zoo(opened)


@zoo.command(epilog=examples("composer zoo show black", "composer zoo show black --json"))
@click.argument("name")
@zoo_option
@json_option
def show(name: str, folder: Path | None, as_json: bool) -> None:
    """Show all that is known of NAME."""
    from composer.command_line.terminal_zoo import concept_data, print_concept

    concept = _zoo(folder)[name]
    if as_json:
        click.echo(json.dumps(concept_data(concept), indent=2, ensure_ascii=False))
    else:
        print_concept(concept)


@zoo.command(epilog=examples("composer zoo remove black white"))
@click.argument("names", nargs=-1, required=True)
@zoo_option
def remove(names: tuple[str, ...], folder: Path | None) -> None:
    """Remove the concepts NAMES, with their folders."""
    opened = _zoo(folder)
    for name in names:
        opened.remove(name)
        click.echo(f"removed {name}")


@zoo.command(
    epilog=examples(
        "composer zoo add runs/black_cat --concept black --concept cat",
        "composer zoo add resnet18 --concept 'tiger cat' --concept goldfish",
        "composer zoo add cat.pth --concept cat --output 3 --kind object",
        "composer zoo add user/black --concept black   # out of the Hugging Face hub",
    )
)
@click.argument("model", metavar="PATH_OR_NAME")
@click.option("--concept", "concepts", multiple=True, required=True, help="Its name. May be repeated.")
@click.option(
    "--output",
    "outputs",
    multiple=True,
    help="What the model calls it: a class, a network of a run, or numbers of outputs (0 is the first, 3,4 are two). "
    "One for each --concept.  [default: its name]",
)
@synonym_option
@kind_option
@licence_option
@revision_option
@click.option("--source", default="", help="Where it came from, in words.  [default: what PATH_OR_NAME is]")
@zoo_option
@replace_option
def add(
    model: str,
    concepts: tuple[str, ...],
    outputs: tuple[str, ...],
    synonyms: tuple[str, ...],
    kind: Any,
    licence: str,
    revision: str | None,
    source: str,
    folder: Path | None,
    replace: bool,
) -> None:
    """Add concepts that a model at hand knows.

    PATH_OR_NAME is the folder of a run or of a model, a file of weights, the name of a model source or of a network
    of torchvision or timm, each of whose classes can be a concept, or user/repo on the Hugging Face hub.
    """
    if outputs and len(outputs) != len(concepts):
        raise ComposerError(
            f"--output: one is needed for each of {len(concepts)} --concept, or none, not {len(outputs)}"
        )
    if synonyms and len(concepts) > 1:
        raise ComposerError("--synonym: is of one concept; add those with synonyms one by one")
    opened = _zoo(folder)
    names = [opened.require_free(concept, replace) for concept in concepts]
    click.echo("loading", err=True)
    from composer.command_line.terminal_zoo import print_learned
    from composer.models.at_hand import fetched_from
    from composer.zoo.adding import entry_of  # imports torch

    path, where = fetched_from(model, revision)
    entries = []
    for name, asked, called in zip(names, concepts, outputs or concepts, strict=True):
        found, what = _model(str(path), asked, called if outputs else "")
        entries.append(entry_of(found, name, source or where, what))
    for entry in entries:  # none before all are known to be right
        print_learned(opened.put(entry, synonyms, kind, licence, replace))


@zoo.command(epilog=examples("composer zoo check", "composer zoo check --page sheet.html", "composer zoo check --json"))
@zoo_option
@json_option
@click.option(
    "--page",
    type=click.Path(path_type=Path),
    help="Also write an HTML file with the pictures themselves: which each concept fires for.",
)
def check(folder: Path | None, as_json: bool, page: Path | None) -> None:
    """Check whether concepts are what they are called.

    Of each concept the zoo keeps a few pictures that it was not learned from. Says which of all these each concept
    fires for, and names those that are doubtful. The exit code is 1 where one is.
    """
    from composer.command_line.terminal_zoo import print_checks, print_damaged

    opened = _zoo(folder)
    if not len(opened):
        print_damaged(opened)
        raise ComposerError(f"{opened.folder}: there are no concepts to check")
    click.echo("loading", err=True)
    from composer.page.predictions import check_place
    from composer.zoo.checking import probed  # imports torch
    from composer.zoo.probe_sheet import COMMAND, write_sheet

    replaced = page is not None and check_place(page, COMMAND)
    pictures = probed(opened.concepts)
    found = pictures.checks()
    if as_json:
        data = [
            {"concept": one.concept, "own_auc": one.own, "fires": dict(one.fires), "doubts": list(one.doubts)}
            for one in found
        ]
        click.echo(json.dumps(data, indent=2, ensure_ascii=False))
    else:
        print_checks(found)
        print_damaged(opened)
    if page is not None:
        write_sheet(page, pictures, opened.folder)
        click.echo(f"{'written anew' if replaced else 'written'}: {page}", err=True)
    if any(one.doubts for one in found):
        click.get_current_context().exit(1)


@zoo.command(epilog=examples("composer zoo drawings", "composer zoo drawings --only black --only cat"))
@click.option("--only", multiple=True, help="Learn this concept alone. May be repeated.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Seed of pictures and networks.")
@zoo_option
@click.option("--replace", is_flag=True, help="Learn anew what is there already.")
@device_option
def drawings(only: tuple[str, ...], seed: int, folder: Path | None, replace: bool, device: str) -> None:
    """Learn all that can be drawn: a zoo for everybody.

    Draws pictures of every attribute and object of the embedded world and trains a few small networks for each, which
    takes minutes. What is there already is kept: run the same command to go on.
    """
    from composer.registry import load_registry

    opened = _zoo(folder)
    click.echo("loading", err=True)
    from composer.text import counted
    from composer.zoo.drawn import DrawnWorld  # imports torch
    from composer.zoo.writing import prepare

    world = DrawnWorld.usual(load_registry(), seed)
    kinds = world.chosen(only)
    missing = [name for name in kinds if replace or (name not in opened and name not in opened.damaged)]
    lesson = changed(world.lesson(), device=_device(device))
    prepare(opened.folder)
    for done, name in enumerate(missing, start=1):
        concept = opened.put(world.learn(name, lesson), kind=kinds[name], licence="", replace=replace)
        click.echo(f"{name}: AUC {concept.auc:.3f} ({done} of {len(missing)})", err=True)
    kept = [name for name in kinds if name not in missing]
    others = [name for name in kept if name in opened and not opened[name].source.startswith(world.source)]
    _say_warnings(lesson.warnings)
    click.echo(f"{opened.folder}: learned {counted(len(missing), 'concept')}, kept {len(kept)}")
    if others:
        click.echo(f"note: not drawn, and kept: {', '.join(others)} (--replace learns them anew)", err=True)


@click.command(
    epilog=examples(
        "composer learn black --yes photos/black --no photos/others",
        "composer learn cat --yes cats/ --no dogs/ --architecture cnn --kind object --synonym kitten",
        "composer learn --from recipes/black_cat.yaml",
    )
)
@click.argument("name", required=False)
@click.option("--yes", type=click.Path(path_type=Path), help="Folder of pictures that show it.")
@click.option("--no", type=click.Path(path_type=Path), help="Folder of pictures that do not.")
@click.option("--from", "recipe", type=click.Path(path_type=Path), help="Learn the concepts of this recipe instead.")
@click.option(
    "--architecture",
    metavar="NAME",
    help="Train a few networks of it from nothing, cnn for small ones.  [default: fit a head on a pretrained network, "
    "and cnn where none is installed]",
)
@synonym_option
@kind_option
@licence_option
@click.option("--seed", type=click.IntRange(min=0), help="Seed.  [default: 0, or the recipe's]")
@zoo_option
@replace_option
@store_option
@device_option
def learn(
    name: str | None,
    yes: Path | None,
    no: Path | None,
    recipe: Path | None,
    architecture: str | None,
    synonyms: tuple[str, ...],
    kind: Any,
    licence: str,
    seed: int | None,
    folder: Path | None,
    replace: bool,
    store: Path | None,
    device: str,
) -> None:
    """Learn the concept NAME, for the zoo.

    From two folders of pictures, those that show it and those that do not; a fifth of them is held out to say how well
    it is known. With --from, the concepts of a recipe, as it says; what a run of it has computed is not computed again.
    """
    opened = _zoo(folder)
    if recipe is not None:
        if name is not None or yes or no or architecture or synonyms or kind:
            raise ComposerError(
                "--from: takes names, pictures and networks from the recipe; leave out NAME and the like"
            )
        _learn_recipe(opened, recipe, seed, licence, replace, store, device)
        return
    if name is None or yes is None or no is None:
        raise ComposerError("composer learn: takes NAME, --yes FOLDER and --no FOLDER, or --from RECIPE")
    plain = opened.require_free(name, replace)
    from composer.registry import load_registry

    click.echo("loading", err=True)
    from composer.command_line.terminal_zoo import print_learned
    from composer.zoo.learning import Lesson, usual_source  # imports torch
    from composer.zoo.writing import prepare

    prepare(opened.folder)
    lesson = Lesson(usual_source(architecture, load_registry()), seed or 0, _device(device), _say_begun)
    entry = lesson.learn_folders(plain, yes, no)
    _say_warnings(lesson.warnings)
    print_learned(opened.put(entry, synonyms, kind, licence, replace))


def _learn_recipe(
    opened: Zoo, file: Path, seed: int | None, licence: str, replace: bool, store: Path | None, device: str
) -> None:
    from composer.command_line.terminal_zoo import print_learned
    from composer.progress import watching
    from composer.recipes.recipe_reader import read_recipe
    from composer.registry import load_registry

    registry = load_registry()
    recipe = read_recipe(file, [] if seed is None else [f"seed={seed}"], registry)
    for name in recipe.names:
        opened.require_free(name, replace)
    with watching(registry):
        from composer.zoo.from_recipes import parents_of  # imports torch
        from composer.zoo.writing import prepare

        prepare(opened.folder)
        found = list(parents_of(recipe, registry, device, store))
    for entry, warnings in found:
        _say_warnings([f"{entry.name}: {warning}" for warning in warnings])
        print_learned(opened.put(entry, licence=licence, replace=replace))


def _model(given: str, concept: str, called: str) -> tuple[Any, str]:
    """(what was given as something that `add` takes, what it calls the concept)."""
    if Path(given).is_dir():
        return Path(given), called
    from composer.command_line.new_recipe import Network, look
    from composer.recipes.slots import read_component
    from composer.registry import load_registry

    registry = load_registry()
    numbers = [int(number) for number in called.split(",")] if called.replace(",", "").isdigit() else []
    what = concept if numbers or not called else called
    found = look(what, given, numbers, registry)
    assert isinstance(found, Network)  # a folder was taken above
    return read_component(registry.find("models", found.models["use"]), found.models, registry), what


def _say_begun(what: str, done: int, _: int) -> None:
    if done == 0:
        click.echo(what, err=True)


def _say_warnings(warnings: Sequence[str]) -> None:
    from composer.command_line.terminal import print_note

    for warning in warnings:
        print_note(warning)


def _device(device: str) -> str:
    from composer.running.outcome import choose_device

    return choose_device(device)


def _zoo(folder: Path | None) -> Zoo:
    from composer.zoo.zoo import Zoo

    context = click.get_current_context()
    above = context.parent.params.get("folder") if context.parent is not None else None
    return Zoo(folder or above)


COMMANDS = (zoo, learn)
"""To be added to the command line's group."""
