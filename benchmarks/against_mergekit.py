"""ResNet-50s merged by composer and by mergekit: time, memory and the difference; writes a block of docs/merging.md.

    python -m venv /tmp/mk
    /tmp/mk/bin/pip install -e '.[torchvision]' && /tmp/mk/bin/pip install --no-deps mergekit
    /tmp/mk/bin/python benchmarks/against_mergekit.py

A base and two networks near it, all drawn at random by a seed. Both begin with state dicts in memory and end with one.
composer's time and memory are those of its assemblers, with all that they check before they merge: only the file of
the base is read beforehand.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import torch
from merging import OTHER, PAGE, machine, replaced
from safetensors.torch import load_file, save_file
from torch import Tensor

from composer import ComposedModel, Population, Preprocessing, Run
from composer_merging import AlignedMean, TaskArithmetic, Ties
from composer_merging.aligned import aligned_mean  # noqa: F401  # loaded before the clock runs
from composer_merging.task_vectors import from_weights, least_of
from composer_torchvision import Torchvision

NETWORK = Torchvision(model="resnet50")
BEGIN, END = OTHER
SCALE, KEEP = 0.4, 0.25
"""KEEP of every tensor is a whole number of its entries, so that rounding plays no part."""
BASE, FIRST, SECOND = "base", "first", "second"
SIDES = "ours", "theirs"
NOISE = 1e-6
STATISTICS = ("running_mean", "running_var", "num_batches_tracked")

State = dict[str, Tensor]


@dataclass(frozen=True)
class Way:
    """One way of merging in composer's words and in mergekit's; the options mean the same in both."""

    title: str
    ours: AlignedMean | TaskArithmetic | Ties
    theirs: str
    parameters: Mapping[str, float]


WAYS = {
    "mean": Way(
        "mean",
        AlignedMean(by="nothing", head="mean", recalibrate=False),
        "linear",
        {"weight": 1.0},
    ),
    "task_arithmetic": Way(
        f"task arithmetic, scale {SCALE:g}",
        TaskArithmetic(scale=SCALE, head="merge", recalibrate=False),
        "task_arithmetic",
        {"weight": 1.0, "lambda": SCALE},
    ),
    "ties": Way(
        f"TIES, {100 * KEEP:.0f} % of every tensor kept",
        Ties(keep=KEEP, trim="tensor", head="merge", recalibrate=False),
        "ties",
        {"weight": 1.0, "density": KEEP},
    ),
}


@dataclass(frozen=True)
class Found:
    """Of one way, for both sides: processor seconds of each round, and memory in MiB; how far the results differ."""

    seconds: Mapping[str, Sequence[float]]
    memory: Mapping[str, Mapping[str, float]]
    difference: float
    border: int


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=11, help="how often each is timed, in turn")
    parser.add_argument("--output", type=Path, default=PAGE, help="page whose block is written")
    parser.add_argument("--alone", help="only merge once and print the memory, such as ours:mean; for the command")
    parser.add_argument("--folder", type=Path, help="with the networks, for `--alone`")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.alone:
        who, name = options.alone.split(":")
        print(json.dumps(alone(who, name, options.folder)))
        return
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        for name, state in drawn().items():
            save_file(state, folder / f"{name}.safetensors")
        found = {name: compared(name, folder, options.rounds) for name in WAYS}
    page = options.output.read_text(encoding="utf-8")
    options.output.write_text(replaced(page, block(found, options.rounds), BEGIN, END), encoding="utf-8")
    print(options.output)


def drawn() -> dict[str, State]:
    """The base, and two networks all of whose weights differ from it a little."""
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        base = NETWORK.build(outputs=1000).state_dict()

    def moved(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor.clone()
        return tensor + 0.01 * torch.randn(tensor.shape, generator=generator)

    return {BASE: base, **{name: {key: moved(own) for key, own in base.items()} for name in (FIRST, SECOND)}}


def job(who: str, name: str, folder: Path) -> Callable[[], State]:
    """Merges networks that are in memory."""
    way = WAYS[name]
    base, *states = (read(folder / f"{name}.safetensors") for name in (BASE, FIRST, SECOND))
    if who == "ours":
        parents = [population(state) for state in states]

        def ours() -> State:
            (part,) = assembled(way.ours, base, parents).parts
            return {key: tensor[0] for key, tensor in part.weights.items()}

        return ours
    merge_state_dicts = import_module("mergekit.merge_methods").merge_state_dicts  # installed for this benchmark alone
    models = dict(zip((FIRST, SECOND), states, strict=True))
    with_base = {} if isinstance(way.ours, AlignedMean) else {BASE: base}

    def theirs() -> State:
        merged: State = merge_state_dicts(
            {**with_base, **models}, way.theirs, parameters=way.parameters, base=BASE if with_base else None
        )
        return merged

    return theirs


def read(file: Path) -> State:
    """Tensors in memory, and not in the file."""
    return {name: tensor.clone() for name, tensor in load_file(file).items()}


def assembled(method: AlignedMean | TaskArithmetic | Ties, base: State, parents: Sequence[Population]) -> ComposedModel:
    """As the assembler does, but that the base was read before."""
    if isinstance(method, AlignedMean):
        return method.assemble(None, parents, Run())
    return from_weights(method, base, "", parents, (1.0,) * len(parents), Run())


def population(state: State) -> Population:
    weights = {name: tensor[None] for name, tensor in state.items()}
    prepared = Preprocessing(NETWORK.input_size, NETWORK.mean, NETWORK.std)
    return Population("thing", NETWORK, weights, ("network",), prepared, outputs=(0,))


def compared(name: str, folder: Path, rounds: int) -> Found:
    memory = {who: measured(who, name, folder) for who in SIDES}
    jobs = {who: job(who, name, folder) for who in SIDES}
    apart = differences({who: work() for who, work in jobs.items()}, name, folder)  # once before the clock runs
    seconds: dict[str, list[float]] = {who: [] for who in SIDES}
    for number in range(rounds):
        for who in SIDES[:: 1 if number % 2 else -1]:
            begin = time.process_time()
            jobs[who]()
            seconds[who].append(time.process_time() - begin)
    print(name, seconds, memory, apart, flush=True)
    return Found(seconds, memory, *apart)


def differences(results: Mapping[str, State], name: str, folder: Path) -> tuple[float, int]:
    """The largest difference between learned weights; how many stand at the border of what TIES keeps.

    Of changes of the same size as the smallest that is kept composer keeps all, and mergekit some: they are left out of
    the difference.
    """
    base, *states = (load_file(folder / f"{name}.safetensors") for name in (BASE, FIRST, SECOND))
    largest, border = 0.0, 0
    for key, own in results["ours"].items():
        if key.endswith(STATISTICS):
            continue
        gap = (own - results["theirs"][key]).abs()
        if name == "ties":
            sizes = [(state[key] - base[key]).abs() for state in states]
            doubtful = torch.stack([size == least_of(size.flatten().clone(), KEEP) for size in sizes]).any(0)
            border += int((gap[doubtful] > NOISE).sum())
            gap[doubtful] = 0.0
        largest = max(largest, float(gap.max()))
    return largest, border


def measured(who: str, name: str, folder: Path) -> dict[str, float]:
    """What a process of its own says."""
    command = [sys.executable, __file__, "--alone", f"{who}:{name}", "--folder", str(folder)]
    told: dict[str, float] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return told


def alone(who: str, name: str, folder: Path) -> dict[str, float]:
    """The most memory of this process in MiB, as a whole and beyond what it held before it merged (on Linux).

    getrusage would not do: a process begins with the peak of the one that started it.
    """
    work = job(who, name, folder)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak is from now on
    before = held()
    result = work()
    assert result
    return {"beyond": held() - before, "whole": held()}


def held() -> float:
    """The most memory that this process has held since its peak was set back, in MiB."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def block(found: Mapping[str, Found], rounds: int) -> str:
    """In Markdown."""
    paragraphs = [
        f"Written by `python benchmarks/against_mergekit.py --rounds {rounds}` ({machine()}, mergekit "
        f"{version('mergekit')}), whose first lines say how to install it. Two ResNet-50 of torchvision with random "
        "weights, merged by composer's assemblers and by mergekit's `merge_state_dicts`, on one thread.",
        "\n".join(table(found)),
        f"Seconds of processor time, the median of {rounds} rounds in turn; of the ratios in each round the median and "
        "the range. Memory is the most that a process of its own held beyond what it did before it merged, in brackets "
        "as a whole. composer's include its checks: that all weights are finite, and that the networks come from the "
        "base. The difference is that of learned weights: running statistics are no part of what TIES is for, and "
        "composer keeps variances positive.",
        verdict(found),
    ]
    filled = [text if text.startswith("|") else _filled(text) for text in paragraphs]
    return BEGIN + "## Beside mergekit\n" + "\n\n".join(filled) + "\n" + END


def table(found: Mapping[str, Found]) -> Iterator[str]:
    yield "| | composer, s | mergekit, s | composer / mergekit | composer, MiB | mergekit, MiB | largest difference |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: | ---: |"
    for name, own in found.items():
        each = ratios(own)
        seconds = " | ".join(f"{statistics.median(own.seconds[who]):.3f}" for who in SIDES)
        memory = " | ".join(f"{own.memory[who]['beyond']:.0f} ({own.memory[who]['whole']:.0f})" for who in SIDES)
        ratio = f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"
        yield f"| {WAYS[name].title} | {seconds} | {ratio} | {memory} | {own.difference:.1g} |"


def ratios(own: Found) -> list[float]:
    return [ours / theirs for ours, theirs in zip(*(own.seconds[who] for who in SIDES), strict=True)]


def verdict(found: Mapping[str, Found]) -> str:
    """In sentences that follow from the numbers."""
    slower = [WAYS[name].title for name, own in found.items() if statistics.median(ratios(own)) > 1]
    larger = [
        WAYS[name].title for name, own in found.items() if own.memory["ours"]["beyond"] > own.memory["theirs"]["beyond"]
    ]
    border = sum(own.border for own in found.values())
    largest = max(own.difference for own in found.values())
    return (
        f"composer is slower in {listed(slower)} and takes more memory to merge in {listed(larger)}. The results "
        f"differ by {largest:.1g} at most, but for {border:,} weights at the border of what TIES keeps: of changes of "
        "exactly the same size composer keeps all, mergekit as many as fit."
    )


def listed(items: Sequence[str]) -> str:
    return " and ".join(items) or "none"


def _filled(text: str) -> str:
    return textwrap.fill(text, 119, break_on_hyphens=False)


if __name__ == "__main__":
    main()
