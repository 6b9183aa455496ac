"""Where results of plugins enter the core: looked at once, so that a wrong one is named and not stored.

What is asked of a result stands here alone: a run refuses what does not keep it, and `composer.testing` says so before.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import Any

import numpy as np
import torch
from torch import Tensor

from composer.component import Component
from composer.data.composed import ComposedModel
from composer.data.decoding import FileDecoder
from composer.data.figures import Figure
from composer.data.images import Images
from composer.data.kernels import KernelSet
from composer.data.population import Population
from composer.data.run import Run
from composer.data.scores import Pick, Report, Score
from composer.interfaces import Split
from composer.networks.architecture import Architecture

RETURNS: Mapping[str, type[Any]] = {
    "images": Images,
    "models": Population,
    "extractor": KernelSet,
    "translator": KernelSet,
    "assembler": ComposedModel,
    "criterion": Pick,
    "evaluator": Report,
}


Fault = tuple[str, str]
"""(the check of `composer.testing` that it belongs to, what is wrong: to be read after "the plugin ... returned")."""


def first_fault(component: Component, value: Any, inputs: Sequence[Any], split: Split | None) -> str | None:
    """What is wrong with the result of a component's verb, to be read after "the plugin ... returned"; None if nothing.

    inputs: what the component was given, without the run. split: what an image source was asked for.
    """
    expected = RETURNS[component.kind]
    if not isinstance(value, expected):
        return f"{'None' if value is None else f'a {type(value).__name__}'} in place of {expected.__name__}"
    return next((what for _, what in faults(component, value, inputs, split)), None)


def faults(component: Any, value: Any, inputs: Sequence[Any], split: Split | None) -> Iterator[Fault]:
    """All that is wrong with a result of the right type; as `first_fault`."""
    if isinstance(value, Images):
        assert split is not None, "pictures are always of a split"
        yield from _in_images(value, split)
    elif isinstance(value, Population):
        yield from _in_population(value, component.network)
    elif isinstance(value, ComposedModel):
        yield from _in_members("a composed model", value.members)
        if not value.parts:
            yield "shapes", "a composed model without parts"
        for part in value.parts:
            yield from _in_population(part, part.architecture)
    elif isinstance(value, Report):
        yield from _in_report(value, inputs[0], inputs[2] if len(inputs) > 2 else None)
        yield from _undeclared(component, value)
    elif isinstance(value, Pick):
        return  # `pick_member` has looked at what the criterion gave
    elif component.kind == "extractor":
        yield from _in_kernels(value)
        if value.members != inputs[0].members:
            yield "members", f"kernels of members {_few(value.members)}; the population has {_few(inputs[0].members)}"
    else:
        yield from _in_kernels(value)
        yield from _in_layers(value, inputs)


def _in_images(images: Images, split: Split) -> Iterator[Fault]:
    if len(images) == 0:
        yield "splits", "no pictures"
    if images.native is None and not isinstance(images.decode, FileDecoder):
        yield "cache", "pictures made by a function, which cannot be kept: give pixels or a FileDecoder"
    wanted = split.shown
    if set(images.concepts) != set(wanted):
        yield (
            "labels",
            f"pictures of {split} labelled with {_few(images.concepts) or 'nothing'}; asked for are {_few(wanted)}",
        )


def _in_members(what: str, members: Sequence[str]) -> Iterator[Fault]:
    if len(members) == 0:
        yield "shapes", f"{what} without members"
    if any(not isinstance(member, str) for member in members):
        yield "members", f"{what} with a member that is named by no text: {_few(members)}"


def _in_population(population: Population, network: Architecture) -> Iterator[Fault]:
    what = f"a population of {population.concept!r}"
    yield from _in_members(what, population.members)
    yield from _in_tensors(what, population.weights)
    if population.architecture != network:
        yield (
            "shapes",
            f"{what} of architecture {population.architecture.options()}; its `network` is {network.options()}",
        )
    head = f"{network.head}."
    weight = population.weights.get(f"{head}weight")
    outputs = 1 if weight is None else weight.shape[1]
    if population.outputs and (weight is None or f"{head}bias" not in population.weights):
        yield "shapes", f"{what} with outputs {_few(population.outputs)} and without the head {network.head!r}"
    elif any(not 0 <= output < outputs for output in population.outputs):
        yield "shapes", f"{what} that means outputs {_few(population.outputs)}; its head has 0 to {outputs - 1}"
    if misfit := network.misfit(population.weights, head=weight is not None):
        yield "shapes", f"{what} whose members do not fit architecture {network.name!r}: {misfit}"


def _in_kernels(kernels: KernelSet) -> Iterator[Fault]:
    yield from _in_members("kernels", kernels.members)
    yield from _in_tensors("kernels", kernels.layers)
    if not kernels.layers:
        yield "shapes", "kernels of no layer"
    for layer, tensor in kernels.layers.items():
        if tensor.dtype != torch.float32:
            yield "shapes", f"kernels of {layer!r} that are {tensor.dtype}, not torch.float32"


def _in_layers(kernels: KernelSet, parents: Sequence[KernelSet]) -> Iterator[Fault]:
    """Faults of kernels that fit the layers of no parent, told by the first of them."""
    met = _shapes(kernels)
    if any(met == _shapes(parent) for parent in parents):
        return
    first = _shapes(parents[0])
    for layer in sorted(first.keys() | met.keys()):
        if first.get(layer) != met.get(layer):
            yield (
                "shapes",
                f"kernels of {layer!r} that are {met.get(layer, 'absent')} for each member; "
                f"{parents[0].concept!r} has them {first.get(layer, 'absent')}",
            )


def _in_report(report: Report, model: ComposedModel, pick: Pick | None) -> Iterator[Fault]:
    for name, score in report.scores.items():
        if not isinstance(name, str) or not isinstance(score, Score):
            yield "shapes", f"a report in which {name!r} is a {type(score).__name__}, not a Score"
            continue
        for what in ("values", "replicates"):
            numbers = np.asarray(getattr(score, what))
            if numbers.ndim != 1 or not np.issubdtype(numbers.dtype, np.number):
                yield (
                    "shapes",
                    f"{what} of score {name!r} that are {numbers.dtype} {list(numbers.shape)}, not a row of numbers",
                )
            elif not np.isfinite(numbers).all():
                yield "finite", f"{what} of score {name!r} with NaN or infinity ({_share(np.isfinite(numbers))})"
        if score.judged is None and len(score.values) != len(model):
            yield "shapes", f"{len(score.values)} values of score {name!r} for a model of {len(model)} members"
        judged = score.judged or ()
        if any(not 0 <= member < len(model) for member in judged) or len(set(judged)) < len(judged):
            yield "shapes", f"score {name!r} of members {_few(judged)}; the model has {len(model)}"
        elif pick and judged and len(score.replicates) and pick.member not in judged:
            yield (
                "shapes",
                f"replicates of score {name!r}, which leaves out the picked member {pick.member} (`run.picked`)",
            )


def _undeclared(component: Any, report: Report) -> Iterator[Fault]:
    """Where a score is not what its evaluator's class declares."""
    for info in component.scores:
        score = report.scores.get(info.name)
        for what in ("higher_is_better", "labels"):
            if score is not None and getattr(score, what) != getattr(info, what):
                met, declared = getattr(score, what), getattr(info, what)
                yield "declared", f"score {info.name!r} with {what}={met!r}; the class declares {declared!r}"


def _in_tensors(what: str, tensors: Mapping[str, Any]) -> Iterator[Fault]:
    for name, tensor in tensors.items():
        if not isinstance(name, str) or not isinstance(tensor, Tensor):
            yield "shapes", f"{what} in which {name!r} is a {type(tensor).__name__}, not a tensor"
        elif tensor.device.type != "cpu":
            yield "shapes", f"{what} in which {name!r} lies on {tensor.device}; results are handed over on the CPU"
        elif tensor.requires_grad:
            yield "shapes", f"{what} in which {name!r} still requires a gradient; detach it"
        elif not bool(torch.isfinite(tensor.sum())) and not bool((finite := torch.isfinite(tensor)).all()):
            # The sum is NaN or infinite if any number is, and takes no memory.
            yield "finite", f"{what} in which {name!r} has NaN or infinity ({_share(finite.numpy())})"


def run_faults(run: Run) -> Iterator[str]:
    """What is wrong with that which a component recorded beside its result; figures become files."""
    for name, figure in run.figures.items():
        if not isinstance(figure, Figure):
            yield f"recorded a {type(figure).__name__} as figure {name!r}"
        if not isinstance(name, str) or not name or name.startswith(".") or any(sign in name for sign in "/\\:\0"):
            yield f"recorded a figure under the name {name!r}, which is none for a file"
    for message in run.warnings:
        if not isinstance(message, str):
            yield f"warned with a {type(message).__name__} in place of a text"


class Overheard:
    """A standard output that shows on standard error what is printed, and keeps its beginning."""

    def __init__(self) -> None:
        self.beginning = ""

    def write(self, text: str) -> int:
        if len(self.beginning) < 80:
            self.beginning = (self.beginning + text)[:80]
        return sys.stderr.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(sys.stderr, name)


@contextmanager
def overhearing() -> Iterator[Overheard]:
    """Standard output belongs to the command: what a component prints meanwhile goes to standard error."""
    overheard = Overheard()
    with redirect_stdout(overheard):
        yield overheard


def _shapes(kernels: KernelSet) -> dict[str, list[int]]:
    return {layer: list(tensor.shape[1:]) for layer, tensor in kernels.layers.items()}


def _share(finite: Any) -> str:
    return f"{int((~finite).sum())} of {finite.size} numbers"


def _few(things: Iterable[Any]) -> str:
    texts = [str(thing) for thing in things]
    return ", ".join(texts[:4]) + (f", ... ({len(texts)})" if len(texts) > 4 else "")
