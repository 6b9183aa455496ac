"""Data on disk: tensors as safetensors, the rest as JSON; every write is whole or absent."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from composer.data.composed import ComposedModel
from composer.data.curve import Curve, HeldOut
from composer.data.decoding import FileDecoder
from composer.data.dependence import Dependence
from composer.data.expressions import Expression
from composer.data.facts import Facts
from composer.data.files import read_json, remove, write_json, write_whole
from composer.data.images import Images
from composer.data.kernels import KernelSet
from composer.data.population import Population, Preprocessing
from composer.data.scores import Pick, Report, Score
from composer.networks.architecture import Architecture
from composer.registry import load_registry
from composer.running.locking import storing

log = logging.getLogger("composer")

Value = Images | Population | KernelSet | ComposedModel | Report | Pick | Facts
Packed = tuple[dict[str, Any], dict[str, Tensor]]

TENSORS = "data.safetensors"
FACTS = "data.json"
HELD_OUT = "held_out"
"""Begins the names of what a population's members said of pictures that they were not trained on."""
HASH = "sha256"
"""Under which a safetensors file of composer's holds the hash of its content."""


def write_tensors(path: Path, tensors: Mapping[str, Tensor], facts: Mapping[str, str] | None = None) -> None:
    """Writes a safetensors file at once: there under its name complete, or not at all."""
    whole = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}

    def write(part: Path) -> None:
        part.touch()  # as every file of the user is made; safetensors would have it readable for nobody else
        mode = part.stat().st_mode
        save_file(whole, part, None if facts is None else dict(facts))
        part.chmod(mode)

    write_whole(path, write)


def read_tensors(path: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = load_file(path)
    return tensors


def keep_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Writes what can be computed again, with its hash; `kept_tensors` reads it."""
    write_tensors(path, tensors, {HASH: tensors_digest(path, tensors)})


def kept_tensors(path: Path) -> dict[str, Tensor] | None:
    """What `keep_tensors` wrote there; None where there is nothing, or something else, which is said and removed."""
    if not os.path.lexists(path):
        return None
    try:
        with safe_open(path, framework="pt") as file:
            stored = (file.metadata() or {}).get(HASH)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
    except (OSError, SafetensorError, ValueError):
        stored, tensors = None, {}
    if stored is not None and stored == tensors_digest(path, tensors):
        return tensors
    log.warning("%s: damaged: not what was stored; it is computed again", path)
    remove(path)
    return None


def tensors_digest(path: Path, tensors: Mapping[str, Tensor]) -> str:
    """sha256 over names, kinds and contents, and over where it is kept: one file in place of another is noticed."""
    total = hashlib.sha256(f"{path.parent.name}/{path.name}".encode())
    for name in sorted(tensors):
        tensor = tensors[name].detach().cpu().contiguous()
        total.update(f"\0{name} {tensor.dtype} {list(tensor.shape)}\0".encode())
        total.update(tensor.view(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


class FolderKeeper:
    """Keeps tensors beside pictures in their folder of the store; where that has gone, nothing is kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def kept(self, name: str) -> dict[str, Tensor] | None:
        return kept_tensors(self._file(name))

    def keep(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        with storing(self.folder.parent, shared=True):  # nobody puts another folder in its place meanwhile
            if self.folder.is_dir():
                keep_tensors(self._file(name), tensors)

    def _file(self, name: str) -> Path:
        return self.folder / f"{name}.safetensors"


class UnfinishedKeeper(FolderKeeper):
    """Keeps what an unfinished stage needs to go on, in a folder that is made when there is something to keep."""

    def __init__(self, folder: Path, note: Callable[[Iterable[str]], None]) -> None:
        super().__init__(folder)
        self.note = note
        """Told the folder's name before anything is in it."""

    def keep(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        self.note([self.folder.name])
        self.folder.mkdir(exist_ok=True)
        super().keep(name, tensors)


def save(value: Value, folder: Path) -> None:
    """Writes `data.safetensors` and `data.json` into an existing folder."""
    facts, tensors = pack(value)
    write_tensors(folder / TENSORS, tensors)
    write_json(folder / FACTS, {"type": type(value).__name__, **facts})


def load(folder: Path) -> Value:
    """What `save` wrote."""
    facts = read_json(folder / FACTS)
    return unpack(facts, read_tensors(folder / TENSORS))


def pack(value: Value) -> Packed:
    """(what JSON can hold, tensors by name)."""
    match value:
        case Images():
            return _pack_images(value)
        case Population():
            facts, weights = _pack_population(value)
            about, said = _pack_held_out(value.held_out)
            return {**facts, **about}, {**weights, **said}
        case KernelSet():
            return {"concept": value.concept, "members": list(value.members)}, dict(value.layers)
        case ComposedModel():
            return _pack_model(value)
        case Report():
            return _pack_report(value)
        case Pick():
            return {"by": value.by}, {"values": torch.from_numpy(np.ascontiguousarray(value.values))}
        case Facts():
            return {"content": dict(value.content)}, {}
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
        case "Pick":
            return Pick(tensors["values"].numpy(), facts["by"])
        case "Facts":
            return Facts(facts["content"])
    raise ValueError(f"unknown type {facts['type']!r}")


def _pack_images(images: Images) -> Packed:
    facts: dict[str, Any] = {
        "names": list(images.names),
        "labels": {concept: values.tolist() for concept, values in images.labels.items()},
        "expression": None if images.asked is None else images.asked.text,
    }
    if isinstance(images.decode, FileDecoder):
        return {**facts, "files": list(images.decode.files), "alpha": images.decode.alpha}, {}
    if images.native is None:
        raise TypeError("pictures made by a function cannot be stored: give pixels or a FileDecoder")
    return facts, {"pixels": images.native}


def _unpack_images(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Images:
    pixels = FileDecoder(tuple(facts["files"]), facts["alpha"]) if "files" in facts else tensors["pixels"]
    return Images(facts["names"], facts["labels"], pixels, formula(facts))


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
        "cells": list(population.cells),
        **({} if population.calibration is None else population.calibration.facts()),
    }
    return facts, dict(population.weights)


def _pack_held_out(held_out: HeldOut | None) -> Packed:
    """Of a population alone: a composed model has no use for it. Kept numbers are finite: which count stands beside."""
    if held_out is None:
        return {}, {}
    known = ~held_out.log_odds.isnan()
    said = {"log_odds": held_out.log_odds.nan_to_num(nan=0.0), "known": known, "shown": held_out.shown}
    return {HELD_OUT: [held_out.how, held_out.balanced]}, {f"{HELD_OUT}/{name}": each for name, each in said.items()}


def _unpack_held_out(facts: Mapping[str, Any], tensors: dict[str, Tensor]) -> HeldOut | None:
    """Takes what is held out from among the weights."""
    if HELD_OUT not in facts:
        return None
    log_odds, known, shown = (tensors.pop(f"{HELD_OUT}/{name}") for name in ("log_odds", "known", "shown"))
    return HeldOut(log_odds.masked_fill(~known, torch.nan), shown, *facts[HELD_OUT])


def _unpack_population(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> Population:
    options = dict(facts["architecture"])
    architecture = load_registry().find("architecture", options.pop("use")).model_validate(options)
    assert isinstance(architecture, Architecture)
    prepared = facts["preprocessing"]
    weights = dict(tensors)
    held_out = _unpack_held_out(facts, weights)
    return Population(
        facts["concept"],
        architecture,
        weights,
        tuple(facts["members"]),
        Preprocessing(prepared["size"], tuple(prepared["mean"]), tuple(prepared["std"])),
        tuple(facts["outputs"]),
        tuple(facts.get("cells", ())),  # models that were saved before have none
        Curve.of_facts(facts["calibration"]) if "calibration" in facts else None,
        held_out,
    )


def _pack_model(model: ComposedModel) -> Packed:
    packed = [_pack_population(part) for part in model.parts]
    tensors: dict[str, Tensor] = {}
    for index, (first, part) in enumerate(zip(model.bodies, model.parts, strict=True)):
        own = part.weights if first == index else part.head_weights
        tensors |= {f"{index}.{name}": tensor for name, tensor in own.items()}
        if first != index:
            packed[index][0]["body"] = first
    target = None if model.target is None else model.target.text
    about = {"expression": target, **({"labels": model.labels} if model.labels else {})}
    about |= model.dependence.facts()
    return {"members": list(model.members), "parts": [facts for facts, _ in packed], **about}, tensors


def _unpack_model(facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> ComposedModel:
    parts = []
    for index, part in enumerate(facts["parts"]):
        names = weights_of_part(facts["parts"], index, tensors)
        parts.append(_unpack_population(part, {name: tensors[stored] for stored, name in names.items()}))
    said = formula(facts), facts.get("labels", 0), Dependence.of_facts(facts)
    return ComposedModel(tuple(parts), tuple(facts["members"]), *said)


def weights_of_part(parts: Sequence[Mapping[str, Any]], index: int, stored: Iterable[str]) -> dict[str, str]:
    """Stored name -> the network's own name, of all weights of one part of a model; a shared body is stored once."""
    names = list(stored)
    found = {name: name.removeprefix(f"{index}.") for name in names if name.startswith(f"{index}.")}
    first = parts[index].get("body", index)
    body = {name: name.removeprefix(f"{first}.") for name in names if name.startswith(f"{first}.")}
    return {name: own for name, own in body.items() if own not in found.values()} | found


def formula(facts: Mapping[str, Any]) -> Expression | None:
    """What stored pictures or a stored model are asked for; None where that is all of their concepts."""
    text = facts.get("expression")
    return None if text is None else Expression.parse(text)


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
            "base": score.base,
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
