"""The command `composer unite`. Rich and torch are imported when it runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from composer.command_line.cli_models import architecture_of
from composer.command_line.cli_options import examples, seed_option
from composer.errors import ComposerError


@click.command(
    epilog=examples(
        "composer unite birds.pth cars.pth --pictures photos/ -o both",
        "composer unite a.pth b.pth --names a.pth=cat,dog --names b.pth=car,bus,- --pictures photos/ -o both",
        "composer unite a.pth b.pth --pictures photos/ --test test/ --one --architecture cifar_resnet -o one",
    )
)
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--pictures",
    required=True,
    type=click.Path(path_type=Path),
    help="Pictures of what all of them know, which none has learned from: a folder for each class, called as it ("
    "'none' for pictures of no class), or pictures without labels.",
)
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option(
    "--names",
    multiple=True,
    metavar="FILE=NAME,NAME",
    help="What the outputs of a checkpoint mean, in their order: '-' leaves one out, 'none' means none of the others.  "
    "[default: as its plugin knows]",
)
@click.option(
    "--outputs",
    type=click.Choice(["softmax", "independent"]),
    default="softmax",
    show_default=True,
    help="softmax: each picture shows one of all classes; independent: yes or no for each class, and a folder may be "
    "called after several, brand+product.",
)
@click.option("--one", is_flag=True, help="One network, which learns from --pictures what they say together.")
@click.option(
    "--architecture",
    "architectures",
    multiple=True,
    metavar="[FILE=]NAME|MAPPING",
    help="Of the one network, as a recipe says it; with FILE= of a checkpoint.  [default: the smallest; recognised]",
)
@click.option("--steps", type=click.IntRange(min=1), help="Of the one network's learning.  [default: as distil]")
@click.option("--unlabelled", is_flag=True, help="Take no label from the folders in --pictures.")
@click.option(
    "--test",
    type=click.Path(path_type=Path),
    help="Pictures to judge it by, which nothing has seen: a folder for each class, called as it.",
)
@seed_option
def unite(
    checkpoints: tuple[Path, ...],
    pictures: Path,
    output: Path,
    names: tuple[str, ...],
    outputs: str,
    one: bool,
    architectures: tuple[str, ...],
    steps: int | None,
    unlabelled: bool,
    test: Path | None,
    seed: int,
) -> None:
    """Make one model of all classes that CHECKPOINTS know.

    The classifiers may differ in architecture, in size, and in the number of their classes; a name that several have is
    one class. Writes a folder that `composer.load`, `composer predict` and `composer export` read.
    """
    if len(checkpoints) < 2:
        raise click.UsageError("give two checkpoints or more")
    if steps is not None and not one:
        raise click.UsageError("--steps is for --one")
    named = {file: tuple(part.strip() for part in text.split(",")) for file, text in _of_files("--names", names)}
    networks = dict(_of_files("--architecture", [text for text in architectures if _has_file(text)]))
    own = [text for text in architectures if not _has_file(text)]
    if len(own) > 1 or (own and not one):
        raise click.UsageError(f"--architecture {own[-1]}: without FILE= it is that of the one network, for --one")
    for option, given in (("--names", named), ("--architecture", networks)):
        _require_checkpoints(option, given, checkpoints)
    from composer.command_line.terminal_unite import print_united
    from composer.data.files import require_free
    from composer.models.classifiers import Classifier, Given, Wanted, united_by  # imports torch, which takes seconds
    from composer.models.union import OUTPUTS
    from composer.models.union_words import COMMAND

    require_free(output)
    parents = [
        Classifier(file, named.get(str(file)), architecture_of(networks.get(str(file)), f"--architecture {file}"))
        for file in checkpoints
    ]
    student = architecture_of(own[0] if own else None)
    wanted = Wanted(OUTPUTS[OUTPUTS.index(outputs)], one, student, steps, seed)
    judged = None if test is None else Given(test)
    found = united_by(parents, Given(pictures, labelled=not unlabelled), judged, wanted, COMMAND)
    found.save(output)
    print_united(found)
    click.echo(output)
    click.echo(f"use it: composer predict {output} PICTURES", err=True)


def _has_file(text: str) -> bool:
    """Whether an option's text begins with FILE=; a mapping of a recipe has no = in it before its braces."""
    return "=" in text.split("{")[0]


def _of_files(option: str, given: Sequence[str]) -> list[tuple[str, str]]:
    """(file, text) of each; ComposerError for one without a file, or a file that is named twice."""
    found: dict[str, str] = {}
    for text in given:
        file, sign, rest = text.partition("=")
        if not sign or not file:
            raise ComposerError(f"{option} {text}: say of which checkpoint, {option} FILE={text or '...'}")
        if file in found:
            raise ComposerError(f"{option} {file}: is given twice")
        found[file] = rest
    return list(found.items())


def _require_checkpoints(option: str, given: Mapping[str, object], checkpoints: Sequence[Path]) -> None:
    files = [str(file) for file in checkpoints]
    for file in given:
        if file not in files:
            raise ComposerError(
                f"{option} {file}: is none of the checkpoints ({', '.join(files)}), as they are written"
            )
