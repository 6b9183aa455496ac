"""A population of one of torchvision's networks."""

from __future__ import annotations

import torch
from torch import Tensor

from composer import ComposerError, Population, Preprocessing, Run, WeightsReader, read_state_file, read_weights
from composer_torchvision import WITH_OWN_INPUT, PretrainedTorchvision, Torchvision
from composer_torchvision.download import published_file
from composer_torchvision.network import torchvision_models

UNUSED = "num_batches_tracked"
"""Batch norm's count of steps, which plays no part in using a network."""


def load(options: PretrainedTorchvision, concept: str, run: Run, *, headless: bool = False) -> Population:
    """One member, the outputs that `concept` means where a class or group is called so; headless: features alone."""
    architecture = options.network
    assert isinstance(architecture, Torchvision)
    preprocessing = preprocessing_for(options, architecture)
    architecture.require_usable()
    outputs = named_outputs(options, concept)
    if options.file is not None:
        found = WeightsReader(architecture).find(read_state_file(options.file), options.file, headless=headless)
        state, member = found.weights, options.file.stem
        for note in found.notes:
            run.warn(note)
        if found.normalisation is not None:
            preprocessing = Preprocessing(architecture.input_size, *found.normalisation)
        if not headless:
            require_names(options, found.outputs)
        outputs = (0,) if found.outputs == 1 else outputs
    elif options.weights is not None:
        file = published_file(architecture.model, options.weights, run)
        state, member = read_weights(file, architecture), f"{architecture.model} {options.weights}"
    else:
        state, member, outputs = untrained(architecture, run.seed), f"{architecture.model} untrained", (0,)
    weights = {name: tensor[None] for name, tensor in state.items()}
    return Population(concept, architecture, weights, (member,), preprocessing, () if headless else outputs)


def preprocessing_for(options: PretrainedTorchvision, architecture: Torchvision) -> Preprocessing:
    """As the weights' own transforms say, but for networks that change their input inside."""
    size = architecture.input_size
    if options.weights is None or options.model in WITH_OWN_INPUT:
        return Preprocessing(size, architecture.mean, architecture.std)
    prepare = torchvision_models().get_model_weights(options.model)[options.weights].transforms()
    return Preprocessing(size, tuple(prepare.mean), tuple(prepare.std))


def named_outputs(options: PretrainedTorchvision, concept: str) -> tuple[int, ...]:
    named = tuple(index for index, name in enumerate(options.class_names() or ()) if name == concept)
    return tuple(options.class_groups().get(concept, named))


def require_names(options: PretrainedTorchvision, outputs: int) -> None:
    names = "imagenet" if options.names == "imagenet" else options.names
    count = len(options.class_names() or ()) if names == "imagenet" else len(names or ())
    if names is not None and count != outputs:
        raise ComposerError(f"torchvision: names: there are {count}, and {options.file} has {outputs} outputs")


def untrained(architecture: Torchvision, seed: int) -> dict[str, Tensor]:
    """A network with two outputs as torchvision initialises it; the global random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would change the GPU's state too
        network = architecture.build(outputs=2)
    return {name: value.detach() for name, value in network.state_dict().items() if not name.endswith(UNUSED)}
