"""Running many members of one architecture with stacked weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from copy import deepcopy
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.func import functional_call

from composer.networks.tensor_names import COUNTERS

if TYPE_CHECKING:
    from composer.networks.architecture import Architecture


def stack(state_dicts: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """parameter -> [M, ...] from M state dicts with the same keys."""
    return {name: torch.stack([state[name] for state in state_dicts]) for name in state_dicts[0]}


def features_one_by_one(
    architecture: Architecture, weights: Mapping[str, Tensor], pixels: Tensor, training: bool = False
) -> Tensor:
    """Features [M, N, D], one member after the other: the plain way, for any architecture."""
    head = f"{architecture.head}."
    network = _built(architecture)
    same = _names_of_one_tensor(network)
    members = len(next(iter(weights.values())))
    body = {
        same.get(f"network.{name}", f"network.{name}"): tensor
        for name, tensor in weights.items()
        if not name.startswith(head)
    }
    missing = [name for name in network.state_dict() if same[name] not in body and not name.endswith(COUNTERS)]
    if missing := [name for name in missing if not name.startswith(f"network.{head}")]:
        raise ValueError(f"the weights lack {missing[0].removeprefix('network.')!r}, which {architecture.name} has")
    # Tables and filters that no file holds: those that the network computed while it was built.
    tables = {name: buffer for name, buffer in network.named_buffers() if same[name] not in body}
    own = {name: buffer.to(pixels.device, copy=training) for name, buffer in tables.items()}  # training counts steps
    each = [own | {name: tensor[member] for name, tensor in body.items()} for member in range(members)]
    # Some networks keep what they compute of their weights (levit's attention biases): each member has its own copy.
    return torch.stack([functional_call(deepcopy(network).train(training), state, (pixels,)) for state in each])


@lru_cache(maxsize=4)
def _built(architecture: Architecture) -> _Features:
    """A network that is never run, whose parameters take no memory; built once, since pictures come in batches.

    It is built with numbers: on the meta device, buffers that are not in its state dict would have none.
    """
    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        torch.default_generator.manual_seed(0)
        network = _Features(architecture.build(outputs=1)).eval()
    empty = {id(own): nn.Parameter(own.to("meta"), requires_grad=False) for own in network.parameters()}
    for module in network.modules():
        for name, own in [*module.named_parameters(recurse=False, remove_duplicate=False)]:
            module.register_parameter(name, empty[id(own)])
    return network


def _names_of_one_tensor(network: nn.Module) -> dict[str, str]:
    """Each name -> the last of the names that its tensor has, which is the one that `load_state_dict` obeys."""
    named = [*network.named_parameters(remove_duplicate=False), *network.named_buffers(remove_duplicate=False)]
    last = {id(tensor): name for name, tensor in named}
    return {name: last[id(tensor)] for name, tensor in named}


class _Features(nn.Module):
    """Calls `network.features`, which functional_call cannot name."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        features: Tensor = self.network.features(pixels)  # type: ignore[operator]  # nn.Module attributes are untyped
        return features
