"""The commands that use models: predict, export, inspect. Rich and torch are imported by those that need them."""

from __future__ import annotations

import glob
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from composer.command_line.cli_options import device_option, examples, revision_option
from composer.errors import ComposerError
from composer.models.picture_folders import picture_groups, pictures_in

if TYPE_CHECKING:
    from composer.models.loading import LoadedModel, Prediction
    from composer.networks.architecture import Architecture

TOLERANCE = 1e-3
"""Largest difference in log-odds between an ONNX file and PyTorch that is rounding."""


model_argument = click.argument("model", metavar="RUN_OR_MODEL", type=click.Path(path_type=Path))
composition_option = click.option(
    "--composition",
    help="Composition of the run.  [default: the one with the highest AUC by test labels that is no control]",
)
target_option = click.option(
    "--target",
    metavar="FORMULA",
    help="Ask for another formula of the concepts that the model knows: 'cat and not black'.",
)
member_option = click.option("--member", help="Member, by number or name.  [default: the one picked without labels]")


@click.command(
    epilog=examples(
        "composer predict runs/black_cat holiday/",
        "composer predict runs/black_cat/models/product cat.jpg dog.png --json",
        'composer predict runs/black_cat "holiday/**/*.jpg" --csv > found.csv',
        'composer predict runs/black_cat --target "cat and not black" holiday/',
        "composer predict runs/black_cat holiday/ --page found.html   # to look at",
        "composer predict user/black-cat holiday/                     # out of the Hugging Face hub",
    )
)
@model_argument
@click.argument("pictures", nargs=-1, required=True)
@composition_option
@member_option
@target_option
@revision_option
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    help="Probability of the target above which it counts as shown.  [default: by which concepts' own are above 0.5]",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV in place of a table.")
@click.option(
    "--page",
    type=click.Path(path_type=Path),
    help="Also write an HTML file with the pictures themselves, the most probable first.",
)
@device_option
def predict(
    model: Path,
    pictures: tuple[str, ...],
    composition: str | None,
    member: str | None,
    target: str | None,
    revision: str | None,
    threshold: float | None,
    as_json: bool,
    as_csv: bool,
    page: Path | None,
    device: str,
) -> None:
    """Say what PICTURES show.

    PICTURES are files, folders (with all folders in them) and patterns such as "*.jpg"; RUN_OR_MODEL is a run's
    folder, one of the folders in its models/, or user/repo on the Hugging Face hub. Prints the probability of each
    concept and of the target.

    Files that cannot be read are named and counted, and the others are not harmed. The exit code is 1 where none
    can be read.
    """
    if as_json and as_csv:
        raise click.UsageError("--json and --csv: choose one of the two")
    files = asked_pictures(pictures)
    from composer.command_line.terminal_models import (
        predictions_csv,
        predictions_data,
        print_predictions,
        print_unreadable,
        rule_text,
    )
    from composer.command_line.terminal_unite import print_labels
    from composer.models.loading import load  # imports torch, which takes seconds
    from composer.page.predictions import check_place, write_predictions
    from composer.running.outcome import choose_device

    replaced = page is not None and check_place(page)
    loaded = load(model, composition, member_of(member), target, revision).to(choose_device(device))
    announce(loaded)
    predictions = list(_shown_progress(loaded.predict_each(files, threshold), len(files)))
    if as_json:
        click.echo(json.dumps(predictions_data(loaded, predictions, threshold), indent=2, ensure_ascii=False))
    elif as_csv:
        click.echo(predictions_csv(loaded, predictions), nl=False)
    elif len(loaded.answers) > 1:
        print_labels(loaded, predictions)
    else:
        print_predictions(loaded, predictions, threshold)
    print_unreadable(predictions)
    if page is not None:
        write_predictions(page, loaded, files, predictions, rule_text(loaded, threshold))
        click.echo(f"{'written anew' if replaced else 'written'}: {page}", err=True)
    if all(prediction.error is not None for prediction in predictions):
        click.get_current_context().exit(1)


@click.command(
    epilog=examples(
        "composer export runs/black_cat --format onnx",
        "composer export runs/black_cat --composition product --format safetensors --output my_model",
    )
)
@model_argument
@click.option(
    "--format",
    "format_",
    type=click.Choice(["onnx", "torch_export", "safetensors"]),
    default="onnx",
    show_default=True,
    help="onnx: a file for other programs; torch_export: a .pt2 file; safetensors: a folder with one member.",
)
@click.option(
    "--output", type=click.Path(path_type=Path), help="File or folder to write.  [default: named as the composition]"
)
@composition_option
@member_option
@target_option
@revision_option
def export(
    model: Path,
    format_: str,
    output: Path | None,
    composition: str | None,
    member: str | None,
    target: str | None,
    revision: str | None,
) -> None:
    """Write a composed model for other programs.

    ONNX and torch.export files take RGB pixels between 0 and 1, as many pictures as wanted, all of the size that is
    printed, and give the log-odds of the target. An ONNX file is compared with the original where onnxruntime is
    installed.
    """
    from composer.models.exporting import ENDINGS, FORMATS  # imports torch, which takes seconds
    from composer.models.exporting import export as write
    from composer.models.loading import load

    chosen = FORMATS[FORMATS.index(format_)]
    loaded = load(model, composition, member_of(member), target, revision)
    announce(loaded)
    path = write(loaded, output or Path(f"{loaded.composition}{ENDINGS[chosen]}"), chosen)
    click.echo(path)
    if chosen == "safetensors":
        click.echo(f'load it with composer.load("{path}")', err=True)
        return
    answers = len(loaded.answers)
    said = f"log_odds of {answers} classes [N, {answers}]" if answers > 1 else "log_odds of the target [N]"
    what = said if loaded.has_log_odds else "features [N, D]"
    click.echo(f"in: pixels, float32 [N, 3, {loaded.sizes[0]}, {loaded.sizes[0]}], RGB in 0..1; out: {what}", err=True)
    if chosen == "onnx":
        _compare(loaded, path)


@click.command(
    epilog=examples(
        "composer inspect resnet50",
        "composer inspect my_models/cat.pth",
        "composer inspect my_models/cat.pth --images photos/   # which output fires for photos/cat, photos/dog, ...",
        "composer inspect my_models/cat.pth --couplings        # which units can change places, for merging",
        "composer inspect runs/black_cat/models/product",
    )
)
@click.argument("model")
@click.option(
    "--images",
    type=click.Path(path_type=Path),
    help="Folder of pictures, a folder in it for each kind: show which output fires for which.",
)
@click.option(
    "--architecture",
    metavar="NAME|MAPPING",
    help="With --images or --couplings, the network of a file as a recipe says it: '{use: cnn, size: 32}'.  "
    "[default: recognised]",
)
@click.option(
    "--couplings", "coupled", is_flag=True, help="Show which units can change places, and what moves with them."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON in place of a table.")
def inspect(model: str, images: Path | None, architecture: str | None, coupled: bool, as_json: bool) -> None:
    """Say what composer sees in MODEL.

    MODEL is a checkpoint (.pth, .pt, .safetensors), the folder of a composition or of a run, the name of a model (one
    of torchvision's classifiers, or a model source that needs no options), or user/repo on the Hugging Face hub.

    Lists its layers and shapes, which can be extracted, aligned and assembled, which cannot and why, and what is
    known of its preprocessing and outputs.

    With --images, runs it on pictures and prints the mean probability of each output for each folder of them, and how
    often it comes first: so an output without a name is found out.

    With --couplings, prints the groups of units that can change places without changing an output, as merging does it:
    derived by tracing, and proved on random weights.
    """
    from dataclasses import asdict

    if images is not None and coupled:
        raise click.UsageError("--images and --couplings: choose one of the two")
    from composer.models.at_hand import at_hand  # imports torch, which takes seconds

    model = str(at_hand(model))
    if coupled:
        _inspect_couplings(model, architecture, as_json)
        return
    if images is not None:
        _inspect_responses(model, images, architecture, as_json)
        return
    if architecture is not None:
        raise click.UsageError("--architecture: is for --images or --couplings")
    from composer.models.inspection import inspect_model

    found = inspect_model(model)
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2))
        return
    from composer.command_line.terminal_models import print_inspection

    for index, each in enumerate(found):
        if index:
            click.echo()
        print_inspection(each)


def _inspect_responses(model: str, images: Path, architecture: str | None, as_json: bool) -> None:
    from dataclasses import asdict

    groups = picture_groups(images)
    from composer.models.responses import responses  # imports torch, which takes seconds

    found = responses(model, groups, architecture_of(architecture))
    if as_json:
        click.echo(json.dumps([asdict(each) for each in found], indent=2, ensure_ascii=False))
        return
    from composer.command_line.terminal_responses import print_responses

    for each in found:
        print_responses(each)


def _inspect_couplings(model: str, architecture: str | None, as_json: bool) -> None:
    from dataclasses import asdict

    from composer.models.coupled import couplings_of_model  # imports torch, which takes seconds

    found = couplings_of_model(model, architecture_of(architecture))
    if as_json:
        listed = {title: [asdict(group) for group in groups] for title, groups in found.items()}
        click.echo(json.dumps(listed, indent=2))
        return
    from composer.command_line.terminal_couplings import print_couplings

    for title, groups in found.items():
        print_couplings(title, groups)


COMMANDS = (predict, export, inspect)
"""To be added to the command line's group, in this order."""


def asked_pictures(given: Sequence[str]) -> list[Path]:
    """Files, those in folders (by name, hidden ones left out), and what patterns match; each once.

    ComposerError where a folder holds no picture or a pattern matches nothing.
    """
    found: list[Path] = []
    for item in given:
        path = Path(item)
        if path.is_dir():
            found += pictures_in(path)
        elif glob.has_magic(item) and not path.exists():
            # Path.glob takes no absolute patterns.
            matches = map(Path, sorted(glob.glob(item, recursive=True)))  # noqa: PTH207
            matched = [file for file in matches if file.is_file()]
            if not matched:
                raise ComposerError(f"{item}: no file matches")
            found += matched
        else:
            found.append(path)  # one that is not there is named with the unreadable ones
    return list(dict.fromkeys(found))


def architecture_of(written: str | None, option: str = "--architecture") -> Architecture | None:
    """The architecture that a recipe's slot of the same text would hold; None where the option is left out."""
    if written is None:
        return None
    from composer.networks.architecture import Architecture  # imports torch
    from composer.recipes.slots import read_text

    return read_text(Architecture, written, option)


def member_of(written: str | None) -> int | str | None:
    """A number as an index, anything else as a name."""
    return int(written) if written is not None and written.isdigit() else written


def announce(model: LoadedModel) -> None:
    """Says on standard error which member of which composition is used, and why where nobody said."""
    from composer.text import make_console

    console = make_console(error=True)
    said = f"{model.home.path}: {model.target} by {model.composition}, member {model.member!r}"
    console.print(said, soft_wrap=True)
    if model.asked_anew:
        made = f"composed for {model.home.target}: no score that was measured says how well it tells this"
        console.print(f"  ({made})", soft_wrap=True)
    if model.home.why:
        console.print(f"  ({model.home.why}; --composition takes another)", soft_wrap=True)


def _shown_progress(predictions: Iterator[Prediction], total: int) -> Iterator[Prediction]:
    """With a bar on standard error where that is a terminal."""
    if not sys.stderr.isatty():
        yield from predictions
        return
    from rich.progress import track

    from composer.text import make_console

    yield from track(predictions, "reading pictures", total, console=make_console(error=True), transient=True)


def _compare(model: LoadedModel, path: Path) -> None:
    from importlib.util import find_spec

    from composer.models.exporting import onnx_difference

    if find_spec("onnxruntime") is None:
        click.echo("not compared with PyTorch: onnxruntime is not installed", err=True)
        return
    difference = onnx_difference(model, path)
    if not difference <= TOLERANCE:
        raise ComposerError(
            f"{path}: gives other results than PyTorch, by up to {difference:.2g}; use --format torch_export"
        )
    click.echo(f"compared with PyTorch by onnxruntime: largest difference {difference:.1e}", err=True)
