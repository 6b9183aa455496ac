"""The command that looks after the store of stages, and the option that names it. Nothing here imports torch."""

from __future__ import annotations

import json
import re
from pathlib import Path

import click

from composer.errors import ComposerError

SECONDS = {"h": 3600, "d": 86400, "w": 7 * 86400}
BYTES = {"": 1, "B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}

store_option = click.option(
    "--store",
    metavar="FOLDER",
    type=click.Path(path_type=Path, file_okay=False),
    help="Keep stages there, for all runs.  [default: $COMPOSER_STORE, else composer in the user's cache folder]",
)


def seconds_of(_: click.Context, __: click.Parameter, text: str | None) -> float | None:
    """Seconds from `30d`, `12h` or `2w`."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([hdw])", text.strip())
    if found is None:
        raise click.BadParameter(f"{text!r} is no time; write 12h, 30d or 2w")
    return float(found[1]) * SECONDS[found[2]]


def bytes_of(_: click.Context, __: click.Parameter, text: str | None) -> int | None:
    """Bytes from `5GB` or `500 MB`."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?B|)", text.strip().upper())
    if found is None:
        raise click.BadParameter(f"{text!r} is no size; write 500MB or 5GB")
    return int(float(found[1]) * BYTES[found[2]])


@click.command(
    epilog="\b\nExamples:\n  composer store\n  composer store --prune --older-than 30d\n"
    "  composer store --prune --keep 5GB"
)
@store_option
@click.option("--prune", is_flag=True, help="Remove stages; say which with --older-than or --keep.")
@click.option("--older-than", metavar="TIME", callback=seconds_of, help="Those not used for that long: 12h, 30d, 2w.")
@click.option("--keep", metavar="SIZE", callback=bytes_of, help="Those used longest ago, until so much is left: 5GB.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a sentence.")
def store(store: Path | None, prune: bool, older_than: float | None, keep: int | None, as_json: bool) -> None:
    """Say how large the store is, or prune it.

    The store keeps the stages of all runs, so that no run computes what another has computed. Runs' folders are
    complete without it: whatever is removed is computed again when a run needs it. Stages that a run uses at the moment
    stay.
    """
    from composer.running.store_folder import default_store, kept_stages
    from composer.running.store_folder import prune as pruned
    from composer.text import counted

    folder = store or default_store()
    if prune == (older_than is None and keep is None):
        raise ComposerError("composer store: --prune takes --older-than or --keep, and these take --prune")
    removed = pruned(folder, older_than, keep) if prune else None
    stages = kept_stages(folder)
    total = sum(stage.size for stage in stages)
    freed = 0 if removed is None else sum(stage.size for stage in removed.removed)
    if as_json:
        data = {"folder": str(folder), "stages": len(stages), "bytes": total}
        if removed is not None:
            data |= {"removed": len(removed.removed), "freed": freed, "in_use": len(removed.spared)}
        click.echo(json.dumps(data, indent=2))
        return
    if removed is not None:
        spared = f"; {counted(len(removed.spared), 'stage')} in use stay" if removed.spared else ""
        click.echo(f"removed {counted(len(removed.removed), 'stage')}, {size(freed)}{spared}")
    click.echo(f"{folder}: {counted(len(stages), 'stage')}, {size(total)}")


def size(amount: int) -> str:
    """`1.5 GB`."""
    for unit in ("TB", "GB", "MB", "KB"):
        if amount >= BYTES[unit]:
            return f"{amount / BYTES[unit]:.1f} {unit}"
    return f"{amount} B"
