"""Networks in memory as parents: composed without a recipe, a folder or a file."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import torch
from pydantic import PrivateAttr
from torch import Tensor, nn

from composer.component import Component
from composer.data.composed import ComposedModel
from composer.data.decoding import FileDecoder
from composer.data.expressions import Expression
from composer.data.images import Images
from composer.data.population import Population, Preprocessing
from composer.data.run import Run
from composer.errors import ComposerError
from composer.interfaces import Assembler
from composer.models.loading import LoadedModel
from composer.models.model_folder import ModelFolder
from composer.networks.architecture import Architecture
from composer.recipes.slots import read_component
from composer.registry import load_registry, nearest

TRIED = 4
"""Pictures of noise that a network is tried on."""
SUM = 1e-4
"""How far probabilities may be from a sum of 1 by rounding."""
PROBABILITIES = (nn.Sigmoid, nn.Softmax, nn.Softmax2d)
"""Layers that give no logits."""


@dataclass(frozen=True)
class Parent:
    """A network in memory that knows a concept.

    network: gives logits of prepared pictures [N, 3, S, S]: [N, K] of classes that exclude each other, or [N] or
    [N, 1], a sigmoid's. It is copied, and used in evaluation mode.
    preprocessing: how pixels become its input; nothing in a network says it.
    outputs: which of its outputs mean the concept, 0 being the first. names: of all outputs in their order, where the
    one called as the concept means it. One of the two is needed where there are several outputs.
    """

    network: nn.Module
    concept: str
    preprocessing: Preprocessing
    outputs: int | Sequence[int] | None = None
    names: Sequence[str] = ()


class Knows(Protocol):
    """What knows a concept and can stand for a parent: a concept of a zoo."""

    @property
    def concept(self) -> str: ...

    def picked(self) -> Population:
        """A population of one member."""


def product(*parents: Parent | Knows, target: str | None = None, **options: Any) -> LoadedModel:
    """Parents side by side, their probabilities multiplied, as `composer.load` gives such a model.

    parents: networks in memory, and concepts of a zoo (`composer.Zoo()["black"]`).
    target: a formula of the concepts; left out, all of them at once. options: of the assembler `product`, such as
    `dependence="minimum"`; what needs pictures can only be asked of a recipe.
    ComposerError where a network gives no logits, or nothing says which of its outputs mean the concept; RecipeError
    for an option that is wrong.
    """
    return _assembled("product", parents, options, Run(), target)


def distil(
    *parents: Parent | Knows,
    pictures: Tensor | Iterable[str | Path],
    student: Architecture | str | Mapping[str, Any],
    target: str | None = None,
    seed: int = 0,
    device: str = "cpu",
    **options: Any,
) -> LoadedModel:
    """One network that has learned what the parents say of pictures without labels, as `composer.load` gives one.

    pictures: files, or uint8 [N, 3, S, S]: what the parents know, best their own training pictures.
    student: its architecture, as a recipe would hold it: `"cnn"`, `{"use": "cnn", "size": 64}`, `CNN(size=64)`.
    target: a formula of the concepts; left out, all of them at once. options: of the assembler `distil`, such as
    `steps=400`. Poor students are warned of.
    ComposerError where a network gives no logits, or nothing says which of its outputs mean the concept; RecipeError
    for an option that is wrong.
    """
    if taken := sorted({"members", "architecture"} & options.keys()):
        raise ComposerError(f"distil(): {taken[0]}: one student is made, of the architecture `student`; leave it out")
    written = student.options() if isinstance(student, Component) else student
    run = Run(seed, device, (images_of(pictures),))
    model = _assembled("distil", parents, {**options, "members": 1, "architecture": written}, run, target)
    for warning in run.warnings:
        warnings.warn(warning, stacklevel=2)
    return model


def _assembled(
    name: str, parents: Sequence[Parent | Knows], options: Mapping[str, Any], run: Run, target: str | None
) -> LoadedModel:
    if len(parents) < 2:
        raise ComposerError(f"{name}() takes two parents or more, not {len(parents)}")
    registry = load_registry()
    assembler = read_component(cast("type[Assembler]", registry.find("assembler", name)), options, registry)
    asked = None if target is None else _formula(target, parents)
    populations = [population(parent) for parent in parents]
    model = assembler.assemble(None, populations, run)
    if asked is not None:
        model = model.answering(asked)
    called = f"composer.{name}({', '.join(parent.concept for parent in parents)})"
    return LoadedModel(model, in_no_folder(called, name, model))


def in_no_folder(called: str, name: str, model: ComposedModel) -> ModelFolder:
    """A model's folder where there is none; messages name the call in its place."""
    parts = [{"concept": part.concept, "outputs": list(part.outputs)} for part in model.parts]
    expression = None if model.target is None else model.target.text
    config = {"type": "ComposedModel", "composition": name, "members": list(model.members)}
    return ModelFolder(Path(called), {**config, "parts": parts, "expression": expression})


def _formula(target: str, parents: Sequence[Parent | Knows]) -> Expression:
    try:
        asked = Expression.parse(target)
    except ValueError as error:
        raise ComposerError(f"target: {error}") from None
    known = [parent.concept for parent in parents]
    for concept in asked.concepts:
        if concept not in known:
            raise ComposerError(f"target: no parent knows {concept!r}{nearest(concept, known)}")
    return asked


def images_of(pictures: Tensor | Iterable[str | Path], option: str = "pictures") -> Images:
    """Pictures in memory, uint8 [N, 3, S, S], or in files; ComposerError for what is neither."""
    if isinstance(pictures, Tensor):
        if pictures.dtype != torch.uint8 or pictures.ndim != 4 or pictures.shape[2] != pictures.shape[3]:
            met = f"{str(pictures.dtype).removeprefix('torch.')} {list(pictures.shape)}"
            raise ComposerError(f"{option}: must be uint8 [N, 3, S, S] in 0..255, not {met}")
        return Images([f"picture {number}" for number in range(len(pictures))], {}, pictures)
    if isinstance(pictures, (str, Path)):
        raise ComposerError(f'{option}: must be files, such as Path("{pictures}").glob("*.jpg"), not a single path')
    files = tuple(str(file) for file in pictures)
    return Images(files, {}, FileDecoder(files))


class _Given(Architecture):
    """A network as it was given. Its outputs count as its features, and the head hands them on."""

    name = "in_memory"
    head = "head"

    _network: nn.Module = PrivateAttr()
    _size: int = PrivateAttr()
    _outputs: int = PrivateAttr()

    def __init__(self, network: nn.Module, size: int, outputs: int) -> None:
        super().__init__()
        self._network, self._size, self._outputs = network, size, outputs

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Given) and other._network is self._network

    def __hash__(self) -> int:
        return id(self._network)

    @property
    def input_size(self) -> int:
        return self._size

    def options(self, *, paths: bool = True) -> dict[str, Any]:
        raise ComposerError("a network in memory cannot be written as a recipe; a student that learns from it can")

    def blueprint(self, outputs: int = 1) -> nn.Module:
        return self.build(outputs)  # with its numbers, and not kept

    def build(self, outputs: int) -> nn.Module:
        return _Outputs(deepcopy(self._network), nn.Linear(self._outputs, outputs))


class _Outputs(nn.Module):
    """A network whose outputs are features [N, K], and a head."""

    def __init__(self, network: nn.Module, head: nn.Linear) -> None:
        super().__init__()
        self.network, self.head = network, head

    def features(self, pixels: Tensor) -> Tensor:
        outputs: Tensor = self.network(pixels)
        return outputs[:, None] if outputs.ndim == 1 else outputs

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(pixels))
        return logits


def population(parent: Parent | Knows) -> Population:
    """A parent's network as a population of one member; ComposerError where it gives no logits of the concept."""
    if not isinstance(parent, Parent):
        return parent.picked()
    whole = whole_network(parent.network, parent.preprocessing, parent.concept, f"the network of {parent.concept!r}")
    return replace(whole, outputs=_meaning(parent, len(whole.weights["head.bias"][0])), _memo={})


def whole_network(given: nn.Module, preprocessing: Preprocessing, name: str, who: str) -> Population:
    """A network with all its outputs as a population of one member; ComposerError where it gives no logits.

    name: of the member. who: the network, in messages.
    """
    network = deepcopy(given).cpu().eval()
    count = _count_outputs(network, preprocessing, who)
    weights = {f"network.{key}": tensor.detach()[None] for key, tensor in network.state_dict().items()}
    weights |= {"head.weight": torch.eye(count)[None], "head.bias": torch.zeros(1, count)}
    # The network that was given, not its copy: two concepts of one network share a body.
    architecture = _Given(given, preprocessing.size, count)
    return Population(name, architecture, weights, (name,), preprocessing)


def _count_outputs(network: nn.Module, preprocessing: Preprocessing, who: str) -> int:
    """How many outputs a network has, which is tried on noise; ComposerError unless they can be logits."""
    size = preprocessing.size
    pixels = torch.randint(0, 256, (TRIED, 3, size, size), generator=torch.Generator().manual_seed(0))
    last: list[tuple[nn.Module, Any]] = []
    leaves = [module for module in network.modules() if not list(module.children())]
    hooks = [leaf.register_forward_hook(lambda own, _, out: last.append((own, out))) for leaf in leaves]
    try:
        with torch.no_grad():
            given = network(preprocessing(pixels.to(torch.uint8)))
    except Exception as error:  # of whatever kind: it is not our code
        raise ComposerError(f"{who} cannot take pictures [{TRIED}, 3, {size}, {size}]: {error}") from error
    finally:
        for hook in hooks:
            hook.remove()
    if not isinstance(given, Tensor) or given.ndim not in (1, 2) or len(given) != TRIED:
        met = list(given.shape) if isinstance(given, Tensor) else type(given).__name__
        raise ComposerError(f"{who} must give logits [N, K] or [N]; of {TRIED} pictures it gives {met}: wrap it")
    if why := _probabilities(given, last):
        raise ComposerError(f"{who} gives probabilities ({why}), not logits: leave the layer out that makes them")
    return 1 if given.ndim == 1 else given.shape[1]


def _probabilities(given: Tensor, called: Sequence[tuple[nn.Module, Any]]) -> str:
    """Why outputs are taken for probabilities; empty where they are not. A sigmoid that is no layer is not seen."""
    if called and called[-1][1] is given and isinstance(called[-1][0], PROBABILITIES):
        return f"it ends with {type(called[-1][0]).__name__}"
    several = given.ndim == 2 and given.shape[1] > 1
    if several and bool((given >= 0).all()) and bool(((given.sum(1) - 1).abs() < SUM).all()):
        return "they sum to 1"
    return ""


def _meaning(parent: Parent, count: int) -> tuple[int, ...]:
    """Which of `count` outputs mean the parent's concept."""
    who, concept = f"the network of {parent.concept!r}", parent.concept
    if parent.outputs is not None and parent.names:
        raise ComposerError(f"{who}: its outputs are said twice, by `outputs` and by `names`; leave one out")
    if parent.names:
        if len(parent.names) != count:
            raise ComposerError(f"{who} has {count} outputs, and {len(parent.names)} names")
        if concept not in parent.names:
            raise ComposerError(f"{who}: none of its outputs is called {concept!r}{nearest(concept, parent.names)}")
        return (list(parent.names).index(concept),)
    if parent.outputs is None:
        if count > 1:
            raise ComposerError(
                f"{who} has {count} outputs, and nothing says which of them mean {concept!r}: give `outputs` (numbers "
                "from 0) or `names`"
            )
        return (0,)
    outputs = (parent.outputs,) if isinstance(parent.outputs, int) else tuple(parent.outputs)
    fitting = outputs and len(set(outputs)) == len(outputs) and all(0 <= output < count for output in outputs)
    if not fitting or (count > 1 and len(outputs) == count):
        raise ComposerError(f"{who}: outputs: must be some, not all, of its {count}, from 0 up, not {list(outputs)}")
    return outputs


def concepts_of(network: nn.Module, names: Sequence[str], size: int) -> list[Population]:
    """A population of one member for each output of a network, all with one body.

    network: gives log-odds [N, K] of each name by itself, from pixels in 0..1, float32 [N, 3, size, size].
    """
    weights = {f"network.{name}": tensor.detach()[None] for name, tensor in network.state_dict().items()}
    architecture = _Given(network, size, len(names))
    as_they_are = Preprocessing(size, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0))
    rows = torch.eye(len(names))[:, None, None]  # [K, 1, 1, K]
    return [
        Population(
            name, architecture, {**weights, "head.weight": row, "head.bias": torch.zeros(1, 1)}, (name,), as_they_are
        )
        for name, row in zip(names, rows, strict=True)
    ]
