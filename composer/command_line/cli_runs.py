"""The commands that look at finished runs: report, compare, verify. None of them imports torch."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import click

from composer.command_line.cli_options import examples
from composer.errors import ComposerError
from composer.results.run_folder import COLUMNS

TOUCHED = 2
"""Exit code of `verify` for a run that is not as it was left."""


run_argument = click.argument("run", type=click.Path(path_type=Path))
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")


@click.command(epilog=examples("composer report runs/black_cat", "composer report runs/black_cat --csv > members.csv"))
@run_argument
@click.option("--json", "as_json", is_flag=True, help="Print its scores as JSON, an object per member, instead.")
@click.option("--csv", "as_csv", is_flag=True, help="Print its scores as CSV, a row per member, instead.")
def report(run: Path, as_json: bool, as_csv: bool) -> None:
    """Write the page of RUN again, or print its scores.

    Writes report.html in the folder of a finished run from the files in it, without computing anything: after an update
    of composer, for example. The page is one file that needs nothing else; send it to a colleague.

    With --json or --csv, prints every score of every member: tidy data, as the run's scores.csv holds it.
    """
    one_of(as_json, as_csv)
    if as_json or as_csv:
        from composer.results.run_folder import read_run, typed

        rows = read_run(run).scores()
        if as_csv:
            write_csv(rows, COLUMNS)
        else:
            click.echo(json.dumps([typed(row) for row in rows], indent=2, ensure_ascii=False))
        return
    from composer.page.writing import write_page
    from composer.results.run_folder import require_run
    from composer.running.locking import changing
    from composer.running.sealing import renew

    require_run(run)
    with changing(run):
        page = write_page(run)
        renew(run, page.name)
    click.echo(page)


@click.command(
    epilog=examples(
        "composer compare runs/black_cat runs/white_dog",
        "composer compare runs/* --score recognition.auc_hardest_cell",
        "composer compare runs/a runs/b --csv > members.csv",
    )
)
@click.argument("runs", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--score", help="Score to compare by.  [default: the main one that the evaluators declare]")
@json_option
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV: a row per run, composition, score and member.")
def compare(runs: tuple[Path, ...], score: str | None, as_json: bool, as_csv: bool) -> None:
    """Put RUNS side by side.

    Prints one score of every composition in every run, and what differs in their recipes, seeds and versions.
    """
    one_of(as_json, as_csv)
    if len(runs) < 2:
        raise ComposerError(f"compare takes two runs or more, not {len(runs)}; `composer report` shows one")
    from composer.results.comparing import compare as side_by_side
    from composer.results.comparing import tidy_rows

    if as_csv:
        rows = tidy_rows(runs)
        chosen = [row for row in rows if score in (None, row["score"])]
        if not chosen:
            side_by_side(runs, score)  # says which scores there are
        write_csv(chosen, ("run", *COLUMNS))
        return
    found = side_by_side(runs, score)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
        return
    from composer.command_line.terminal_runs import print_comparison

    print_comparison(found)


@click.command(epilog=examples("composer verify runs/black_cat"))
@run_argument
@json_option
def verify(run: Path, as_json: bool) -> None:
    """Check that RUN is as it was left.

    Hashes its files again, the stages kept in the store, and the inputs that are still on disk, and says what was
    changed, is missing or was added, which options of its recipe were edited, and which versions differ now.

    Exit code: 0 where the run is whole, 2 where anything was touched. Versions that differ, and inputs whose folder is
    not here, are notes: they say nothing against the results.
    """
    from composer.results.verification import verify as check

    checked = check(run)
    if as_json:
        click.echo(json.dumps(checked.data(), indent=2, ensure_ascii=False))
    else:
        from composer.command_line.terminal_runs import print_verification

        print_verification(checked)
    if not checked.whole:
        click.get_current_context().exit(TOUCHED)


COMMANDS = (report, compare, verify)
"""To be added to the command line's group, in this order."""


def one_of(as_json: bool, as_csv: bool) -> None:
    """ComposerError where both forms are asked for."""
    if as_json and as_csv:
        raise ComposerError("--json and --csv: choose one of the two")


def write_csv(rows: Iterable[Mapping[str, str]], columns: Sequence[str]) -> None:
    """The rows on standard output."""
    lines = csv.DictWriter(sys.stdout, columns, lineterminator="\n")
    lines.writeheader()
    lines.writerows(rows)
