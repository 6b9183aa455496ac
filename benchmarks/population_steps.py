"""How long a step of a population takes: stacked as `train` does it, member by member, and under torch.vmap.

    python benchmarks/population_steps.py --markdown docs/steps.md

Each does the same work: forward pass in training mode, cross-entropy, backward pass, one step of Adam, on one minibatch
for all members. The ways take turns, and the fastest repeat of each counts. Seconds are the processor's, of all threads
together, so that other work on the machine does not count; with `--device cuda` or `--wall` they are the clock's.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.func import functional_call, grad, stack_module_state, vmap
from torch.nn import functional as F

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


def stacked(network: Architecture, members: int, pixels: Tensor, classes: Tensor) -> Step:
    """As the model source `train` does it."""
    groups = learners(network, range(members), Run(seed=1, device=pixels.device.type))
    optimiser = torch.optim.Adam([each for group in groups for each in group.values() if each.requires_grad])

    def step() -> None:
        for group in groups:
            logits = stacked_logits(network, group, pixels, training=True)
            loss = F.cross_entropy(logits.mT, classes.expand(len(logits), -1), reduction="none")
            torch.autograd.backward(loss.mean(1).sum())
        optimiser.step()
        optimiser.zero_grad()

    return step


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


WAYS = {"stacked": stacked, "loop": plain_loop, "vmap": vmapped}


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
                if name != "vmap":
                    raise
                fastest[name] = float("nan")
                continue
            if repeat:
                fastest[name] = min(fastest[name], clock() - started)
    return fastest


def row(name: str, members: int, taken: Mapping[str, float], batch: int) -> str:
    each = taken["stacked"] / (members * batch) * 1e3
    ratios = [
        f"{taken[way] / taken['stacked']:.2f}" if taken[way] == taken[way] else "refused" for way in ("loop", "vmap")
    ]
    return f"| {name} | {members} | {taken['stacked']:.4f} | {each:.4f} | {ratios[0]} | {ratios[1]} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--networks", nargs="+", choices=list(NETWORKS), default=list(NETWORKS))
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--markdown", type=Path, help="write the table here too")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--wall", action="store_true", help="seconds of the clock on the CPU too")
    arguments = parser.parse_args()
    on_gpu = arguments.device == "cuda"
    clock = finished_at if on_gpu else time.perf_counter if arguments.wall else time.process_time
    generator = torch.Generator().manual_seed(1)
    pixels = torch.randn(arguments.batch, 3, 32, 32, generator=generator).to(arguments.device)
    classes = torch.randint(2, (arguments.batch,), generator=generator).to(arguments.device)
    processor = f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} thread(s)"
    machine = f"{torch.cuda.get_device_name() if on_gpu else processor}, torch {torch.__version__}"
    lines = [
        f"Batch {arguments.batch}, {machine}, Python {platform.python_version()}; fastest of {arguments.repeats}.",
        "",
        "| network | members | stacked, s a step | ms a picture and member | loop / stacked | vmap / stacked |",
        "| --- | --: | --: | --: | --: | --: |",
    ]
    print("\n".join(lines), flush=True)
    for name in arguments.networks:
        for members in arguments.members:
            steps = {way: make(NETWORKS[name], members, pixels, classes) for way, make in WAYS.items()}
            lines.append(row(name, members, seconds(steps, arguments.repeats, clock), arguments.batch))
            print(lines[-1], flush=True)
    if arguments.markdown is not None:
        arguments.markdown.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
