"""Pictures: names, labels, and pixels at whatever size is asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from composer.data.expressions import Expression, cell_name
from composer.errors import ComposerError

if TYPE_CHECKING:
    from composer.data.pooling import FeaturePool

Decoder = Callable[[int], Tensor]


class Keeper(Protocol):
    """A place for tensors that are worth keeping beside pictures, so that no later run computes them again."""

    def kept(self, name: str) -> Mapping[str, Tensor] | None:
        """What was kept under a name, or None."""

    def keep(self, name: str, tensors: Mapping[str, Tensor]) -> None:
        """Keeps tensors under a name."""


class Images:
    """N pictures, decoded once per size asked for.

    names: one per picture. labels: concept -> bool [N]. pixels: uint8 [N, 3, S, S], or a function
    from a size S to such a tensor. Pictures given as pixels are resized as PIL does (bilinear, antialiased).
    expression: what is asked for of the labelled concepts; left out, all of them at once.
    """

    def __init__(
        self,
        names: Sequence[str],
        labels: Mapping[str, Sequence[bool] | NDArray[np.bool_]],
        pixels: Tensor | Decoder,
        expression: Expression | None = None,
    ) -> None:
        self.names = tuple(names)
        self.labels = {concept: np.asarray(values, dtype=np.bool_) for concept, values in labels.items()}
        for concept, values in self.labels.items():
            if values.shape != (len(self.names),):
                raise ValueError(f"labels of {concept!r} have shape {values.shape}, not ({len(self.names)},)")
        self.asked = expression
        self.decoded: dict[int, Tensor] = {}
        self.keeper: Keeper | None = None
        """Keeps sizes that are decoded later, once the pictures lie in the store."""
        self.pool: FeaturePool | None = None
        """Features of the same files in other sets of pictures, where somebody works on many such sets."""
        if isinstance(pixels, Tensor):
            if pixels.dtype != torch.uint8 or pixels.ndim != 4 or pixels.shape[1] != 3 or len(pixels) != len(self):
                met = f"{pixels.dtype} {list(pixels.shape)}"
                raise ValueError(f"pixels must be uint8 [{len(self)}, 3, S, S], not {met}")
            self.native: Tensor | None = pixels
            self.decode: Decoder = _resizer(pixels)
            self.decoded[pixels.shape[-1]] = pixels
        else:
            self.native = None
            self.decode = pixels

    def __len__(self) -> int:
        return len(self.names)

    @property
    def concepts(self) -> tuple[str, ...]:
        """What the pictures are labelled with, in the order of the labels."""
        return tuple(self.labels)

    def at(self, size: int) -> Tensor:
        """Pixels uint8 [N, 3, size, size]."""
        if size not in self.decoded:
            self.decoded[size] = self.decode(size) if self.keeper is None else self._kept_or_decoded(self.keeper, size)
        return self.decoded[size]

    def _kept_or_decoded(self, keeper: Keeper, size: int) -> Tensor:
        known = keeper.kept(f"size-{size}")
        if known is not None:
            return known["pixels"]
        pixels = self.decode(size)
        keeper.keep(f"size-{size}", {"pixels": pixels})
        return pixels

    def still_there(self) -> bool:
        """Whether the files that pixels are decoded from are where they were."""
        return all(Path(file).exists() for file in getattr(self.decode, "files", ()))

    @property
    def expression(self) -> Expression:
        """What is asked for of the labelled concepts; ValueError where there are none."""
        return Expression.all_of(self.labels) if self.asked is None else self.asked

    def asked_for(self, expression: Expression) -> Images:
        """The same pictures, asked for something else; the pixels are shared."""
        other = copy(self)
        other.asked = expression
        return other

    def as_one_concept(self, name: str) -> Images:
        """The same pictures, labelled with what is asked for as if that were a concept; the pixels are shared."""
        other = copy(self)
        other.labels, other.asked = {name: self.target}, Expression.of(name)
        return other

    @property
    def target(self) -> NDArray[np.bool_]:
        """bool [N]: True where a picture shows what is asked for."""
        return self.expression.holds(self.labels)

    @property
    def cells(self) -> tuple[str, ...]:
        """The cell of each picture: the concepts it shows joined by `+`, or `none`."""
        return tuple(
            cell_name(concept for concept in self.concepts if self.labels[concept][index]) for index in range(len(self))
        )

    def select(self, indices: Sequence[int] | NDArray[np.int_]) -> Images:
        """The pictures at `indices`, in that order; of pictures that follow one another the pixels are shared."""
        chosen = np.asarray(indices, dtype=np.int64)
        index = _slice(chosen) or torch.from_numpy(chosen)
        return Images(
            [self.names[i] for i in chosen],
            {concept: values[chosen] for concept, values in self.labels.items()},
            lambda size: self.at(size)[index],
            self.asked,
        )


def _slice(chosen: NDArray[np.int64]) -> slice | None:
    """The same indices as a slice, where each is one more than that before it."""
    if len(chosen) == 0 or chosen[0] < 0 or (np.diff(chosen) != 1).any():
        return None
    return slice(int(chosen[0]), int(chosen[-1]) + 1)


def _resizer(pixels: Tensor) -> Decoder:
    def resize(size: int) -> Tensor:
        from PIL import Image  # only where a second size is asked for

        resized = [
            np.asarray(Image.fromarray(picture).resize((size, size), Image.Resampling.BILINEAR))
            for picture in pixels.permute(0, 2, 3, 1).numpy()
        ]
        return torch.from_numpy(np.stack(resized)).permute(0, 3, 1, 2).contiguous()

    return resize


def require_both_classes(images: Images, concept: str, where: str) -> None:
    """Raises ComposerError unless `images` holds pictures with and without `concept`."""
    shown = int(images.labels[concept].sum())
    if shown == 0 or shown == len(images):
        missing = "no picture" if shown == 0 else "only pictures"
        raise ComposerError(f"{where}: {missing} of {concept!r} among {len(images)}; both kinds are needed")
