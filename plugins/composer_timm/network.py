"""A network of timm cut before the layers that give its classes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from composer import ComposerError
from composer_timm import Timm
from composer_timm.building import FAILURES, reason, todays_names, whole_network

CLASSES = 1013
"""As many outputs as no layer inside a network has: those that have them are the heads."""


class Network(nn.Module):
    """`body` is timm's network without its heads, and `head` is one linear layer that does their work."""

    def __init__(self, architecture: Timm, outputs: int) -> None:
        super().__init__()
        self.body = whole_network(architecture.model, architecture.input_size, outputs)
        own = heads(architecture.model)
        for index, head in enumerate(own):
            self.body.set_submodule(head.name, nn.Identity() if len(own) == 1 else _Placed(own, index))
        self.head = nn.Linear(own[0].features if len(own) == 1 else _width(own), outputs)

    def features(self, pixels: Tensor) -> Tensor:
        """float32 [N, D] from normalised pixels [N, 3, S, S]."""
        features: Tensor = self.body(pixels)
        return features

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(pixels))
        return logits


@dataclass(frozen=True)
class Head:
    """A layer of timm's that gives classes: linear, or a convolution of 1x1."""

    name: str
    features: int
    bias: bool
    convolution: bool


class _Placed(nn.Module):
    """Stands in one head's place and gives its input and a one, between zeros where other heads have theirs.

    What the network then makes of its heads' outputs, such as their mean, it makes of these; so that one linear layer
    with all heads' weights and biases side by side gives the logits, whatever shares the heads have in them.
    """

    def __init__(self, heads: Sequence[Head], index: int) -> None:
        super().__init__()
        self.before = _width(heads[:index])
        self.after = _width(heads[index + 1 :])
        self.convolution = heads[index].convolution

    def forward(self, inputs: Tensor) -> Tensor:
        features = inputs.movedim(1, -1) if self.convolution else inputs
        one = features.new_ones(*features.shape[:-1], 1)
        placed = F.pad(torch.cat([features, one], -1), (self.before, self.after))
        return placed.movedim(-1, 1) if self.convolution else placed


def _width(heads: Sequence[Head]) -> int:
    return sum(head.features + 1 for head in heads)


@cache
def heads(model: str) -> tuple[Head, ...]:
    """The layers that give the classes; ComposerError where there is none that is linear or a 1x1 convolution."""
    with torch.device("meta"):
        network = whole_network(model, None, outputs=CLASSES)
    found = [
        Head(name, int(module.weight.shape[1]), module.bias is not None, isinstance(module, nn.Conv2d))
        for name, module in network.named_modules()
        if (isinstance(module, nn.Linear) and module.out_features == CLASSES)
        or (isinstance(module, nn.Conv2d) and module.out_channels == CLASSES and module.weight[0, 0].numel() == 1)
    ]
    if not found:
        raise ComposerError(f"timm: model: {model} does not end with a linear layer or a convolution of 1x1")
    return tuple(found)


def own_state(architecture: Timm, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm's names become `body.` and `head.` ones, and those of older versions today's."""
    own = heads(architecture.model)
    if saved_by_composer(state, f"body.{own[0].name}.weight"):
        return dict(state)
    return own_names(own, todays_names(architecture.model, architecture.input_size, state))


def saved_by_composer(state: Mapping[str, Tensor], last: str) -> bool:
    """Whether all names are composer's own. Other wrappers and networks have a `body` too, with a head inside."""
    own = all(name.startswith("body.") or name in ("head.weight", "head.bias") for name in state)
    return own and any(name.startswith("body.") for name in state) and last not in state


def usual_name(architecture: Timm, name: str) -> str:
    """timm's own name: `head.weight` -> `fc.weight`; of several heads all names."""
    if name.startswith("head."):
        names = " + ".join(head.name for head in heads(architecture.model))
        return f"{names}{name.removeprefix('head')}"
    return name.removeprefix("body.")


def own_names(heads: Sequence[Head], state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm's names become `body.` ones, and the heads one `head.`; what is missing of a head stays so."""
    found = [_weight_and_bias(head, state) for head in heads]
    taken = {f"{head.name}.{leaf}" for head in heads for leaf in ("weight", "bias")}
    own = {f"body.{name}": tensor for name, tensor in state.items() if name not in taken}
    if len(heads) == 1:
        ((weight, bias),) = found
        return own | {f"head.{leaf}": t for leaf, t in (("weight", weight), ("bias", bias)) if t is not None}
    pairs = [(weight, bias) for weight, bias in found if weight is not None and bias is not None]
    if len(pairs) < len(heads) or len({bias.shape for _, bias in pairs}) > 1:
        return {f"body.{name}": tensor for name, tensor in state.items()}
    columns = [column for weight, bias in pairs for column in (weight, bias[..., None])]
    return own | {"head.weight": torch.cat(columns, -1), "head.bias": torch.zeros_like(pairs[0][1])}


def _weight_and_bias(head: Head, state: Mapping[str, Tensor]) -> tuple[Tensor | None, Tensor | None]:
    """[..., K, D] and [..., K]; zeros for the bias of a layer that has none."""
    weight, bias = state.get(f"{head.name}.weight"), state.get(f"{head.name}.bias")
    if weight is None:
        return None, bias
    if head.convolution and weight.ndim >= 4:
        weight = weight.flatten(-3)
    return weight, bias if head.bias else weight.new_zeros(weight.shape[:-1])


@cache
def require_same_logits(model: str, size: int) -> None:
    """Raises ComposerError where the network, cut before its heads, gives other outputs than timm's own."""
    own = heads(model)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(0)
        whole = whole_network(model, size, outputs=3).eval()
        cut = Network(Timm(model=model, size=size), outputs=3).eval()
        away_from_the_start(whole)
        try:
            cut.load_state_dict(own_names(own, whole.state_dict()))
            pixels = torch.rand(1, 3, size, size)
            wanted, met = whole(pixels), cut(pixels)
        except FAILURES as error:
            raise ComposerError(
                f"timm: {model} of {size} pixels cannot be cut before its heads: {reason(error)}"
            ) from error
    if not isinstance(wanted, Tensor) or wanted.shape != met.shape or not _close(wanted, met):
        raise ComposerError(
            f"timm: model: composer's cut of {model} gives other outputs than timm's own: not supported"
        )


def _close(wanted: Tensor, met: Tensor) -> bool:
    return torch.allclose(wanted, met, rtol=1e-4, atol=1e-4 * float(wanted.abs().max()))


def away_from_the_start(network: nn.Module) -> None:
    """Moves numbers that start as zeros, ones or nearly so, since with those mistakes do not show."""
    for name, tensor in [*network.named_parameters(), *network.named_buffers()]:
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.ndim == 1 and tensor.is_floating_point() and isinstance(tensor, nn.Parameter):
            tensor.add_(torch.randn_like(tensor), alpha=0.1)
        elif name.endswith("running_mean"):
            tensor.normal_(std=0.1)
    for head in (module for module in network.modules() if isinstance(module, (nn.Linear, nn.Conv2d))):
        if len(head.weight) == 3:
            nn.init.normal_(head.weight, std=0.1)
