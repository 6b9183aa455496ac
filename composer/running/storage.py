"""Data on disk: tensors as safetensors, the rest as JSON; every write is whole or absent."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from composer.composed import ComposedModel
from composer.decoding import FileDecoder
from composer.images import Images
from composer.interfaces import Architecture
from composer.kernels import KernelSet
from composer.population import Population, Preprocessing
from composer.registry import load_registry
from composer.scores import Report, Score

Value = Images | Population | KernelSet | ComposedModel | Report
Packed = tuple[dict[str, Any], dict[str, Tensor]]

TENSORS = "data.safetensors"
FACTS = "data.json"


def write_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes a safetensors file at once: there under its name complete, or not at all."""
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}
    part = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        save_file(whole, part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def read_tensors(path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = load_file(path)
    return tensors


def write_text(path: Path, text: str) -> None:
    """Writes a text file at once, as `write_tensors` does."""
    part = path.with_name(f".{path.name}-{uuid4().hex}")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def write_json(path: Path, data: Any) -> None:
    """Writes JSON at once; NaN and infinity are refused, because JSON has no such numbers."""
    write_text(path, json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def save(value: Value, folder: Path) -> None:
    """Writes `data.safetensors` and `data.json` into an existing folder."""
    facts, tensors = pack(value)
    write_tensors(folder / TENSORS, tensors)
    write_json(folder / FACTS, {"type": type(value).__name__, **facts})
    if isinstance(value, Images) and value.native is None:
        for size, pixels in value.decoded.items():
            write_tensors(value.kept(folder, size), {"pixels": pixels})


def load(folder: Path) -> Value:
    """What `save` wrote."""
    facts = read_json(folder / FACTS)
    value = unpack(facts, read_tensors(folder / TENSORS))
    if isinstance(value, Images):
        value.folder = folder
    return value


def pack(value: Value) -> Packed:
    """(what JSON can hold, tensors by name)."""
    match value:
        case Images():
            return _pack_images(value)
        case Population():
            return _pack_population(value)
        case KernelSet():
            return {"concept": value.concept, "members": list(value.members)}, dict(value.layers)
        case ComposedModel():
            return _pack_model(value)
        case Report():
            return _pack_report(value)
    raise TypeError(f"a stage returned {type(value).__name__}, which is none of composer's data types")


def unpack(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Value:
    """The inverse of `pack`; `facts["type"]` says what it is."""
    match facts["type"]:
        case "Images":
            return _unpack_images(facts, tensors)
        case "Population":
            return _unpack_population(facts, tensors)
        case "KernelSet":
            return KernelSet(facts["concept"], dict(tensors), tuple(facts["members"]))
        case "ComposedModel":
            return _unpack_model(facts, tensors)
        case "Report":
            return _unpack_report(facts, tensors)
    raise ValueError(f"unknown type {facts['type']!r}")


def _pack_images(images: Images) -> Packed:
    facts: dict[str, Any] = {
        "names": list(images.names),
        "labels": {concept: values.tolist() for concept, values in images.labels.items()},
    }
    if isinstance(images.decode, FileDecoder):
        return {**facts, "files": list(images.decode.files), "alpha": images.decode.alpha}, {}
    if images.native is None:
        raise TypeError("pictures made by a function cannot be stored: give pixels or a FileDecoder")
    return facts, {"pixels": images.native}


def _unpack_images(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Images:
    pixels = FileDecoder(tuple(facts["files"]), facts["alpha"]) if "files" in facts else tensors["pixels"]
    return Images(facts["names"], facts["labels"], pixels)


def _pack_population(population: Population) -> Packed:
    facts = {
        "concept": population.concept,
        "architecture": population.architecture.options(),
        "members": list(population.members),
        "preprocessing": {
            "size": population.preprocessing.size,
            "mean": list(population.preprocessing.mean),
            "std": list(population.preprocessing.std),
        },
        "outputs": list(population.outputs),
    }
    return facts, dict(population.weights)


def _unpack_population(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Population:
    options = dict(facts["architecture"])
    architecture = load_registry().find("architecture", options.pop("use")).model_validate(options)
    assert isinstance(architecture, Architecture)
    prepared = facts["preprocessing"]
    return Population(
        facts["concept"],
        architecture,
        dict(tensors),
        tuple(facts["members"]),
        Preprocessing(prepared["size"], tuple(prepared["mean"]), tuple(prepared["std"])),
        tuple(facts["outputs"]),
    )


def _pack_model(model: ComposedModel) -> Packed:
    packed = [_pack_population(part) for part in model.parts]
    tensors = {f"{i}.{name}": tensor for i, (_, part) in enumerate(packed) for name, tensor in part.items()}
    return {"members": list(model.members), "parts": [facts for facts, _ in packed]}, tensors


def _unpack_model(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> ComposedModel:
    parts = []
    for i, part in enumerate(facts["parts"]):
        own = {name.removeprefix(f"{i}."): tensor for name, tensor in tensors.items() if name.startswith(f"{i}.")}
        parts.append(_unpack_population(part, own))
    return ComposedModel(tuple(parts), tuple(facts["members"]))


def _pack_report(report: Report) -> Packed:
    facts: dict[str, Any] = {}
    tensors: dict[str, Tensor] = {}
    for name, score in report.scores.items():
        facts[name] = {
            "picked": score.picked,
            "picked_by": score.picked_by,
            "labels": score.labels,
            "higher_is_better": score.higher_is_better,
            "judged": None if score.judged is None else list(score.judged),
        }
        tensors[f"{name}/values"] = torch.from_numpy(np.ascontiguousarray(score.values, dtype=np.float64))
        tensors[f"{name}/replicates"] = torch.from_numpy(np.ascontiguousarray(score.replicates, dtype=np.float64))
    return {"scores": facts}, tensors


def _unpack_report(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Report:
    return Report(
        {
            name: Score(
                values=tensors[f"{name}/values"].numpy(),
                replicates=tensors[f"{name}/replicates"].numpy(),
                **{**score, "judged": None if score["judged"] is None else tuple(score["judged"])},
            )
            for name, score in facts["scores"].items()
        }
    )


def running(process: int) -> bool:
    """Whether a process of that number exists on this machine."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
