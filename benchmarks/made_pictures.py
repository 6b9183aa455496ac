"""Students of a published network without its pictures: how much made ones are worth; writes docs/made_pictures.md.

    python benchmarks/made_pictures.py --data ../shared/data

The teacher is a ResNet-20 of CIFAR-10 that others trained. A small network learns all of its ten classes at once with
`distil`, each time on other pictures. The 1,017 lossless test pictures judge; no label is learned from.
"""

from __future__ import annotations

import argparse
import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from merging import Right, machine, network, percent, pictures
from numpy.typing import NDArray
from torch import Tensor

from composer import Images, Population, Run
from composer_cifar_resnet import CLASSES
from composer_cnn import CNN
from composer_training import Distil

PAGE = Path(__file__).parent.parent / "docs" / "made_pictures.md"
RUN = "run02"
STUDENT = CNN(filters=(16, 32), size=32)
SEED, DRAWS = 0, 20_000
PAPER_STEPS = 2000
"""In which DeepInversion finds a picture of 32 pixels."""


@dataclass(frozen=True)
class Source:
    """Pictures that a student learns from: what the table calls them, how many, and the options of `distil`."""

    title: str
    count: int
    options: Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """Of one student: which test pictures it tells rightly, and as its teacher does; seconds as `clock` counts them."""

    right: Right
    agrees: Right
    seconds: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with cifar10/")
    parser.add_argument("--output", type=Path, default=PAGE, help="page to write")
    parser.add_argument("--count", type=int, default=4000, help="pictures of each source but the found ones")
    parser.add_argument("--inverted", type=int, default=1000, help="pictures that are found in the network")
    parser.add_argument("--inversion-steps", type=int, default=200, help="steps in which each is found")
    parser.add_argument("--steps", type=int, default=800, help="of each student")
    parser.add_argument("--batch", type=int, default=Distil().batch, help="pictures in a step, of a student and found")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    options = parser.parse_args()
    home = options.data / "cifar10"
    with np.load(home / "cifar10_lossless_part.npz") as part:
        train, test = pictures(part["x_train"][: options.count]), pictures(part["x_test"])
        labels = torch.from_numpy(part["y_test"]).long()
    teacher = network(home / "resnet20" / f"{RUN}.th")
    said = teacher.logits(test)[0].argmax(1)
    found = {}
    used = sources(options.count, options.inverted, options.inversion_steps)
    for source in used:
        shown = train.select(range(min(source.count, len(train))))
        asked = replace(source, options={**source.options, "steps": options.steps, "batch": options.batch})
        found[source.title] = own = student(teacher, asked, shown, options.device, test, labels, said)
        print(source.title, f"{own.right.mean():.3f} {own.agrees.mean():.3f} {own.seconds:.0f} s", flush=True)
    options.output.write_text(page(found, used, (said == labels).numpy(), options), encoding="utf-8")
    print(options.output)


def sources(count: int, found: int, steps: int) -> Sequence[Source]:
    own = {"pictures": "parents"}
    return (
        Source("the network's own training pictures", count, own),
        Source("as many of these as are found below", found, own),
        Source("`dead_leaves`", count, {"pictures": "dead_leaves", "count": count}),
        Source("`drawings`", count, {"pictures": "drawings", "count": count}),
        Source("`inverted`", found, {"pictures": "inverted", "count": found, "inversion_steps": steps}),
    )


def student(
    teacher: Population, source: Source, shown: Images, device: str, test: Images, labels: Tensor, said: Tensor
) -> Found:
    """One student of all ten classes, each of which is a concept that the one network knows."""
    begin = clock(device)
    parents = [replace(teacher, concept=name, outputs=(own,), _memo={}) for own, name in enumerate(CLASSES)]
    method = Distil.model_validate({"architecture": STUDENT, "members": 1, **source.options})
    model = method.assemble(None, parents, Run(SEED, device, pictures=(shown,)))
    seconds = clock(device) - begin
    answers = torch.stack([part.log_odds(test)[0] for part in model.parts]).argmax(0)
    return Found((answers == labels).numpy(), (answers == said).numpy(), seconds)


def clock(device: str) -> float:
    """Seconds of the processor, or on a GPU, which it waits for, of the clock."""
    return time.process_time() if device == "cpu" else time.perf_counter()


def interval(right: NDArray[np.bool_]) -> tuple[float, float, float]:
    """The share and its 95 % interval, for which pictures are drawn anew."""
    drawn = np.random.default_rng(SEED).binomial(len(right), right.mean(), DRAWS) / len(right)
    low, high = np.quantile(drawn, (0.025, 0.975))
    return float(right.mean()), float(low), float(high)


def page(found: Mapping[str, Found], used: Sequence[Source], teacher: Right, options: argparse.Namespace) -> str:
    """In Markdown."""
    command = (
        f"python benchmarks/made_pictures.py --data ../shared/data --count {options.count} --inverted "
        f"{options.inverted} --inversion-steps {options.inversion_steps} --steps {options.steps}"
        + f" --batch {options.batch}" * (options.batch != Distil().batch)
        + f" --device {options.device}" * (options.device != "cpu")
    )
    rows = [
        f"| {source.title} | {source.count:,} | {percent(interval(found[source.title].right))} | "
        f"{percent(interval(found[source.title].agrees))} | {found[source.title].seconds:.0f} |"
        for source in used
    ]
    return "\n".join(
        [
            "# Students where no picture is at hand",
            "",
            _filled(
                f"Written by `{command}` ({machine() if options.device == 'cpu' else torch.cuda.get_device_name()})."
            ),
            "",
            _filled(
                "`distil` asks the parents about pictures, and any will do: `pictures: folder` takes what there is. "
                "Where there is none, they are made: `dead_leaves`, shapes that hide each other (arXiv:2106.05963); "
                "`drawings`, things in all colours; `inverted`, found in parents with batch norm such that it meets "
                "the means and variances that it remembers, and that each shows one of the classes (DeepInversion, "
                "arXiv:1912.08795). Parents without batch norm are refused for the last by name."
            ),
            "",
            _filled(
                f"One network of {parameters():,} parameters learned ten classes of a published ResNet-20 of CIFAR-10, "
                f"which tells {percent(interval(teacher))} % of {len(teacher):,} lossless test pictures rightly. "
                "Accuracy, and how often both say the same, in per cent; in brackets the 95 % interval over pictures. "
                f"Seconds are {'processor time' if options.device == 'cpu' else 'of the clock'}, for pictures, teacher "
                "and student together."
            ),
            "",
            "| learned from | pictures | accuracy | as its teacher | seconds |",
            "| --- | ---: | ---: | ---: | ---: |",
            *rows,
            "",
            _filled(what_it_shows(found, used)),
            "",
            _filled(
                f"Each of the {options.inverted:,} `inverted` pictures was found in {options.inversion_steps:,} steps; "
                "the paper takes 2,000 and many more pictures, so this says what they are worth at this cost and not "
                "at best."
                if options.inversion_steps < PAPER_STEPS
                else f"Each of the {options.inverted:,} `inverted` pictures was found in {options.inversion_steps:,} "
                "steps, as in the paper, which takes many more pictures."
            ),
            "",
        ]
    )


def what_it_shows(found: Mapping[str, Found], used: Sequence[Source]) -> str:
    """In sentences that follow from the numbers."""
    own, few, *made = (source.title for source in used)
    best = max(made, key=lambda title: float(found[title].agrees.mean()))
    gap = found[own].agrees.mean() - found[best].agrees.mean()
    low = interval(found[best].agrees)[1]
    others = [title for title in made if title != best and interval(found[title].agrees)[2] >= low]
    beside = f", though {' and '.join(others)} may be as good" if others else ""
    few_gap = found[few].agrees.mean() - found[best].agrees.mean()
    more = "less" if few_gap > 0 else "more"
    return (
        f"Of made pictures {best} are worth most{beside}: a student of theirs says the same as its teacher "
        f"{100 * gap:.1f} points less often than one of the teacher's own pictures, and "
        f"{100 * abs(few_gap):.1f} points {more} often than one of {used[1].count:,} of these."
    )


def parameters() -> int:
    return sum(tensor.numel() for tensor in STUDENT.build(outputs=len(CLASSES)).state_dict().values())


def _filled(text: str) -> str:
    return textwrap.fill(text, 119, break_on_hyphens=False)


if __name__ == "__main__":
    main()
