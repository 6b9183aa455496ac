"""timm's own networks, untrained, and what timm says of each."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import timm
import torch
from torch import Tensor

from composer import ComposerError

FAILURES = (AssertionError, AttributeError, IndexError, KeyError, RuntimeError, TypeError, ValueError)
"""What timm's code raises where it was not meant for what it is given."""
RENAMINGS = (
    "checkpoint_filter_fn",
    "_filter_fn",
    "pretrained_filter_fn",
    "_filter_torchvision_pretrained",
    "checkpoint_filter_fn_classifier",
)
"""What timm's modules call the function that brings older and foreign names of weights up to date."""


def whole_network(model: str, size: int | None, outputs: int) -> Any:
    """timm's own network, untrained. size: None for the usual."""
    # Networks that attend to fixed places have to know the size; the others do not take it.
    sized = {"img_size": size} if size is not None and takes_size(model) else {}
    try:
        return timm.create_model(model, pretrained=False, num_classes=outputs, **sized)
    except FAILURES as error:
        raise ComposerError(f"timm: {model} of {size or 'usual'} pixels cannot be built: {reason(error)}") from error


def reason(error: Exception) -> str:
    """The first line of what an exception says, or its kind where it says nothing."""
    return (str(error).splitlines() or [type(error).__name__])[0]


@cache
def takes_size(model: str) -> bool:
    """Whether the network is built for one size of pictures."""
    try:
        with torch.device("meta"):
            timm.create_model(model, pretrained=False, img_size=usual_size(model))
    except FAILURES:  # most networks take no such argument; a few pass it on to a part that does not
        return False
    return True


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


def todays_names(model: str, size: int, state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The state dict under the names that the installed timm uses, where timm knows how they were called before."""
    network = _on_meta(model, size)
    wanted = {name for name, _ in network.named_parameters()}
    rename = _renaming(model)
    if rename is None or wanted <= state.keys():
        return dict(state)
    try:
        renamed = rename(dict(state), network)
    except FAILURES:  # a part of a file, or another network's: it says by itself what is missing
        return dict(state)
    better = len(wanted & renamed.keys()) > len(wanted & state.keys())
    return dict(renamed) if better else dict(state)


def _renaming(model: str) -> Callable[[dict[str, Tensor], Any], Mapping[str, Tensor]] | None:
    module = sys.modules[timm.model_entrypoint(model).__module__]
    return next((getattr(module, name) for name in RENAMINGS if hasattr(module, name)), None)


@cache
def _on_meta(model: str, size: int) -> Any:
    with torch.device("meta"):
        return whole_network(model, size, outputs=2)
