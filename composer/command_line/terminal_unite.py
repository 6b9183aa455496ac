"""What people see of a union of classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.table import Table
from rich.text import Text

from composer.command_line.terminal import print_note
from composer.models.union_scores import MOST_TAKEN
from composer.text import make_console, percent, plain_table

if TYPE_CHECKING:
    from composer.models.classifiers import UnitedModel
    from composer.models.loading import LoadedModel, Prediction
    from composer.models.union_scores import Class, Scores


def print_united(found: UnitedModel) -> None:
    """Each network with its classes and its calibration, what it was judged, and notes."""
    made, product = found.made, found.product
    console = make_console()
    table = plain_table("network", "classes", "temperature", right=1, gap=2)
    for part, knower in zip(product.model.parts, product.knowers, strict=True):
        temperature = f"{knower.temperature:.2f}" if knower.calibrated else "not calibrated"
        table.add_row(Text(part.concept), Text(", ".join(knower.own)), temperature)
    console.print(table)
    console.print(
        f"{len(made.classes)} classes together, {made.model.parameters:,} parameters; {found.about_pictures}",
        soft_wrap=True,
    )
    for note in found.notes:
        print_note(note)
    for title, each in found.scores.items():
        console.print()
        _print_scores(title, each)


def _print_scores(title: str, scores: Scores) -> None:
    console = make_console()
    table = plain_table(title, "pictures", "alone", "united", "taken for another's", right=4, gap=2)
    table.add_row("all classes", str(scores.all.of), "", str(scores.all), "")
    for own in scores.parents:
        elsewhere = str(own.elsewhere.right)
        table.add_row(Text(own.parent), str(own.before.of), str(own.before), str(own.after), elsewhere)
    console.print(table)
    for true, said, count in scores.taken[:MOST_TAKEN]:
        console.print(f"  {true} taken for {said}: {count}", soft_wrap=True, markup=False)
    if scores.classes:
        console.print()
        console.print(_classes_table(scores.classes))


def _classes_table(classes: Sequence[Class]) -> Table:
    """Independent classes, each by itself."""
    table = plain_table("by itself", "AUC", "yes for its own", "no for others", right=3, gap=2)
    for one in classes:
        area = "" if one.auc is None else f"{one.auc:.3f}"
        table.add_row(Text(one.name), area, *("" if each is None else str(each) for each in (one.yes, one.no)))
    return table


def print_labels(model: LoadedModel, predictions: Sequence[Prediction]) -> None:
    """A row per readable picture with its likeliest class and the next, and how many pictures each class has."""
    console = make_console()
    table = plain_table()
    table.padding = (0, 2, 0, 0)
    for heading in ("picture", "shows", "", "or", ""):
        table.add_column(heading, justify="left" if heading else "right", overflow="fold")
    readable = [prediction for prediction in predictions if prediction.label is not None]
    for prediction in readable:
        (best, sure), (second, less) = sorted(prediction.concepts.items(), key=lambda each: -each[1])[:2]
        row = (Text(prediction.name), Text(best), percent(sure), Text(second), percent(less))
        table.add_row(*row, style="" if prediction.shown else "dim")
    if not readable:
        return
    console.print(table)
    labels = [prediction.label for prediction in readable]
    counts = [f"{labels.count(name)} {name}" for name in model.answers if name in labels]
    count = f"{len(readable)} picture{'' if len(readable) == 1 else 's'}"
    console.print(f"\n{count}: {', '.join(counts)}", soft_wrap=True)
