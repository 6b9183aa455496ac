"""Where members start: as their layers initialise themselves, or from another network's body."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from composer import Architecture, ComposerError, Population, Preprocessing, Run, stack
from composer_training import AT_ONCE, Train

Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Start:
    """What the members are, and whose body they begin with; None where each has a fresh one."""

    architecture: Architecture
    preprocessing: Preprocessing
    body: Population | None = None


def start_of(options: Train, concept: str, run: Run) -> Start:
    """The start that the options ask for; ComposerError where its file is none of that network."""
    if options.start is None:
        return Start(options.architecture, Preprocessing(options.architecture.input_size))
    body = options.start.load_body(concept, run)
    return Start(body.architecture, body.preprocessing, body)


def misfits(options: Train) -> Iterator[tuple[str, str]]:
    """(option, message) where the start's files cannot be read as its network.

    What has no files is not looked for, and what is itself made of pictures has to wait for them.
    """
    assert options.start is not None
    if options.start.contract.pictures != "none" or not any(True for _ in options.start.files()):
        return
    try:
        options.start.load_body("", Run())
    except ComposerError as error:
        yield "start", str(error)


def learners(
    architecture: Architecture,
    members: range,
    run: Run,
    outputs: int = 2,
    body: Population | None = None,
    together: int = AT_ONCE,
) -> list[dict[str, Tensor]]:
    """Members in groups of at most `together`: their parameters require gradients, their buffers do not.

    body: whose weights they begin with, each with a fresh head; from the first member anew where there are more.
    """
    require_own_weights(architecture)
    parameters = {name for name, _ in architecture.blueprint(outputs).named_parameters()}
    if body is None:
        weights = initial_weights(architecture, members, run.seed, outputs)
    else:
        weights = bodies(body, members) | initial_heads(architecture, members, run.seed, outputs)
    return grouped(weights, parameters, run, together)


def grouped(weights: Weights, trained: Container[str], run: Run, together: int) -> list[dict[str, Tensor]]:
    """Members in groups of at most `together` on the run's device; those weights require gradients that are named."""
    return [
        {name: tensor.to(run.device).requires_grad_(name in trained) for name, tensor in group.items()}
        for group in split_members(weights, together)
    ]


def bodies(body: Population, members: range) -> dict[str, Tensor]:
    """The weights of the bodies of some members, [M, ...]: those of `body` in turn."""
    whose = torch.tensor(members) % len(body)
    return {name: tensor[whose] for name, tensor in body.body_weights.items()}


def require_own_weights(architecture: Architecture) -> None:
    """ComposerError where layers share weights."""
    network = architecture.blueprint()
    own = {name for named in (network.named_parameters(), network.named_buffers()) for name, _ in named}
    if shared := [name for name in network.state_dict() if name not in own]:
        listed = ", ".join(shared[:3]) + (", ..." if len(shared) > 3 else "")
        raise ComposerError(
            f"train: {architecture.name!r} keeps {listed}: weights shared between layers cannot be trained "
            "here; take a network without them, or train it elsewhere and read it with models: {use: checkpoints}"
        )


def initial_weights(architecture: Architecture, members: range, seed: int, outputs: int = 2) -> dict[str, Tensor]:
    """parameter or buffer -> [M, ...], each member as its layers initialise themselves; the random state is kept."""
    return _initial(lambda: architecture.build(outputs), members, seed)


def initial_heads(architecture: Architecture, members: range, seed: int, outputs: int = 2) -> dict[str, Tensor]:
    """The same of the heads alone, as torch initialises a linear layer."""
    features = architecture.shapes()[f"{architecture.head}.weight"][1]
    heads = _initial(lambda: nn.Linear(features, outputs), members, seed)
    return {f"{architecture.head}.{name}": tensor for name, tensor in heads.items()}


def _initial(build: Callable[[], nn.Module], members: range, seed: int) -> dict[str, Tensor]:
    """Those members of all that one seed gives, one after the other."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would change the GPU's state too
        built = ((member, build()) for member in range(members.stop))
        networks = [network for member, network in built if member in members]
    return stack([{name: tensor.detach() for name, tensor in network.state_dict().items()} for network in networks])


def split_members(weights: Weights, together: int) -> Iterator[dict[str, Tensor]]:
    """Groups of at most `together` members, each with memory of its own."""
    members = len(next(iter(weights.values())))
    for start in range(0, members, together):
        yield {name: tensor[start : start + together].clone() for name, tensor in weights.items()}
