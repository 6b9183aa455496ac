"""How fast the convolutions of several members are on a CPU, by every way that torch has for them.

    python benchmarks/convolutions.py

Forward and backward pass of one layer of some members on 64 pictures; the ways take turns, and the fastest of each
counts. Seconds are the processor's, so that other work on the machine does not count. The floor is the layer's
multiplications and additions at the speed of a product of two matrices of 2,048 x 2,048.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

PICTURES = 64
SIDE = 2048
"""Rows and columns of the matrices whose product says how fast the processor is."""


@dataclass(frozen=True)
class Layer:
    """A convolution of some members: channels in and out of one of them, pixels a side with their padding."""

    members: int
    inputs: int
    outputs: int
    side: int
    kernel: int

    @property
    def operations(self) -> int:
        """Multiplications and additions of one forward and two backward passes."""
        places = (self.side - self.kernel + 1) ** 2
        return 6 * PICTURES * self.members * self.inputs * self.outputs * self.kernel**2 * places


LAYERS = {
    "`cnn`, second layer, 8 members": Layer(8, 6, 16, 14, 5),
    "`cnn`, second layer, 4 members": Layer(4, 6, 16, 14, 5),
    "ResNet-20 of 8 filters, first stage, 2 members": Layer(2, 8, 8, 34, 3),
    "second stage": Layer(2, 16, 16, 18, 3),
    "third stage": Layer(2, 32, 32, 10, 3),
}


def grouped(layer: Layer, pixels: Tensor, weights: Tensor) -> Tensor:
    """One convolution in as many groups as there are members."""
    return F.conv2d(pixels, weights, groups=layer.members)


def one_by_one(layer: Layer, pixels: Tensor, weights: Tensor) -> Tensor:
    """A convolution for each member, in memory of its own."""
    pairs = zip(torch.split(pixels, layer.inputs, 1), torch.split(weights, layer.outputs), strict=True)
    return torch.cat([F.conv2d(own, kernels) for own, kernels in pairs], 1)


def products(layer: Layer, pixels: Tensor, weights: Tensor) -> Tensor:
    """The patches of all pictures as matrices, times the kernels: unfold and bmm."""
    patches = F.unfold(pixels, layer.kernel).view(PICTURES * layer.members, layer.inputs * layer.kernel**2, -1)
    kernels = weights.view(1, layer.members, layer.outputs, -1).expand(PICTURES, -1, -1, -1).flatten(0, 1)
    side = layer.side - layer.kernel + 1
    return torch.bmm(kernels, patches).view(PICTURES, -1, side, side)


WAYS: Mapping[str, tuple[Callable[[Layer, Tensor, Tensor], Tensor], torch.memory_format]] = {
    "grouped, channels_last": (grouped, torch.channels_last),
    "grouped, contiguous": (grouped, torch.contiguous_format),
    "one by one": (one_by_one, torch.channels_last),
    "unfold and bmm": (products, torch.contiguous_format),
}


def seconds(layer: Layer, repeats: int) -> tuple[dict[str, float], float]:
    """Of each way the fastest pass forward and backward; and the floor."""
    shape = (PICTURES, layer.members * layer.inputs, layer.side, layer.side)
    kernels = (layer.members * layer.outputs, layer.inputs, layer.kernel, layer.kernel)
    weights = torch.randn(kernels).requires_grad_()
    pixels = {
        name: torch.randn(shape).contiguous(memory_format=form).requires_grad_() for name, (_, form) in WAYS.items()
    }
    matrix = torch.randn(SIDE, SIDE)
    fastest, product = dict.fromkeys(WAYS, float("inf")), float("inf")
    for repeat in range(repeats + 1):  # the first call of each is slower
        started = time.process_time()
        torch.mm(matrix, matrix)
        product = min(product, time.process_time() - started)
        for name, (way, _) in WAYS.items():
            started = time.process_time()
            found = way(layer, pixels[name], weights)
            torch.autograd.backward(found, torch.ones_like(found))
            if repeat:
                fastest[name] = min(fastest[name], time.process_time() - started)
    return fastest, layer.operations * product / (2 * SIDE**3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    threads = torch.get_num_threads()
    print(f"{platform.processor() or platform.machine()}, {threads} thread(s), torch {torch.__version__}; ms\n")
    print(f"| layer | {' | '.join(WAYS)} | floor |")
    print(f"| --- |{' --: |' * (len(WAYS) + 1)}")
    for name, layer in LAYERS.items():
        fastest, floor = seconds(layer, repeats)
        cells = [f"{each * 1e3:.1f}" for each in (*fastest.values(), floor)]
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
