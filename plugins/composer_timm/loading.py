"""A population of one of timm's networks."""

from __future__ import annotations

from collections.abc import Mapping

import timm
import torch
from torch import Tensor

from composer import ComposerError, Population, Preprocessing, Run, WeightsReader, read_state_file
from composer_timm import PretrainedTimm, Timm
from composer_timm.building import settings, takes_size
from composer_timm.network import own_state

UNUSED = "num_batches_tracked"
"""Batch norm's count of steps, which plays no part in using a network."""


def load(options: PretrainedTimm, concept: str, run: Run, *, headless: bool = False) -> Population:
    """One member, the outputs that `concept` means where a class or group is called so; headless: features alone."""
    architecture = options.network
    assert isinstance(architecture, Timm)
    architecture.require_usable()
    said = settings(options.model)
    preprocessing = Preprocessing(architecture.input_size, tuple(said["mean"]), tuple(said["std"]))
    count = None
    if options.file is not None:
        found = WeightsReader(architecture).find(read_state_file(options.file), options.file, headless=headless)
        state, member, count = found.weights, options.file.stem, found.outputs
        for note in found.notes:
            run.warn(note)
        if found.normalisation is not None:
            preprocessing = Preprocessing(architecture.input_size, *found.normalisation)
    elif options.pretrained:
        state, member = from_hub(architecture), options.model
    else:
        state, member = untrained(architecture, run.seed), f"{options.model} untrained"
    weights = {name: tensor[None] for name, tensor in state.items()}
    if headless:
        return Population(concept, architecture, weights, (member,), preprocessing, ())
    outputs = len(state.get("head.weight", ()))  # none: published without a head, for its features
    names = options.class_names()
    if options.names is None and options.file is None and outputs != 1000:
        names = None  # published, but not for ImageNet's classes
    one = count == 1 or (options.file is None and not options.pretrained)
    if names is not None and len(names) != outputs:
        raise ComposerError(
            f"timm: names: there are {len(options.names or names)}, and {options.file or options.model} has "
            f"{count or outputs} outputs"
        )
    named = tuple(index for index, name in enumerate(names or ()) if name == concept)
    groups = options.class_groups() if names is not None else {}
    meant = tuple(groups.get(concept, named)) if names is not None or not one else (0,)
    return Population(concept, architecture, weights, (member,), preprocessing, meant)


def from_hub(architecture: Timm) -> dict[str, Tensor]:
    """The published weights under composer's names; ComposerError that says what to do where there is no network."""
    from huggingface_hub.errors import HfHubHTTPError

    model = architecture.model
    try:
        sized = (
            {"img_size": architecture.input_size} if takes_size(model) else {}
        )  # timm then resamples learned positions
        network = timm.create_model(model, pretrained=True, **sized)
    except (HfHubHTTPError, OSError, RuntimeError) as error:
        raise ComposerError(
            f"timm: weights of {model} cannot be fetched from the Hugging Face hub "
            f"({str(error).splitlines()[0]}); fetch model.safetensors of timm/{model} elsewhere and name it with `file`"
        ) from error
    return detached(own_state(architecture, network.state_dict()))


def untrained(architecture: Timm, seed: int) -> dict[str, Tensor]:
    """A network with two outputs as timm initialises it; the global random state is kept."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would change the GPU's state too
        network = architecture.build(outputs=2)
    return detached(network.state_dict())


def detached(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: value.detach() for name, value in state.items() if not name.endswith(UNUSED)}
