"""The kind of component that builds networks.

Nothing here imports torch when it is imported, so that recipes are read and checked quickly.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pydantic import ValidationError

from composer.component import Component
from composer.errors import ComposerError

if TYPE_CHECKING:
    from torch import Size, Tensor, nn

    from composer.networks.couplings import Couplings


@dataclass(frozen=True)
class Footprint:
    """Numbers that one network holds: its parameters; for one picture, its features and what training keeps of it."""

    parameters: int
    features: int
    activations: int


class Architecture(Component):
    """A family of networks: how to build one, and how to run many with stacked weights."""

    kind: ClassVar[str] = "architecture"
    noun: ClassVar[str] = "architecture"
    head: ClassVar[str]
    """Name of the last linear layer: `{head}.weight` [K, D], `{head}.bias` [K]."""
    mean: ClassVar[tuple[float, float, float]] = (0.5, 0.5, 0.5)
    """What is usually subtracted from pixels in [0, 1], per channel; a file of weights does not say."""
    std: ClassVar[tuple[float, float, float]] = (0.5, 0.5, 0.5)
    """What they are usually divided by then."""
    width_options: ClassVar[tuple[str, ...]] = ()
    """Options that say how many units layers have; empty where the network has no width to choose."""

    @property
    def input_size(self) -> int:
        """Height and width of the pictures that it takes, in pixels: its option `size`, unless it says otherwise."""
        size = getattr(self, "size", None)
        if not isinstance(size, int):
            raise ComposerError(f"architecture {self.name!r} does not say its input size: it has no option 'size'")
        return size

    def require_usable(self) -> None:
        """Raises ComposerError where the network cannot take its own input, or answers otherwise than its library's.

        Called before a file is read. Only an architecture that builds another library's networks has to look.
        """

    def assumption(self) -> str:
        """What reading a file takes for granted because no file says it, and how to say otherwise; mostly nothing."""
        return ""

    def scaled(self, width: float) -> Architecture:
        """The same network with `width` times as many units, rounded, in every layer but the head.

        ComposerError where it has no width to choose, or would have a layer without units or one too wide.
        """
        if width == 1:
            return self
        if not self.width_options:
            raise ComposerError(f"width: {width:g}: architecture {self.name!r} has no width to choose; take width 1")
        options = {name: getattr(self, name) for name in type(self).model_fields}
        for name in self.width_options:
            own = options[name]
            options[name] = tuple(round(width * each) for each in own) if isinstance(own, tuple) else round(width * own)
        try:
            return type(self)(**options)
        except ValidationError as error:
            first = error.errors()[0]
            raise ComposerError(
                f"width: {width:g} times as wide, architecture {self.name!r} has {first['loc'][0]} {first['input']}: "
                f"{first['msg'].lower()}"
            ) from None

    def blueprint(self, outputs: int = 1) -> nn.Module:
        """The network without numbers (on the meta device), built once: to look at, and not to be changed."""
        from composer.networks.shapes import blueprint  # imports torch

        return blueprint(self, outputs)

    def shapes(self, outputs: int = 1) -> Mapping[str, Size]:
        """The shape of every parameter and buffer in a state dict of `build(outputs)`, without counts of steps."""
        from composer.networks.shapes import network_shapes  # imports torch

        return network_shapes(self.blueprint(outputs))

    def misfit(self, weights: Mapping[str, Tensor], *, head: bool = True) -> str:
        """Why stacked weights [M, ...] are not those of this network, in words; empty where they are.

        It takes any number of outputs. head: whether the head must be there; False leaves it out of account.
        """
        from composer.networks.shapes import misfit  # imports torch

        return misfit(self, weights, head)

    def couplings(self) -> Couplings:
        """Which axes of which tensors move together when units change places; traced and proved once.

        ComposerError, naming the module, where the network cannot be followed or the proof fails.
        """
        from composer.networks.couplings import couplings_of  # imports torch

        return couplings_of(self)

    def footprint(self) -> Footprint | None:
        """How large a network of two outputs is, for estimates of memory; None where nobody knows. No torch in here."""
        return None

    def unfilled(self) -> str:
        """What of the body kernels and their biases cannot fill, in words; empty where they fill all of it.

        Builds the network without weights; an architecture that knows better answers without torch.
        """
        from composer.networks.layers import unfilled  # imports torch

        return unfilled(self)

    @abstractmethod
    def build(self, outputs: int) -> nn.Module:
        """A fresh network with `features(x: [N, 3, S, S]) -> [N, D]` and `forward(x) -> [N, outputs]`."""

    def own_state(self, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """A file's tensors under the names that `build` uses, where files call them otherwise."""
        return state

    def usual_name(self, name: str) -> str:
        """What files call the parameter that `build` calls `name`: for messages."""
        return name

    def stacked_features(self, weights: Mapping[str, Tensor], pixels: Tensor, *, training: bool = False) -> Tensor:
        """Features [M, N, D] of M stacked members on [N, 3, S, S] normalised pixels.

        `weights` may lack the head. An architecture may do this faster than one member at a time.
        training: each member as its network is after `train()`: batch norm uses the statistics of these pixels, and
        the running ones in `weights` are updated in place.
        """
        from composer.networks.stacking import features_one_by_one  # imports torch

        return features_one_by_one(self, weights, pixels, training)
