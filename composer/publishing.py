"""Writes what came out of a recipe into a run's folder, where it is complete without the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from composer.data import files
from composer.data.files import part_of, remove
from composer.page import saving, writing
from composer.results import output
from composer.running import sealing
from composer.running.locking import changing, put_in_place
from composer.running.outcome import Outcome


def publish(outcome: Outcome, folder: Path) -> None:
    """Writes the results into `folder`, all of them or none, draws the figures, and tells the watchers."""
    store, kept = outcome.store, outcome.kept
    with files.writing(folder), making(folder) as made:
        output.write(made, outcome.recipe, outcome.report, outcome.run)
        output.write_scores(made, outcome.arms)
        output.copy_results(made, store, outcome.plan, outcome.report)
        saving.save(made, outcome.recipe, store, outcome.plan, outcome.test, outcome.report, outcome.shown)
        writing.write_page(made)
        sealing.seal(made, outcome.inputs, store.folder, kept)
        put_in_place(folder, made)
    outcome.hook.composer_run_finished(report=outcome.report, folder=folder)
    with files.writing(folder), changing(folder):
        sealing.seal(folder, outcome.inputs, store.folder, kept)  # with what the watchers wrote


@contextmanager
def making(folder: Path) -> Iterator[Path]:
    """A hidden folder in a run's, for results that are not yet whole; it is gone afterwards."""
    made = part_of(folder / "results")
    made.mkdir()
    try:
        yield made
    finally:
        remove(made)
