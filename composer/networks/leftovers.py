"""What lies in a file beside a network's body: its head, under whatever name, and numbers that change its input."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from composer.networks.tensor_names import PIXEL_MEANS, PIXEL_STDS, some

Colours = tuple[float, float, float]


@dataclass(frozen=True)
class FoundHead:
    """A linear layer [K, D] with its bias, and the names that it has in the file."""

    weight: Tensor | None = None
    bias: Tensor | None = None
    names: tuple[str, ...] = ()
    problem: str = ""
    """Why there is none, where several layers could be meant."""


def find_head(rest: Mapping[str, Tensor], usual: str, features: int) -> FoundHead:
    """The layer called `usual`; else the only linear layer there, where it takes the body's features.

    A head of several layers is none: what stands between them (ReLU, GELU, ...) is not in a file.
    """
    if f"{usual}.weight" in rest:
        return _head(rest, usual)
    linear = [name.removesuffix(".weight") for name, t in rest.items() if name.endswith(".weight") and t.ndim == 2]
    if len(linear) == 1 and rest[f"{linear[0]}.weight"].shape[1] == features:
        return _head(rest, linear[0])
    if len(linear) > 1:
        return FoundHead(
            problem=f"a head of several layers ({some(linear)}) is not read, since what stands between them is not in "
            "the file"
        )
    return FoundHead()


def _head(rest: Mapping[str, Tensor], name: str) -> FoundHead:
    """With a bias of zeros where the layer has none."""
    weight, bias = rest[f"{name}.weight"], rest.get(f"{name}.bias")
    zeros = weight.new_zeros(weight.shape[:1]) if bias is None else bias
    return FoundHead(weight, zeros, tuple(each for each in (f"{name}.weight", f"{name}.bias") if each in rest))


def pixel_normalisation(rest: Mapping[str, Tensor]) -> tuple[tuple[Colours, Colours] | None, dict[str, Tensor]]:
    """(mean and std of pixels in [0, 1], what else there is): of two vectors of three called so, and else None."""
    for name, tensor in rest.items():
        start, _, leaf = name.rpartition(".")
        if leaf not in PIXEL_MEANS or tensor.is_meta:
            continue
        beside = f"{start}.{PIXEL_STDS[PIXEL_MEANS.index(leaf)]}".lstrip(".")
        std = rest.get(beside)
        if std is None or tensor.numel() not in (1, 3) or std.numel() not in (1, 3):
            continue
        mean_values, std_values = _colours(tensor), _colours(std)
        if max(mean_values) > 1 or max(std_values) > 1:  # of pixels in 0..255
            mean_values, std_values = _over_255(mean_values), _over_255(std_values)
        if min(mean_values) >= 0 and max(mean_values) <= 1 and min(std_values) > 0 and max(std_values) <= 1:
            others = {other: t for other, t in rest.items() if other not in (name, beside)}
            return (mean_values, std_values), others
    return None, dict(rest)


def _colours(tensor: Tensor) -> Colours:
    red, green, blue = tensor.detach().double().flatten().expand(3).tolist()
    return red, green, blue


def _over_255(colours: Colours) -> Colours:
    red, green, blue = colours
    return red / 255, green / 255, blue / 255


def listed(rest: Mapping[str, Tensor]) -> str:
    """Names with shapes."""
    return some(f"{name} {list(tensor.shape)}" for name, tensor in rest.items())
