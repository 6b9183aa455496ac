"""How much faster `train` is than the plain loop over members.

    python benchmarks/train_population.py

Both do the same work: the same initial weights, samples, minibatches, schedule and number of steps, then the accuracy
on the training pictures. The two take turns, and the fastest of each counts: whatever else the machine does only adds
time. The ratio is to be 2 or more at 32 members on 2 CPU cores.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from composer import Images, Lines, Preprocessing, Run
from composer_training import Train
from composer_training.training import minibatches, sample, schedule

CONCEPT = "lit"
SEED = 7


def stacked(options: Train, images: Images) -> float:
    """The median member's loss in the last epoch, by the model source itself."""
    run = Run(seed=SEED, pictures=(images,))
    options.load(CONCEPT, run)
    figure = run.figures["training"]
    assert isinstance(figure, Lines)
    return figure.series["median member"][-1]


def plain_loop(options: Train, images: Images) -> float:
    """The same loss, training one network after the other in the ordinary way."""
    inputs = Preprocessing(32)(images.at(32))
    shown = images.labels[CONCEPT]
    classes = torch.from_numpy(~shown).long()
    counts = sample(shown, options.members, Run(seed=SEED).rng())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        networks = [options.network.build(outputs=2) for _ in range(options.members)]
    epochs = options.passes(len(images))
    steps = -(-len(images) // options.batch)
    batches = list(minibatches(len(images), epochs, steps, Run(seed=SEED).generator()))
    losses, accuracies = [], []
    for network, own in zip(networks, counts, strict=True):
        optimiser = torch.optim.Adam(network.parameters())
        last: list[Tensor] = []
        for step, index in enumerate(batches):
            optimiser.param_groups[0]["lr"] = options.learning_rate * schedule(step, len(batches))
            loss = F.cross_entropy(network(inputs[index]), classes[index], reduction="none") * own[index]
            optimiser.zero_grad()
            torch.autograd.backward(loss.mean())
            optimiser.step()
            if step >= len(batches) - steps:
                last.append(loss.detach())
        with torch.no_grad():
            right = [network(batch).argmax(1) for batch in torch.split(inputs, 256)]
            accuracies.append(float((torch.cat(right) == classes).float().mean()))
        losses.append(float(torch.cat(last).sum() / len(images)))
    return median(losses)


def pictures(count: int) -> Images:
    """Noise, half of it with a lit corner: what is in a picture does not change how long it takes."""
    rng = np.random.default_rng(SEED)
    pixels = rng.integers(0, 160, (count, 3, 32, 32), dtype=np.uint8)
    pixels[::2, :, :12, :12] += 90
    return Images(
        [str(index) for index in range(count)], {CONCEPT: np.arange(count) % 2 == 0}, torch.from_numpy(pixels)
    )


def seconds(work: Callable[[Train, Images], float], options: Train, images: Images) -> tuple[float, float]:
    started = time.perf_counter()
    loss = work(options, images)
    return time.perf_counter() - started, loss


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--members", type=int, default=32)
    parser.add_argument("--pictures", type=int, default=1500)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    options = Train(members=arguments.members, epochs=arguments.epochs, flip=False)
    images = pictures(arguments.pictures)
    print(
        f"{options.members} members, {len(images)} pictures of 32x32, {arguments.epochs} epoch(s), "
        f"batch {options.batch}, {torch.get_num_threads()} threads, torch {torch.__version__}"
    )
    seconds(stacked, options, images)  # the first call of each kernel is slower
    times: dict[str, list[float]] = {"stacked": [], "loop": []}
    for repeat in range(1, arguments.repeats + 1):
        stacked_time, stacked_loss = seconds(stacked, options, images)
        loop_time, loop_loss = seconds(plain_loop, options, images)
        times["stacked"].append(stacked_time)
        times["loop"].append(loop_time)
        print(
            f"{repeat}: stacked {stacked_time:6.2f} s (loss {stacked_loss:.4f})   loop {loop_time:6.2f} s "
            f"(loss {loop_loss:.4f})   ratio {loop_time / stacked_time:.2f}",
            flush=True,
        )
    fastest = {name: min(taken) for name, taken in times.items()}
    ratio = fastest["loop"] / fastest["stacked"]
    print(f"fastest: stacked {fastest['stacked']:.2f} s, loop {fastest['loop']:.2f} s, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
