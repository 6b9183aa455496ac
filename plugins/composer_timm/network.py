"""A network of timm cut before its last linear layer."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import timm
import torch
from torch import Tensor, nn

from composer import ComposerError
from composer_timm import Timm


class Network(nn.Module):
    """`body` is timm's network without its last linear layer, and `head` is such a layer."""

    def __init__(self, architecture: Timm, outputs: int) -> None:
        super().__init__()
        self.body = whole_network(architecture.model, architecture.size, outputs=0)
        self.head = nn.Linear(self.body.head_hidden_size, outputs)

    def features(self, pixels: Tensor) -> Tensor:
        """float32 [N, D] from normalised pixels [N, 3, S, S]."""
        features: Tensor = self.body(pixels)
        return features

    def forward(self, pixels: Tensor) -> Tensor:
        logits: Tensor = self.head(self.features(pixels))
        return logits


def own_state(architecture: Timm, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm's names become `body.` and `head.` ones."""
    if saved_by_composer(state, f"body.{last_name(architecture.model)}.weight"):
        return dict(state)
    return own_names(last_name(architecture.model), state)


def saved_by_composer(state: Mapping[str, Tensor], last: str) -> bool:
    """Whether all names are composer's own. Other wrappers and networks have a `body` too, with a head inside."""
    own = all(name.startswith("body.") or name in ("head.weight", "head.bias") for name in state)
    return own and any(name.startswith("body.") for name in state) and last not in state


def usual_name(architecture: Timm, name: str) -> str:
    """timm's own name: `head.weight` -> `fc.weight`."""
    if name.startswith("head."):
        return f"{last_name(architecture.model)}{name.removeprefix('head')}"
    return name.removeprefix("body.")


@cache
def require_same_logits(model: str, size: int) -> None:
    """Raises ComposerError where the network, cut before its last layer, gives other outputs than timm's own."""
    last = last_name(model)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.default_generator.manual_seed(0)
        whole = whole_network(model, size, outputs=3).eval()
        torch.nn.init.normal_(whole.get_submodule(last).weight, std=0.1)
        cut = Network(Timm(model=model, size=size), outputs=3).eval()
        state = own_names(last, whole.state_dict())
        try:
            cut.load_state_dict(state)
            pixels = torch.rand(1, 3, size, size)
            wanted, met = whole(pixels), cut(pixels)
        except (AssertionError, AttributeError, RuntimeError, TypeError, ValueError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise ComposerError(
                f"timm: {model} of {size} pixels cannot be cut before its last layer: {reason}"
            ) from error
    if wanted.shape != met.shape or not torch.allclose(wanted, met, rtol=1e-4, atol=1e-4 * float(wanted.abs().max())):
        raise ComposerError(
            f"timm: model: composer's cut of {model} gives other outputs than timm's own: not supported"
        )


def own_names(last: str, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """timm's names become `body.` ones, and those of the layer `last` `head.` ones."""
    return {
        f"head.{name.removeprefix(f'{last}.')}" if name.startswith(f"{last}.") else f"body.{name}": tensor
        for name, tensor in state.items()
    }


@cache
def last_name(model: str) -> str:
    """Name of a network's last layer, such as `fc`; ComposerError unless it is one linear layer."""
    with torch.device("meta"):
        network = whole_network(model, None, outputs=2)
    last = network.get_classifier()
    if not isinstance(last, nn.Linear):
        raise ComposerError(f"timm: model: {model} does not end with one linear layer, but {type(last).__name__}")
    name: str = next(name for name, module in network.named_modules() if module is last)
    return name


def usual_size(model: str) -> int:
    """Height and width in pixels of the pictures that the network was made for."""
    size: int = settings(model)["input_size"][-1]
    return size


@cache
def settings(model: str) -> dict[str, Any]:
    """timm's `input_size`, `mean` and `std` of a model, by its tag."""
    with torch.device("meta"):
        network = whole_network(model, None, outputs=2)
    found: dict[str, Any] = timm.data.resolve_model_data_config(network)
    return found


def channels(model: str, what: str) -> tuple[float, float, float]:
    """timm's `mean` or `std` of the model's three channels."""
    red, green, blue = settings(model)[what]
    return red, green, blue


def whole_network(model: str, size: int | None, outputs: int) -> Any:
    """timm's own network, untrained; with no outputs it gives features. size: None for the usual."""
    # Networks that attend to fixed places have to know the size; the others do not take it.
    sized = {"img_size": size} if size is not None and takes_size(model) else {}
    try:
        return timm.create_model(model, pretrained=False, num_classes=outputs, **sized)
    except (AssertionError, RuntimeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ComposerError(f"timm: {model} of {size or 'usual'} pixels cannot be built: {reason}") from error


@cache
def takes_size(model: str) -> bool:
    """Whether the network is built for one size of pictures."""
    with torch.device("meta"):
        network = timm.create_model(model, pretrained=False)
    return hasattr(getattr(network, "patch_embed", None), "img_size")
