"""A classifier of torchvision cut before its last linear layer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.overrides import TorchFunctionMode

from composer import ComposerError
from composer_torchvision import WITH_OWN_INPUT, Torchvision

PICTURES_AT_ONCE = 8
"""Pictures per forward pass on a CPU: with more, layers leave its cache, and each takes longer."""
AUXILIARY = ("aux1.", "aux2.", "AuxLogits.")
OLD_NAMES = (
    # Published weights of densenet come from a time when names could have dots: norm.1 is norm1 today.
    (re.compile(r"^(.*denselayer\d+\.(?:norm|conv))\.([12]\..+)$"), r"\1\2"),
    # torchvision itself still takes these names of vision transformers.
    (re.compile(r"^(encoder\.layers\..+\.mlp)\.linear_1\."), r"\1.0."),
    (re.compile(r"^(encoder\.layers\..+\.mlp)\.linear_2\."), r"\1.3."),
)


class Network(nn.Module):
    """`body` is torchvision's network without its last linear layer, and `head` is that layer."""

    def __init__(self, architecture: Torchvision, outputs: int) -> None:
        super().__init__()
        self.body = whole_network(architecture, outputs)
        name, last = last_linear(self.body)
        self.body.set_submodule(name, nn.Identity())
        self.head = with_bias(last)

    def features(self, pixels: Tensor) -> Tensor:
        """float32 [N, D] from normalised pixels [N, 3, S, S]."""
        features: Tensor = self.body(pixels)
        return features

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(pixels))
        return logits


def own_state(architecture: Torchvision, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """torchvision's names become `body.` and `head.` ones, and those of older versions today's."""
    if saved_by_composer(state, f"body.{last_name(architecture.model)}.weight"):
        return dict(state)
    head = last_name(architecture.model)
    own = {}
    for name, tensor in state.items():
        if architecture.model in WITH_OWN_INPUT and name.startswith(AUXILIARY):
            continue  # for training only
        for old, new in OLD_NAMES:
            name = old.sub(new, name)
        own[f"head{name.removeprefix(head)}" if name.startswith(f"{head}.") else f"body.{name}"] = tensor
    if architecture.model.startswith("maxvit") and "head.weight" in own:
        own["head.bias"] = own["head.weight"].new_zeros(len(own["head.weight"]))  # `with_bias` gives it one
    return own


def saved_by_composer(state: Mapping[str, Tensor], last: str) -> bool:
    """Whether all names are composer's own. Other wrappers and networks have a `body` too, with a head inside."""
    own = all(name.startswith("body.") or name in ("head.weight", "head.bias") for name in state)
    return own and any(name.startswith("body.") for name in state) and last not in state


def usual_name(architecture: Torchvision, name: str) -> str:
    """torchvision's own name: `head.weight` -> `fc.weight`."""
    if name.startswith("head."):
        return f"{last_name(architecture.model)}{name.removeprefix('head')}"
    return name.removeprefix("body.")


@cache
def last_name(model: str) -> str:
    """Name of a network's last linear layer, such as `fc`."""
    with torch.device("meta"):
        return last_linear(whole_network(Torchvision(model=model), outputs=1))[0]


def whole_network(architecture: Torchvision, outputs: int) -> nn.Module:
    """torchvision's own network, freshly initialised, on torch's default device (`meta` makes none of its numbers)."""
    models = torchvision_models()
    name, size = architecture.model, architecture.input_size
    options: dict[str, Any] = {"num_classes": outputs}
    if name.startswith("vit_"):
        options["image_size"] = size
    elif name.startswith("maxvit_"):
        options["input_size"] = (size, size)
    elif name in WITH_OWN_INPUT:
        options |= {"aux_logits": False, "init_weights": True}  # for training only; the initialisation they announce
    device = torch.get_default_device()
    try:
        with torch.device("cpu"), ParametersOn(device):
            network: nn.Module = models.get_model(name, weights=None, **options)
    except (AssertionError, RuntimeError, ValueError) as error:
        raise wrong_size(architecture, error) from error
    return network.to(device)


@cache
def require_size(model: str, size: int) -> None:
    """Raises ComposerError where the network cannot take pictures of that size."""
    architecture = Torchvision(model=model, size=size)
    with torch.device("meta"):
        network = Network(architecture, outputs=1).eval()
        try:
            network.features(torch.empty(1, 3, size, size))
        except (AssertionError, RuntimeError, ValueError) as error:
            raise wrong_size(architecture, error) from error


def wrong_size(architecture: Torchvision, error: Exception) -> ComposerError:
    reason = str(error).splitlines()[0]
    return ComposerError(
        f"torchvision: size: {architecture.model} cannot take {architecture.input_size} pixels: {reason}"
    )


class ParametersOn(TorchFunctionMode):
    """Makes parameters on a device and leaves all else where it is.

    Some networks (regnet) compute with other tensors while they are built, which on `meta` cannot be done.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = dict(kwargs or {})
        if func is torch.empty and options.get("device") is None:
            options["device"] = self.device
        return func(*args, **options)


def torchvision_models() -> Any:
    """The module `torchvision.models`; ComposerError where it does not fit torch."""
    try:
        from torchvision import models  # takes seconds
    except (ImportError, RuntimeError) as error:  # such as `operator torchvision::nms does not exist`
        raise ComposerError(
            f"torchvision cannot be used with torch {torch.__version__}: {error}; install both packages anew, "
            "at once and from one index"
        ) from error
    return models


def last_linear(network: nn.Module) -> tuple[str, nn.Linear]:
    """The last linear layer and its name."""
    return [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]


def with_bias(layer: nn.Linear) -> nn.Linear:
    """The layer, with a bias of zeros where it has none (maxvit_t)."""
    if layer.bias is None:
        layer.bias = nn.Parameter(layer.weight.new_zeros(layer.out_features))
    return layer


class Features(nn.Module):
    """Calls `network.features`, which functional_call cannot name."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self.network = network

    def forward(self, pixels: Tensor) -> Tensor:
        return self.network.features(pixels)


def stacked_features(
    architecture: Torchvision, weights: Mapping[str, Tensor], pixels: Tensor, training: bool
) -> Tensor:
    """float32 [M, N, D] of M members, a few pictures at a time in channels_last. Differentiable."""
    with torch.device("meta"):
        network = Features(Network(architecture, outputs=1)).train(training)
    body = {name: tensor for name, tensor in weights.items() if name.startswith("body.")}
    members = len(next(iter(body.values())))
    pixels = pixels.contiguous(memory_format=torch.channels_last)
    in_parts = pixels.device.type == "cpu" and not training  # batch norm trains on the statistics of the whole batch
    batches = torch.split(pixels, PICTURES_AT_ONCE if in_parts else len(pixels))
    features = []
    for member in range(members):
        own = {f"network.{name}": channels_last(tensor[member]) for name, tensor in body.items()}
        features.append(torch.cat([functional_call(network, own, (batch,)) for batch in batches]))
    return torch.stack(features)


def channels_last(tensor: Tensor) -> Tensor:
    return tensor.contiguous(memory_format=torch.channels_last) if tensor.ndim == 4 else tensor
