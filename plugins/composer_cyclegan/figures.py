"""What a translation shows of itself: its losses, and kernels before and after."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor

from composer import Lines, Tiles

COLUMNS = 8
"""Tiles in a row."""


def loss_curves(name: str, epochs: Sequence[Mapping[str, float]]) -> Lines:
    """One curve per loss that plays a part."""
    return Lines(
        title=f"CycleGAN losses, {name}",
        series={loss: [losses[loss] for losses in epochs] for loss in epochs[0]},
        x_label="epoch",
        y_label="loss, unweighted",
        logarithmic=True,
    )


def kernel_tiles(title: str, rows: Sequence[tuple[str, Tensor]]) -> Tiles:
    """One row per (label, kernels [O, I, kH, kW]): the first outputs' kernels on the first input.

    Kernels on three inputs are drawn on all of them, in colour: those of a first layer look at red, green and blue.
    """
    return Tiles(
        title=title,
        values=[_tiles(kernels) for _, kernels in rows],
        rows=[label for label, _ in rows],
    )


def _tiles(kernels: Tensor) -> Sequence[Sequence[Sequence[float | Sequence[float]]]]:
    is_linear = kernels.shape[-2:] == (1, 1)
    if kernels.shape[1] == 3 and not is_linear:
        coloured: list[list[list[Sequence[float]]]] = kernels[:COLUMNS].permute(0, 2, 3, 1).tolist()
        return coloured
    # A linear layer's matrix says more than single numbers; 32 rows and columns of it are enough to see.
    tiles = kernels[None, :32, :32, 0, 0] if is_linear else kernels[:COLUMNS, 0]
    pictures: list[list[list[float]]] = tiles.tolist()
    return pictures
