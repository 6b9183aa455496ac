"""The command `composer push`: a model put into a repository of the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

import click


@click.command(
    epilog="\b\nExamples:\n  composer push runs/black_cat user/black-cat --composition distil --licence mit\n"
    "  composer push runs/black_cat/models/product user/black-cat --private"
)
@click.argument("folder", metavar="RUN_OR_MODEL", type=click.Path(path_type=Path))
@click.argument("repository", metavar="USER/REPO")
@click.option(
    "--composition",
    help="Composition of the run.  [default: the one with the highest AUC by test labels that is no control]",
)
@click.option("--private", is_flag=True, help="Make a repository that only you can read.")
@click.option("--licence", default="", help="Under which it may be used: mit, cc-by-4.0, ..., or other words.")
def push(folder: Path, repository: str, composition: str | None, private: bool, licence: str) -> None:
    """Put a model on the Hugging Face hub.

    Pushes the model's weights, config and card to USER/REPO, which is made where it is new; then
    `composer.load("USER/REPO")` and `composer predict USER/REPO` use it anywhere. The card's front matter holds its
    scores with their intervals. Needs the extra `hub`, and a token that may write (hf auth login).
    """
    from composer_hub.repository import push as put  # imports torch

    done = put(folder, repository, composition, private=private, licence=licence)
    click.echo(done.url)
    click.echo(f'load it with composer.load("{repository}", revision="{done.revision}")', err=True)
    if not licence:
        click.echo("note: its card names no licence, so nobody may use it; --licence states one", err=True)
