"""Loaded models as files for other programs: ONNX, torch.export, or a folder of their own."""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from copy import deepcopy
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, get_args
from uuid import uuid4

import torch
from torch import Tensor, nn

from composer.data.composed import ComposedModel
from composer.data.files import write_json, write_text
from composer.errors import ComposerError
from composer.models.cards import without_scores
from composer.models.folder_files import CARD, CONFIG, WEIGHTS
from composer.models.loading import LoadedModel
from composer.models.part import Part
from composer.running.storage import pack, write_tensors

Format = Literal["onnx", "torch_export", "safetensors"]
FORMATS: tuple[Format, ...] = get_args(Format)
ENDINGS: dict[Format, str] = {"onnx": ".onnx", "torch_export": ".pt2", "safetensors": ""}
ABOUT = "composer.txt"
"""Extra file of a .pt2 file, which `torch.export.load(..., extra_files={"composer.txt": ""})` reads."""
OPSET = 20
"""Of ONNX; from 18 on its Resize is antialiased, which models of several input sizes need."""
LARGEST = 2**31 - 2**20
"""Bytes of weights that fit into one ONNX file; above, they lie in a second file beside it."""


class Exported(nn.Module):
    """What exported files hold: log-odds of the target [N] (without a head: features [N, D]) of pixels in 0..1.

    Of a model with a union of classes log-odds of each, [N, U].
    """

    def __init__(self, model: LoadedModel) -> None:
        super().__init__()
        self.model = model

    def forward(self, pixels: Tensor) -> Tensor:
        scaled = pixels * 255
        if not self.model.has_log_odds:
            return self.model.features_of(scaled)
        return self.model.log_odds_of(scaled)


def export(model: LoadedModel, path: str | Path, format: Format = "onnx") -> Path:  # noqa: A002  # what people call it
    """Writes the model and returns the path.

    `onnx` (a file; needs the extra `export`) and `torch_export` (a .pt2 file) take float pixels in 0..1, as the loaded
    model does, [N, 3, S, S] for any N, where S is the largest input size of the model's networks, and give log-odds of
    the target [N]; of a union of classes those of each, [N, U]; without a head features [N, D]. They cannot refuse
    other pixels; what they take stands in the file (ONNX: the graph's doc_string; .pt2: the extra file
    `composer.txt`). `safetensors` is a folder with this one member, to be loaded by composer. A path without the
    format's ending (.onnx, .pt2) gets it. ComposerError where a package is missing, the path cannot be written, or the
    model cannot be exported.
    """
    path = Path(path)
    if format not in FORMATS:
        raise ComposerError(f"format: there are {', '.join(FORMATS)}, not {format!r}")
    if format == "onnx":
        _require("onnx", "onnxscript")
        if model.dependence.kind == "copula":
            raise ComposerError(
                f"{path}: ONNX has no normal distribution, which the dependence 'copula' of this model needs; export "
                "it as torch_export or safetensors, or compose it with another `dependence`"
            )
    given = path
    if ENDINGS[format] and path.suffix.lower() != ENDINGS[format]:
        path = path.with_name(f"{path.name}{ENDINGS[format]}")
    part = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        for folder in (given, path):
            if folder.is_dir() and (format != "safetensors" or any(folder.iterdir())):
                raise ComposerError(f"{folder}: is a folder already; give another name")
        part.mkdir(parents=True)
        # A copy, so that the caller's keeps its device and mode.
        with warnings.catch_warnings():
            # torch 2.11 copies its own exported programs in a way that it warns of.
            warnings.filterwarnings("ignore", message=".*LeafSpec", category=FutureWarning)
            _WRITERS[format](deepcopy(model).cpu().eval(), part / path.name)
        for file in sorted(part.iterdir()):
            file.replace(path.parent / file.name)
    except OSError as error:
        raise ComposerError(f"{path}: cannot be written: {error.strerror or error}") from error
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return path


def example_pixels(model: LoadedModel, count: int = 2) -> Tensor:
    """float32 [count, 3, S, S] in 0..1, always the same ones: something to try an exported model with."""
    generator = torch.Generator().manual_seed(0)
    size = model.sizes[0]
    return torch.rand(count, 3, size, size, generator=generator)


def onnx_difference(model: LoadedModel, file: str | Path, count: int = 3) -> float:
    """Largest difference between what onnxruntime and PyTorch make of the same pictures; needs the extra `export`."""
    _require("onnxruntime")
    onnxruntime: Any = import_module("onnxruntime")  # an optional extra, without types

    pixels = example_pixels(model, count)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"pixels": pixels.numpy()})
    with torch.inference_mode():
        wanted = Exported(deepcopy(model).cpu().eval())(pixels)
    return float((torch.from_numpy(found) - wanted).abs().max())


def _write_program(model: LoadedModel, path: Path) -> None:
    shapes = {"pixels": {0: torch.export.Dim("batch", min=1)}}
    with torch.no_grad():
        program = torch.export.export(Exported(model).eval(), (example_pixels(model),), dynamic_shapes=shapes)
    torch.export.save(program, path, extra_files={ABOUT: _about(model)})


def _write_onnx(model: LoadedModel, path: Path) -> None:
    output = "log_odds" if model.has_log_odds else "features"
    written = torch.onnx.export(
        Exported(model).eval(),
        (example_pixels(model),),
        dynamo=True,
        opset_version=OPSET,
        input_names=["pixels"],
        output_names=[output],
        dynamic_shapes={"pixels": {0: torch.export.Dim("batch", min=1)}},
        verbose=False,
    )
    assert written is not None
    graph = written.model
    graph.doc_string = _about(model)
    size = sum(tensor.numel() * tensor.element_size() for tensor in model.state_dict().values())
    written.save(path, external_data=size > LARGEST)


def _about(model: LoadedModel) -> str:
    """What a file takes and gives, in a sentence."""
    size, output = model.sizes[0], "log_odds" if model.has_log_odds else "features"
    asked = ", ".join(model.answers)
    return (
        f"composer {model.composition}, member {model.member}: {output} of {asked}; "
        f"pixels: float32 [N, 3, {size}, {size}], RGB in 0..1, not normalised"
    )


def _write_folder(model: LoadedModel, folder: Path) -> None:
    folder.mkdir()
    fill_folder(model, folder)


def fill_folder(model: LoadedModel, folder: Path) -> None:
    """Writes the model into an empty folder, which `composer.load` reads then."""
    parts = tuple(part.population() for part in model.parts if isinstance(part, Part))
    whole = ComposedModel(parts, (model.member,), model.expression, dependence=model.dependence)
    facts, tensors = pack(whole)
    config = {**model.home.config, "composition": model.composition, **facts, "picked_member": 0}
    asked = ""
    if model.asked_anew:
        config |= {"target": model.target, "id2label": {"0": f"not {model.target}", "1": model.target}}
        asked = f" It is asked for **{model.target}** here; all else below is about {model.home.target}."
    if "picked_by" in config:
        config["picked_by"] = "the only member"
    write_tensors(folder / WEIGHTS, tensors)
    write_json(folder / CONFIG, config)
    card = model.home.path / CARD
    if card.is_file():
        write_text(folder / CARD, one_member_card(card.read_text(encoding="utf-8"), model.member, asked))


def one_member_card(text: str, member: str, asked: str = "") -> str:
    """A card for a folder that holds one member of the composition alone: it says so below the title.

    asked: what is to be said of another formula that the member is asked for. Its front matter holds no scores: these
    are of the member that was picked, and of the formula that the model was made for.
    """
    text = without_scores(text)
    title = next((line for line in text.splitlines() if line.startswith("# ")), None)
    note = f"This folder holds one member alone, `{member}`; the numbers below are those of the whole composition."
    return text if title is None else text.replace(title, f"{title}\n\n{note}{asked}", 1)


_WRITERS: dict[Format, Callable[[LoadedModel, Path], None]] = {
    "onnx": _write_onnx,
    "torch_export": _write_program,
    "safetensors": _write_folder,
}


def _require(*packages: str) -> None:
    missing = [package for package in packages if find_spec(package) is None]
    if missing:
        raise ComposerError(
            f"this needs the package{'s' if len(missing) > 1 else ''} {' and '.join(missing)}: "
            "pip install -e '.[export]' in composer's own folder"
        )
