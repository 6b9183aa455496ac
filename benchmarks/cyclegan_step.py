"""How long a step of the CycleGAN takes, beside the study's own loop: `cyclegan_0.ipynb` and `cyclegan_2.ipynb` of
github.com/adityapatel149/generating-machine-learning-models.

    python benchmarks/cyclegan_step.py

Both train two generators and two discriminators on the same kernels of a CNN's two layers, in the same batches. The two
take turns, and the fastest of each counts; seconds are the processor's, so that other work does not count.
"""

from __future__ import annotations

import argparse
import itertools
import platform
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn

from composer_cyclegan import CycleGAN
from composer_cyclegan.networks import Generator
from composer_cyclegan.training import Training

LAYERS = {"conv1": (3, 6, 5, 5), "conv2": (6, 16, 5, 5)}
"""Shape of one member's kernels, inputs first, as the CycleGAN looks at them."""
Step = Callable[[], None]


class StudysDiscriminator(nn.Module):
    """The study's, which ends in a sigmoid."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            nn.Conv3d(channels, 64, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv3d(64, 1, 3, padding=1), nn.Sigmoid()
        )

    def forward(self, kernels: Tensor) -> Tensor:
        scores: Tensor = self.main(kernels)
        return scores


def studys(real_a: Tensor, real_b: Tensor) -> Step:
    """The body of the study's loop over batches, as it stands there."""
    channels = real_a.shape[1]
    to_b, to_a, judge_a, judge_b = (
        Generator(channels),
        Generator(channels),
        StudysDiscriminator(channels),
        StudysDiscriminator(channels),
    )
    adversarial, cycle = nn.MSELoss(), nn.L1Loss()

    def adam(parameters: list[nn.Parameter]) -> torch.optim.Adam:
        return torch.optim.Adam(parameters, lr=0.0002, betas=(0.5, 0.999))

    generators = adam([*itertools.chain(to_b.parameters(), to_a.parameters())])
    judges = {judge_a: adam([*judge_a.parameters()]), judge_b: adam([*judge_b.parameters()])}

    def step() -> None:
        generators.zero_grad()
        fake_b, fake_a = to_b(real_a), to_a(real_b)
        fooled = adversarial(judge_b(fake_b), torch.ones_like(judge_b(fake_b)))
        fooled = fooled + adversarial(judge_a(fake_a), torch.ones_like(judge_a(fake_a)))
        back = cycle(to_a(fake_b), real_a) + cycle(to_b(fake_a), real_b)
        torch.autograd.backward(fooled + 10 * back)
        generators.step()
        for (judge, optimiser), real, fake in zip(
            judges.items(), (real_a, real_b), (fake_a.detach(), fake_b.detach()), strict=True
        ):
            optimiser.zero_grad()
            told = adversarial(judge(real), torch.ones_like(judge(real)))
            told = told + adversarial(judge(fake), torch.zeros_like(judge(fake)))
            torch.autograd.backward(told * 0.5)
            optimiser.step()

    return step


def ours(real_a: Tensor, real_b: Tensor) -> Step:
    """A pass of the translator `cyclegan` over one batch of both."""
    training = Training(real_a, real_b, CycleGAN(batch=len(real_a)), 1, "cpu")

    def step() -> None:
        training.epoch()

    return step


def seconds(steps: dict[str, Step], repeats: int) -> dict[str, float]:
    """The fastest of each; the first call of each is not counted."""
    fastest = dict.fromkeys(steps, float("inf"))
    for repeat in range(repeats + 1):
        for name, step in steps.items():
            started = time.process_time()
            step()
            if repeat:
                fastest[name] = min(fastest[name], time.process_time() - started)
    return fastest


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batch", type=int, nargs="+", default=[10, 64], help="members of each concept in a step")
    parser.add_argument("--repeats", type=int, default=20)
    arguments = parser.parse_args()
    print(
        f"{platform.processor() or platform.machine()}, {torch.get_num_threads()} thread(s), torch {torch.__version__}"
    )
    print("\n| layer | members of each concept | `cyclegan`, ms a step | the study's loop, times as long |")
    print("| --- | --: | --: | --: |")
    generator = torch.Generator().manual_seed(1)
    for name, shape in LAYERS.items():
        for batch in arguments.batch:
            real = [torch.randn(batch, *shape, generator=generator) * 0.1 for _ in range(2)]
            taken = seconds({"ours": ours(*real), "study's": studys(*real)}, arguments.repeats)
            ratio = taken["study's"] / taken["ours"]
            print(f"| `{name}` | {batch} | {taken['ours'] * 1e3:.1f} | {ratio:.2f} |", flush=True)


if __name__ == "__main__":
    main()
