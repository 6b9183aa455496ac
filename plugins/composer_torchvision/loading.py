"""A population of one of torchvision's networks."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from composer import ComposerError, Population, Preprocessing, Run
from composer_checkpoints.files import read_state
from composer_torchvision import PretrainedTorchvision, Torchvision
from composer_torchvision.download import published_file
from composer_torchvision.network import (
    WITH_AUXILIARY_HEADS,
    Network,
    last_linear,
    torchvision_models,
    whole_network,
    wrong_size,
)

MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
UNUSED = "num_batches_tracked"
"""Batch norm's count of steps, which plays no part in using a network."""
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
OLD_DENSENET = re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\..+)$")
"""Names in densenet's published weights, from a time when names could have dots: norm.1 is norm1 today."""


def load(options: PretrainedTorchvision, concept: str, run: Run) -> Population:
    """One member, the outputs that `concept` means where a class or group is called so."""
    architecture = options.network
    assert isinstance(architecture, Torchvision)
    preprocessing = preprocessing_for(options, architecture.size)
    require_size(architecture)
    if options.file is not None:
        state, member = read_weights(options.file, architecture), options.file.stem
        require_names(options, len(state["head.weight"]))
    elif options.weights is not None:
        file = published_file(architecture.model, options.weights, run)
        state, member = read_weights(file, architecture), f"{architecture.model} {options.weights}"
    else:
        state, member = untrained(architecture, run.seed), f"{architecture.model} untrained"
    outputs = named_outputs(options, concept)
    if len(state["head.weight"]) == 1:
        state, outputs = with_two_outputs(state), (0,)
    elif options.file is None and options.weights is None:
        outputs = (0,)
    weights = {name: tensor[None] for name, tensor in state.items()}
    return Population(concept, architecture, weights, (member,), preprocessing, outputs)


def preprocessing_for(options: PretrainedTorchvision, size: int) -> Preprocessing:
    if options.weights is None:
        return Preprocessing(size, MEAN, STD)
    if options.model in WITH_AUXILIARY_HEADS:
        return Preprocessing(size)  # torchvision's `transform_input`: these were trained on pixels in [-1, 1]
    prepare = torchvision_models().get_model_weights(options.model)[options.weights].transforms()
    return Preprocessing(size, tuple(prepare.mean), tuple(prepare.std))


def named_outputs(options: PretrainedTorchvision, concept: str) -> tuple[int, ...]:
    named = tuple(index for index, name in enumerate(options.class_names() or ()) if name == concept)
    return tuple(options.class_groups().get(concept, named))


def require_names(options: PretrainedTorchvision, outputs: int) -> None:
    names = options.class_names()
    if names is not None and len(names) != outputs:
        raise ComposerError(f"torchvision: names: there are {len(names)}, and {options.file} has {outputs} outputs")


def require_size(architecture: Torchvision) -> None:
    """Raises ComposerError where the network cannot take pictures of that size."""
    with torch.device("meta"):
        network = Network(architecture, outputs=1).eval()
        try:
            network.features(torch.empty(1, 3, architecture.size, architecture.size))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise wrong_size(architecture, error) from error


def untrained(architecture: Torchvision, seed: int) -> dict[str, Tensor]:
    """A network with two outputs as torchvision initialises it; the global random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would change the GPU's state too
        network = architecture.build(outputs=2)
    return {name: value.detach() for name, value in network.state_dict().items() if not name.endswith(UNUSED)}


def read_weights(file: Path, architecture: Torchvision) -> dict[str, Tensor]:
    """The weights in a file under this architecture's names; ComposerError where they do not fit."""
    state = read_state(file)
    if architecture.model in WITH_AUXILIARY_HEADS:
        state = {name: tensor for name, tensor in state.items() if not name.startswith(AUXILIARY)}
    if architecture.model.startswith("densenet"):
        state = {OLD_DENSENET.sub(r"\1\2", name): tensor for name, tensor in state.items()}
    with torch.device("meta"):
        head, _ = last_linear(whole_network(architecture, outputs=1))
    if f"{head}.weight" not in state:
        raise ComposerError(f"{file}: is no checkpoint of {architecture.model}: missing: {head}.weight, its last layer")
    with torch.device("meta"):
        network = whole_network(architecture, outputs=len(state[f"{head}.weight"]))
    require_shapes(file, state, network.state_dict(), architecture.model)
    if architecture.model.startswith("mnasnet"):
        state = of_today(state, network)
    # torchvision renames what older versions of its networks (vit) called otherwise.
    found = network.load_state_dict(state, strict=False, assign=True)
    missing = [name for name in found.missing_keys if not name.endswith(UNUSED)]
    if missing or found.unexpected_keys:
        raise ComposerError(
            f"{file}: is no checkpoint of {architecture.model}: "
            f"missing: {some(missing)}; left over: {some(found.unexpected_keys)}"
        )
    weights = {own_name(name, head): tensor.detach() for name, tensor in network.state_dict().items()}
    weights.setdefault("head.bias", torch.zeros(len(weights["head.weight"])))
    return {name: tensor for name, tensor in weights.items() if not name.endswith(UNUSED)}


def of_today(state: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The same, marked as saved by the installed version of the network, without which mnasnet refuses it."""
    marked = OrderedDict(state)
    setattr(marked, "_metadata", getattr(network.state_dict(), "_metadata"))  # noqa: B009, B010  # unknown to its type
    return marked


def require_shapes(file: Path, state: Mapping[str, Tensor], wanted: Mapping[str, Tensor], model: str) -> None:
    faults = [
        f"{name!r} is {list(state[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if faults:
        raise ComposerError(f"{file}: is no checkpoint of {model}: {some(faults)}")


def own_name(name: str, head: str) -> str:
    """`fc.weight` -> `head.weight`, `conv1.weight` -> `body.conv1.weight`."""
    return f"head{name.removeprefix(head)}" if name.startswith(f"{head}.") else f"body.{name}"


def with_two_outputs(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The same log-odds from two outputs as the one output gives through a sigmoid."""
    head = {name: torch.cat([state[name], torch.zeros_like(state[name])]) for name in ("head.weight", "head.bias")}
    return {**state, **head}


def some(names: Sequence[str], most: int = 4) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more if names else "nothing"
