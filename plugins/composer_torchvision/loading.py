"""A population of one of torchvision's networks."""

from __future__ import annotations

import torch
from torch import Tensor

from composer import ComposerError, Population, Preprocessing, Run, WeightsReader, read_state_file, read_weights
from composer_torchvision import PretrainedTorchvision, Torchvision
from composer_torchvision.download import published_file
from composer_torchvision.network import WITH_AUXILIARY_HEADS, Network, torchvision_models, wrong_size

UNUSED = "num_batches_tracked"
"""Batch norm's count of steps, which plays no part in using a network."""


def load(options: PretrainedTorchvision, concept: str, run: Run) -> Population:
    """One member, the outputs that `concept` means where a class or group is called so."""
    architecture = options.network
    assert isinstance(architecture, Torchvision)
    preprocessing = preprocessing_for(options, architecture.size)
    require_size(architecture)
    outputs = named_outputs(options, concept)
    if options.file is not None:
        found = WeightsReader(architecture).find(read_state_file(options.file), options.file)
        state, member = found.weights, options.file.stem
        for note in found.notes:
            run.warn(note)
        if found.normalisation is not None:
            preprocessing = Preprocessing(architecture.size, *found.normalisation)
        require_names(options, found.outputs)
        outputs = (0,) if found.outputs == 1 else outputs
    elif options.weights is not None:
        file = published_file(architecture.model, options.weights, run)
        state, member = read_weights(file, architecture), f"{architecture.model} {options.weights}"
    else:
        state, member, outputs = untrained(architecture, run.seed), f"{architecture.model} untrained", (0,)
    weights = {name: tensor[None] for name, tensor in state.items()}
    return Population(concept, architecture, weights, (member,), preprocessing, outputs)


def preprocessing_for(options: PretrainedTorchvision, size: int) -> Preprocessing:
    if options.weights is None:
        return Preprocessing(size, Torchvision.mean, Torchvision.std)
    if options.model in WITH_AUXILIARY_HEADS:
        return Preprocessing(size)  # torchvision's `transform_input`: these were trained on pixels in [-1, 1]
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
