"""The command `composer merge`. Rich and torch are imported when it runs."""

from __future__ import annotations

from pathlib import Path

import click

from composer.command_line.cli_models import architecture_of, asked_pictures
from composer.command_line.cli_options import examples, seed_option


@click.command(
    epilog=examples(
        "composer merge A.th B.th --concept cat -o merged",
        "composer merge A.th B.th --outputs 3 --images photos/ -o merged",
        "composer merge A.th B.th --concept cat --set by=activations --images photos/ -o merged",
    )
)
@click.argument("checkpoints", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--method",
    default="aligned_mean",
    show_default=True,
    metavar="NAME|MAPPING",
    help="The assembler, as a recipe says it: 'NAME' or '{use: NAME, option: value}'.",
)
@click.option("--set", "changes", multiple=True, metavar="OPTION=VALUE", help="Set an option of the method.")
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="Folder to write.")
@click.option("--concept", help="What the network is for: one of its classes, where their names are known.")
@click.option("--outputs", metavar="N,N", help="Which outputs mean it, from 0.")
@click.option(
    "--images",
    multiple=True,
    help="Pictures like those that the networks learned from, without labels: files, folders, patterns.",
)
@click.option(
    "--architecture",
    metavar="NAME|MAPPING",
    help="The network as a recipe says it: '{use: cnn, size: 32}'.  [default: recognised]",
)
@seed_option
def merge(
    checkpoints: tuple[Path, ...],
    method: str,
    changes: tuple[str, ...],
    output: Path,
    concept: str | None,
    outputs: str | None,
    images: tuple[str, ...],
    architecture: str | None,
    seed: int,
) -> None:
    """Make one network out of CHECKPOINTS of one architecture.

    Writes a folder that `composer.load`, `composer predict` and `composer export` read. Networks with batch norm need
    --images: without, their running statistics do not fit.
    """
    meant = _numbers(outputs)
    files = asked_pictures(images) if images else []
    from composer.data.files import require_free
    from composer.data.run import Run
    from composer.interfaces import Assembler
    from composer.models.merging import merge_files, pictures_of, write_merged  # imports torch, which takes seconds
    from composer.recipes.slots import read_text

    require_free(output)
    assembler = read_text(Assembler, method, "--method", changes)
    network = architecture_of(architecture)
    run = Run(seed=seed, pictures=(pictures_of(files),) if files else ())
    model = merge_files(checkpoints, assembler, run, concept=concept, outputs=meant, architecture=network)
    write_merged(model, output, assembler, checkpoints)
    for warning in run.warnings:
        click.echo(f"warning: {warning}", err=True)
    click.echo(output)
    click.echo(f'load it with composer.load("{output}")', err=True)


def _numbers(written: str | None) -> tuple[int, ...]:
    if written is None:
        return ()
    try:
        return tuple(int(number) for number in written.split(","))
    except ValueError:
        raise click.UsageError(f"--outputs {written}: must be numbers from 0, parted by commas") from None
