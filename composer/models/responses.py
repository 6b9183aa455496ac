"""Which outputs of a network fire for which pictures: how to find out what an output without a name means."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from composer.data.decoding import FileDecoder, UnreadablePictureError
from composer.data.population import Population, Preprocessing
from composer.data.run import Run
from composer.errors import ComposerError
from composer.models.file_networks import population_of
from composer.models.inspection import named_source, recognised_in
from composer.models.known_networks import KnownNetwork
from composer.models.model_folder import find_model
from composer.models.part import Part
from composer.networks.architecture import Architecture
from composer.networks.state_file import StateFile, read_state_file
from composer.registry import Registry, load_registry

BATCH = 32
CLEAR = 0.1
"""Difference of mean probabilities below which no output is said to tell pictures apart."""


@dataclass(frozen=True)
class Runnable:
    """A network with its weights: probabilities [N, K] of K outputs from pixels uint8 [N, 3, size, size]."""

    title: str
    size: int
    outputs: int
    probabilities: Callable[[Tensor], Tensor]
    classes: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """`output 1`, or `output 1 (cat)` where outputs have names."""
        named = self.classes if len(self.classes) == self.outputs else ()
        return tuple(f"output {k} ({named[k]})" if named else f"output {k}" for k in range(self.outputs))


@dataclass(frozen=True)
class Response:
    """What a network says of the pictures of one folder, an entry per output.

    mean: of the probability. first: share of pictures for which no other output is likelier; of an only output, above
    one half.
    """

    folder: str
    pictures: int
    mean: tuple[float, ...]
    first: tuple[float, ...]


@dataclass(frozen=True)
class Responses:
    """What a network says of the pictures of every folder."""

    title: str
    outputs: tuple[str, ...]
    folders: tuple[Response, ...]
    unreadable: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def telling(self) -> Iterator[tuple[Response, int | None, float]]:
        """(folder, output that tells it best from the others, its mean probability there); None where none does."""
        for response in self.folders:
            others = [other for other in self.folders if other is not response]
            count = sum(other.pictures for other in others)
            if not count:
                continue
            beside = [sum(o.mean[k] * o.pictures for o in others) / count for k in range(len(self.outputs))]
            gaps = [own - other for own, other in zip(response.mean, beside, strict=True)]
            best = max(range(len(gaps)), key=lambda k: gaps[k])
            yield response, best if gaps[best] >= CLEAR else None, beside[best]


def responses(
    model: str, groups: Mapping[str, Sequence[Path]], architecture: Architecture | None = None
) -> list[Responses]:
    """What each network of a model says of the pictures of every group.

    model: a checkpoint, the folder of a composition or run, or a model source that needs no option. architecture: of a
    checkpoint whose network composer does not recognise by its names and shapes.
    """
    registry = load_registry()
    return [_responses(network, groups) for network in _runnable(model, architecture, registry)]


def _responses(network: Runnable, groups: Mapping[str, Sequence[Path]]) -> Responses:
    unreadable: list[str] = []
    folders = []
    for folder, files in groups.items():
        total, first, count = torch.zeros(network.outputs).double(), torch.zeros(network.outputs).double(), 0
        decoded = FileDecoder(tuple(map(str, files))).each(network.size)
        while pictures := list(islice(decoded, BATCH)):
            unreadable += [str(each) for each in pictures if isinstance(each, UnreadablePictureError)]
            readable = [each for each in pictures if isinstance(each, Tensor)]
            if not readable:
                continue
            said = network.probabilities(torch.stack(readable))[:, : network.outputs].double()
            if not bool(said.isfinite().all()):
                raise ComposerError(f"{network.title}: its outputs are not finite: its weights have diverged")
            total, count = total + said.sum(0), count + len(readable)
            likeliest = said > 0.5 if network.outputs == 1 else said == said.amax(1, keepdim=True)
            first += likeliest.double().sum(0)
        if count:
            folders.append(Response(folder, count, tuple((total / count).tolist()), tuple((first / count).tolist())))
    if not folders:
        raise ComposerError(f"none of the pictures can be read: {unreadable[0]}")
    return Responses(network.title, network.names, tuple(folders), tuple(unreadable), network.notes)


def _runnable(model: str, architecture: Architecture | None, registry: Registry) -> list[Runnable]:
    path = Path(model)
    if path.is_file():
        return [_of_file(path, architecture, registry)]
    if architecture is not None:
        raise ComposerError(f"--architecture is for a file of weights, and {model} is none")
    if path.is_dir():
        home = find_model(path)
        parts = home.read(home.member(None)).parts
        return [_of_population(part, f"{path}: {home.name}, network of {part.concept}") for part in parts]
    source = named_source(model, registry)
    if source is None:
        raise ComposerError(f"{model}: there is no such file or folder; --images needs the weights themselves")
    return [_of_population(source.load(source.name, Run()), f"models: {model}", tuple(source.class_names() or ()))]


def _of_file(file: Path, architecture: Architecture | None, registry: Registry) -> Runnable:
    state = read_state_file(file)
    if architecture is not None:
        return _of_weights(file, state, architecture, None)
    known, prefix = recognised_in(state, file, registry)
    if known is None or known.differences:
        near = f"has the names of {known.title}, in other shapes" if known else "is of no network that composer knows"
        use = known.architecture if known and known.architecture else "NAME"
        raise ComposerError(f"{file}: {near}; say which it is as a recipe does, --architecture '{{use: {use}, ...}}'")
    if known.instance is not None:
        return _of_weights(file, state, known.instance, known.prepared, known.classes)
    return _of_module(file, {name.removeprefix(prefix): each for name, each in state.tensors.items()}, known)


def _of_weights(
    file: Path,
    state: StateFile,
    architecture: Architecture,
    prepared: Preprocessing | None,
    classes: tuple[str, ...] = (),
) -> Runnable:
    population, outputs, notes = population_of(file, state, architecture, prepared)
    return replace(_of_population(population, str(file), classes), outputs=outputs, notes=notes)


def _of_population(population: Population, title: str, classes: tuple[str, ...] = ()) -> Runnable:
    weight = population.weights.get(f"{population.architecture.head}.weight")
    if weight is None:
        raise ComposerError(f"{title}: has no head, and so no outputs")
    part = Part(replace(population, outputs=population.outputs or (0,))).eval()
    return Runnable(title, part.size, weight.shape[1], _probabilities(part.logits), classes)


def _of_module(file: Path, state: Mapping[str, Tensor], known: KnownNetwork) -> Runnable:
    """A network that no plugin offers and composer knows."""
    module, prepared = known.network, known.prepared
    assert prepared is not None, "what is known and no plugin's is a library's"
    weights = {name: tensor.float() if tensor.is_floating_point() else tensor for name, tensor in state.items()}
    module.load_state_dict(weights, strict=False, assign=True)
    probabilities = _probabilities(_prepared(module.eval(), prepared))
    outputs = probabilities(torch.zeros(1, 3, prepared.size, prepared.size, dtype=torch.uint8)).shape[1]
    return Runnable(str(file), prepared.size, outputs, probabilities, known.classes)


def _prepared(module: nn.Module, prepared: Preprocessing) -> Callable[[Tensor], Tensor]:
    def logits(pixels: Tensor) -> Tensor:
        found: Tensor = module(prepared(pixels))
        return found

    return logits


def _probabilities(logits: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """Softmax over outputs; of an only output the sigmoid."""

    @torch.inference_mode()
    def probabilities(pixels: Tensor) -> Tensor:
        found = logits(pixels)
        return found.sigmoid() if found.shape[1] == 1 else found.softmax(1)

    return probabilities
