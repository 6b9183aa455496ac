"""How long a step of a population takes: stacked as `train` does it, member by member, and under torch.vmap.

    python benchmarks/population_steps.py --markdown docs/steps.md

Each does the same work: forward pass in training mode, cross-entropy, backward pass, one step of Adam, on one minibatch
for all members. The ways take turns, and the fastest repeat of each counts. Seconds are the processor's, of all threads
together, so that other work on the machine does not count; with `--device cuda` or `--wall` they are the clock's.

The floor of a step is its multiplications and additions at the speed of a product of two matrices of 2,048 x 2,048,
which takes turns with the steps. `--compile` adds `train`'s step under torch.compile, on a GPU also as CUDA graphs;
`--memory` measures memory in place of seconds.
"""

from __future__ import annotations

import argparse
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from composer import Architecture, Run
from composer_cifar_resnet import CifarResNet
from composer_cnn import CNN
from composer_training.seeing import stacked_logits
from composer_training.starting import learners
from composer_vit import ViT

NETWORKS: Mapping[str, Architecture] = {
    "cnn": CNN(),
    "resnet20 (8 filters)": CifarResNet(filters=8),
    "resnet20 (16 filters)": CifarResNet(),
    "vit (width 64)": ViT(),
}
Step = Callable[[], None]
SIDE = 2048
"""Rows and columns of the matrices whose product says how fast the processor is."""


def stacked(
    network: Architecture, members: int, pixels: Tensor, classes: Tensor, made: Callable[[Any], Any] = lambda loss: loss
) -> Step:
    """As the model source `train` does it. made: what the loss is wrapped in."""
    groups = learners(network, range(members), Run(seed=1, device=pixels.device.type))
    optimiser = torch.optim.Adam([each for group in groups for each in group.values() if each.requires_grad])

    @made
    def loss_of(group: dict[str, Tensor]) -> Tensor:
        logits = stacked_logits(network, group, pixels, training=True)
        return F.cross_entropy(logits.mT, classes.expand(len(logits), -1), reduction="none").mean(1).sum()

    def step() -> None:
        for group in groups:
            torch.autograd.backward(loss_of(group))
        optimiser.step()
        optimiser.zero_grad()

    return step


def compiled(network: Architecture, members: int, pixels: Tensor, classes: Tensor) -> Step:
    """The same, compiled."""
    return stacked(network, members, pixels, classes, torch.compile)


def replayed(network: Architecture, members: int, pixels: Tensor, classes: Tensor) -> Step:
    """The same, compiled into CUDA graphs."""
    return stacked(network, members, pixels, classes, partial(torch.compile, mode="reduce-overhead"))


def plain_loop(network: Architecture, members: int, pixels: Tensor, classes: Tensor) -> Step:
    """One network after the other."""
    networks = [network.build(2).to(pixels.device).train() for _ in range(members)]
    optimisers = [torch.optim.Adam(each.parameters()) for each in networks]

    def step() -> None:
        for each, optimiser in zip(networks, optimisers, strict=True):
            torch.autograd.backward(F.cross_entropy(each(pixels), classes))
            optimiser.step()
            optimiser.zero_grad()

    return step


def vmapped(network: Architecture, members: int, pixels: Tensor, classes: Tensor) -> Step:
    """torch.vmap over stacked parameters and buffers."""
    networks: list[nn.Module] = [network.build(2).to(pixels.device).train() for _ in range(members)]
    parameters, buffers = stack_module_state(networks)
    base = network.build(2).to("meta").train()

    def loss(own: dict[str, Tensor], held: dict[str, Tensor]) -> Tensor:
        return F.cross_entropy(functional_call(base, (own, held), (pixels,)), classes)

    gradients = vmap(grad(loss), randomness="different")
    optimiser = torch.optim.Adam(parameters.values())

    def step() -> None:
        found = gradients({name: tensor.detach() for name, tensor in parameters.items()}, buffers)
        for name, tensor in parameters.items():
            tensor.grad = found[name]
        optimiser.step()

    return step


def multiplied(network: Architecture, members: int, pixels: Tensor, classes: Tensor) -> Step:
    """A product of two matrices."""
    matrix = torch.randn(SIDE, SIDE, device=pixels.device)
    found = torch.empty_like(matrix)

    def step() -> None:
        torch.mm(matrix, matrix, out=found)

    return step


def operations(network: Architecture) -> int:
    """Multiplications and additions of one network's forward and backward pass on one picture."""
    body, pixels = network.build(2).train(), torch.randn(2, 3, 32, 32)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH):
        torch.autograd.backward(body(pixels).sum())
    return int(counter.get_total_flops() // len(pixels))


WAYS = {"stacked": stacked, "loop": plain_loop, "vmap": vmapped, "product": multiplied}
COMPILED = {"compiled": compiled, "replayed": replayed}
"""The second on a GPU alone, as CUDA graphs."""
MAY_FAIL = "vmap", *COMPILED


def finished_at() -> float:
    """The clock, once the GPU has done what it was given."""
    torch.cuda.synchronize()
    return time.perf_counter()


def seconds(steps: Mapping[str, Step], repeats: int, clock: Callable[[], float]) -> dict[str, float]:
    """The fastest of some repeats of each; nan for what torch refuses."""
    fastest = dict.fromkeys(steps, float("inf"))
    for repeat in range(repeats + 1):  # the first call of each kernel is slower
        for name, step in steps.items():
            try:
                started = clock()
                step()
            except RuntimeError:
                if name not in MAY_FAIL:
                    raise
                fastest[name] = float("nan")
                continue
            if repeat:
                fastest[name] = min(fastest[name], clock() - started)
    return fastest


def row(name: str, members: int, taken: Mapping[str, float], batch: int) -> str:
    each = taken["stacked"] / (members * batch)
    floor = operations(NETWORKS[name]) * taken["product"] / (2 * SIDE**3)
    others = [way for way in taken if way not in ("stacked", "product")]
    ratios = [f"{taken[way] / taken['stacked']:.2f}" if taken[way] == taken[way] else "refused" for way in others]
    numbers = [f"{taken['stacked']:.4f}", f"{each * 1e3:.4f}", f"{each / floor:.2f}", *ratios]
    return f"| {name} | {members} | {' | '.join(numbers)} |"


def peak() -> int:
    """Bytes of memory that this process held at most."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def memory_of(name: str, members: int, batch: int) -> int:
    """Bytes that two steps of a population add to what a process holds at most, in a process of its own."""
    given = [sys.executable, __file__, "--one", name, str(members), str(batch)]
    return int(subprocess.run(given, check=True, capture_output=True, text=True).stdout)


def added(name: str, members: int, batch: int) -> int:
    """The same in this process, which has done nothing else but one step of one network on one picture."""
    pixels, classes = torch.randn(batch, 3, 32, 32), torch.randint(2, (batch,))
    stacked(NETWORKS[name], 1, pixels[:2], classes[:2])()
    before = peak()
    step = stacked(NETWORKS[name], members, pixels, classes)
    step()
    step()
    return peak() - before


def memory_table(networks: Sequence[str], members: Sequence[int], batches: Sequence[int]) -> Iterator[str]:
    yield f"| network | members | {' | '.join(f'{batch} pictures, MB' for batch in batches)} |"
    yield f"| --- | --: |{' --: |' * len(batches)}"
    for name in networks:
        for count in members:
            held = [f"{memory_of(name, count, batch) / 1e6:.0f}" for batch in batches]
            yield f"| {name} | {count} | {' | '.join(held)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--markdown", type=Path, help="write the table here too")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--wall", action="store_true", help="seconds of the clock on the CPU too")
    parser.add_argument("--compile", action="store_true", help="also under torch.compile")
    parser.add_argument("--memory", action="store_true", help="memory of a step with 64 and 256 pictures, not seconds")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        name, members, batch = arguments.one
        print(added(name, int(members), int(batch)))
        return
    if arguments.memory:
        for line in memory_table(arguments.networks, arguments.members, (64, 256)):
            print(line, flush=True)
        return
    on_gpu = arguments.device == "cuda"
    also = [name for name in COMPILED if arguments.compile and (on_gpu or name == "compiled")]
    ways = WAYS | {name: COMPILED[name] for name in also}
    clock = finished_at if on_gpu else time.perf_counter if arguments.wall else time.process_time
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(arguments.batch, 3, 32, 32, generator=generator).to(arguments.device)
    classes = torch.randint(2, (arguments.batch,), generator=generator).to(arguments.device)
    processor = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} thread(s)"
    machine = f"{torch.cuda.get_device_name() if on_gpu else processor}, torch {torch.__version__}"
    product = {"product": multiplied(NETWORKS["cnn"], 1, pixels, classes)}
    speed = 2 * SIDE**3 / seconds(product, arguments.repeats, clock)["product"] / 1e9
    per_core = "" if on_gpu or arguments.wall else " a core"
    lines = [
        f"Batch {arguments.batch}, {machine}, Python {platform.python_version()}; fastest of {arguments.repeats}.",
        f"A float32 product of {SIDE:,} x {SIDE:,}: {speed:.0f} GFLOP/s{per_core}.",
        "",
        "| network | members | stacked, s a step | ms a picture and member | stacked / floor | loop / stacked "
        f"| vmap / stacked |{''.join(f' {name} / stacked |' for name in also)}",
        f"| --- | --: | --: | --: | --: | --: | --: |{' --: |' * len(also)}",
    ]
    print("\n".join(lines), flush=True)
    for name in arguments.networks:
        for members in arguments.members:
            steps = {way: make(NETWORKS[name], members, pixels, classes) for way, make in ways.items()}
            lines.append(row(name, members, seconds(steps, arguments.repeats, clock), arguments.batch))
            print(lines[-1], flush=True)
    if arguments.markdown is not None:
        arguments.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
