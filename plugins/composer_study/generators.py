"""The study's published generators at work: kernels in, kernels of the other domain out."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional as F

from composer import ComposerError, KernelSet, Run, cell_name
from composer_study.names import numbered

if TYPE_CHECKING:
    from composer_study import StudyGenerators

DAMAGED = (RuntimeError, EOFError, OSError, KeyError, IndexError, ValueError, TypeError, pickle.UnpicklingError)
"""What torch raises for files that are damaged, cut off or no pickles at all."""
AT_ONCE = 256
"""Members per pass: enough to keep the cores busy, in some tens of megabytes."""
Generator = Mapping[str, Tensor]


def translate(options: StudyGenerators, parents: Sequence[KernelSet], run: Run) -> KernelSet:
    """`N A`: kernels of the object's network N through B2A; `N B`: those of the attribute's network N through A2B.

    Only numbers that both populations have, as in the study.
    """
    attribute, object_ = parents
    places = [numbered(parent.members) for parent in parents]
    numbers = sorted(places[0].keys() & places[1].keys())
    if not numbers:
        raise ComposerError(
            f"study_generators: no number is in the names of members of both {attribute.concept!r}"
            f" ({attribute.members[0]!r}, ...) and {object_.concept!r} ({object_.members[0]!r}, ...), such as"
            " black_model_0000 and cat_model_0000"
        )
    layers: dict[str, list[Tensor]] = {layer: [] for layer in options.layers}
    steps = [(domain, layer) for domain in options.domains for layer in options.layers]
    for domain, layer in run.progress(steps, "translating with the published generators", len(steps)):
        parent, own = (object_, places[1]) if domain == "A" else (attribute, places[0])
        if layer not in parent.layers:
            raise ComposerError(
                f"study_generators: the networks have no layer {layer!r}, only {', '.join(parent.layers)}"
            )
        kernels = parent.layers[layer][[own[number] for number in numbers]]
        file = options.file(layer, domain)
        layers[layer].append(generate(read_generator(file, kernels.shape[2]), kernels, run.device))
    members = tuple(f"{number} {domain}" for domain in options.domains for number in numbers)
    concept = f"{attribute.concept}+{object_.concept}"
    return KernelSet(concept, {layer: torch.cat(parts) for layer, parts in layers.items()}, members)


def read_generator(file: Path, channels: int) -> Generator:
    """Weights of Conv3d(channels, h, 3), ReLU, Conv3d(h, channels, 3), Tanh; ComposerError for a file of others."""
    try:
        weights = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ComposerError(f"{file}: there is no such file") from None
    except DAMAGED as error:
        raise ComposerError(f"{file}: cannot be read as weights ({_first_line(error)}); copy it again") from None
    if not isinstance(weights, Mapping) or "main.0.bias" not in weights:
        raise ComposerError(f"{file}: holds no generator: there is no 'main.0.bias' in it")
    hidden = len(weights["main.0.bias"])
    wanted = {
        "main.0.weight": (hidden, channels, 3, 3, 3),
        "main.0.bias": (hidden,),
        "main.2.weight": (channels, hidden, 3, 3, 3),
        "main.2.bias": (channels,),
    }
    met = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    if met != wanted:
        raise ComposerError(f"{file}: is no generator for kernels of {channels} inputs: met {met}, needed {wanted}")
    return dict(weights)


@torch.no_grad()
def generate(generator: Generator, kernels: Tensor, device: str = "cpu") -> Tensor:
    """Kernels [M, O, I, kH, kW] after the generator, which sees the inputs as channels and the outputs as depth."""
    weight1, bias1, weight2, bias2 = (
        generator[name].to(device) for name in ("main.0.weight", "main.0.bias", "main.2.weight", "main.2.bias")
    )
    translated = []
    for part in torch.split(kernels, AT_ONCE):
        hidden = F.conv3d(part.transpose(1, 2).to(device), weight1, bias1, padding=1).relu()
        translated.append(F.conv3d(hidden, weight2, bias2, padding=1).tanh().cpu().transpose(1, 2))
    return torch.cat(translated).contiguous()


def untouched(parents: Sequence[KernelSet], members: int | None) -> KernelSet:
    """The parents' own kernels, of each parent the first `members`."""
    kept = [len(parent) if members is None else min(members, len(parent)) for parent in parents]
    layers = {
        layer: torch.cat([parent.layers[layer][:count] for parent, count in zip(parents, kept, strict=True)])
        for layer in parents[0].layers
    }
    names = [name for parent, count in zip(parents, kept, strict=True) for name in parent.members[:count]]
    if len(set(names)) < len(names):  # parents whose members are only numbered
        names = [
            f"{parent.concept} {name}"
            for parent, count in zip(parents, kept, strict=True)
            for name in parent.members[:count]
        ]
    return KernelSet(cell_name(parent.concept for parent in parents), layers, tuple(names))


def untrained(parents: Sequence[KernelSet], members: int | None, run: Run) -> KernelSet:
    """Fresh kernels of the parents' shapes, uniform in 1 / sqrt(inputs of a kernel) as `torch.nn.Conv2d` draws them."""
    count = members or sum(len(parent) for parent in parents)
    generator = run.generator()
    layers = {}
    for layer, kernels in parents[0].layers.items():
        shape = kernels.shape[1:]
        bound = shape[1:].numel() ** -0.5
        layers[layer] = (2 * torch.rand((count, *shape), generator=generator) - 1) * bound
    concept = cell_name(parent.concept for parent in parents)
    return KernelSet(concept, layers, tuple(f"untrained {index}" for index in range(count)))


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
