"""What people see of models in use: predictions, and what a network is made of."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from composer.text import make_console, percent, plain_table

if TYPE_CHECKING:
    from composer.models.inspection import Inspection
    from composer.models.loading import LoadedModel, Prediction
    from composer.networks.layers import Layer

MOST_UNREADABLE = 20
"""Unreadable files that are listed one by one."""


def columns_of(model: LoadedModel) -> tuple[str, ...]:
    """The concepts with a probability of their own; of a union's classes, where it is asked for a formula, its own."""
    asked = () if model.home.union is None or model.expression is None else model.expression.concepts
    return asked or (model.concepts if len(model.concepts) > 1 else ())


def rule_text(model: LoadedModel, threshold: float | None) -> str:
    """When a picture counts as the target."""
    if len(model.answers) > 1:
        return f"the likeliest class above {percent(0.5 if threshold is None else threshold)}"
    if threshold is not None:
        return f"the target above {percent(threshold)}"
    if len(model.concepts) == 1 or (model.home.union or {}).get("outputs") == "softmax":
        return "above 50 %"
    formula = model.expression is not None and not model.expression.is_conjunction
    return "by which concepts are above 50 %" if formula else "every concept above 50 %"


def print_predictions(model: LoadedModel, predictions: Sequence[Prediction], threshold: float | None) -> None:
    """A row per readable picture, and a sentence that counts."""
    console = make_console()
    table = plain_table("picture", gap=1)
    for concept in (*columns_of(model), model.target):
        table.add_column(Text(concept), justify="right", no_wrap=True)
    table.add_column("shown", no_wrap=True)
    readable = [prediction for prediction in predictions if prediction.error is None]
    for prediction in readable:
        each = [prediction.concepts[concept] for concept in columns_of(model)]
        numbers = [percent(value) for value in (*each, prediction.probability)]
        table.add_row(Text(prediction.name), *numbers, "yes" if prediction.shown else "no", style=_style(prediction))
    if readable:
        console.print(table)
        shown = sum(bool(prediction.shown) for prediction in readable)
        console.print(
            f"\n{shown} of {len(readable)} show {model.target} ({rule_text(model, threshold)})", soft_wrap=True
        )


def print_unreadable(predictions: Sequence[Prediction]) -> None:
    """On standard error how many pictures could not be read, and each with the reason."""
    unreadable = [prediction for prediction in predictions if prediction.error is not None]
    if not unreadable:
        return
    console = make_console(error=True)
    console.print(f"{len(unreadable)} of {len(predictions)} pictures could not be read:", style="yellow")
    for prediction in unreadable[:MOST_UNREADABLE]:
        console.print(Text(f"  {prediction.name}: {prediction.error}"), soft_wrap=True)
    if len(unreadable) > MOST_UNREADABLE:
        console.print(f"  and {len(unreadable) - MOST_UNREADABLE} more")


def predictions_data(model: LoadedModel, predictions: Sequence[Prediction], threshold: float | None) -> dict[str, Any]:
    """The content of `composer predict --json`."""
    return {
        "model": str(model.home.path),
        "composition": model.composition,
        "member": model.member,
        "concepts": list(model.concepts),
        "target": model.target,
        "threshold": threshold,
        "unreadable": sum(prediction.error is not None for prediction in predictions),
        "pictures": [asdict(prediction) for prediction in predictions],
    }


def predictions_csv(model: LoadedModel, predictions: Sequence[Prediction]) -> str:
    """A header and a line per picture; probabilities with six decimals."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    union = len(model.answers) > 1
    writer.writerow(["picture", *columns_of(model), "probability" if union else model.target, "shown", "error"])
    for prediction in predictions:
        values = [*(prediction.concepts.get(concept) for concept in columns_of(model)), prediction.probability]
        numbers = ["" if value is None else f"{value:.6f}" for value in values]
        shown = "" if prediction.shown is None else str(prediction.shown).lower()
        shown = prediction.label or "" if union else shown
        writer.writerow([prediction.name, *numbers, shown, prediction.error or ""])
    return text.getvalue()


def print_inspection(found: Inspection) -> None:
    """What there is to know, a row per layer, and at the end what can be done with the whole."""
    console = make_console()
    console.print(Text(found.title, style="bold"), soft_wrap=True)
    facts = Table.grid(padding=(0, 2))
    facts.add_column(style="dim", no_wrap=True)
    for title, text in found.facts.items():
        facts.add_row(f"  {title}", Text(text))
    console.print(facts)
    console.print()
    console.print(_layers_table(found.layers))
    reasons = dict.fromkeys(layer.why for layer in found.layers if layer.why)
    for number, reason in enumerate(reasons, start=1):
        console.print(Text(f"  {number}  {reason}", style="dim"), soft_wrap=True)
    console.print()
    for ability in found.abilities:
        style = "green" if ability.able else "yellow"
        answer = Text(f"  {'yes' if ability.able else 'no ':<4} ", style=style)
        console.print(answer + Text(f"{ability.what}: {ability.why}"), soft_wrap=True)


def _layers_table(layers: Sequence[Layer]) -> Table:
    reasons = {why: number for number, why in enumerate(dict.fromkeys(layer.why for layer in layers if layer.why), 1)}
    table = plain_table("  layer", gap=1)
    for title in ("kind", "shape", "extract", "align", "assemble"):
        table.add_column(title, no_wrap=True)
    table.add_column("why", justify="right", no_wrap=True)
    for layer in layers:
        align = {"yes": "yes", "no": "no", "with the layer before": "follows"}[layer.align]
        table.add_row(
            Text(f"  {layer.name}"),
            layer.kind,
            "x".join(map(str, layer.shape)) or "1",
            "yes" if layer.extract else "no",
            align,
            "yes" if layer.assemble else "no",
            str(reasons.get(layer.why, "")),
            style="" if layer.extract else "dim",
        )
    return table


def _style(prediction: Prediction) -> str:
    return "bold" if prediction.shown else ""
