"""What merging in weight space keeps of two networks: published ResNet-20, ten pairs; writes docs/merging.md.

    python benchmarks/merging.py --data ../shared/data
    python benchmarks/merging.py --data ../shared/data --units 3   # only the block of that name, on three pairs

The 1,017 lossless test pictures of CIFAR-10 judge. Units are matched and running statistics estimated on training
pictures, without their labels. Nothing is chosen by what comes out.
"""

from __future__ import annotations

import argparse
import os
import platform
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from readme import processor
from torch import Tensor

from composer import Assembler, Images, Population, Preprocessing, Run, read_weights, recalibrated, stack
from composer_cifar_resnet import CLASSES, CifarResNet
from composer_merging import AlignedMean, ChannelChoice, OptimalTransport, Pleas, Zipit

PAGE = Path(__file__).parent.parent / "docs" / "merging.md"
NETWORK = CifarResNet()
RUNS = (*(f"resnet20/run{number:02d}" for number in range(2, 20)), "resnet20-12fca82f")
PAIRS = (*list(pairwise(RUNS))[::2], (RUNS[-1], RUNS[0]))
"""Each network in one pair; the nineteenth with the first, which is in two."""
EASY = (("resnet20/run06", "resnet20/run06-last"), ("resnet20/run12", "resnet20/run12-last"))
"""A training run's best state and its last."""
PARENT, BOTH = "a parent alone", "both parents side by side, twice the size"
WAYS: Mapping[str, Literal["nothing", "weights", "activations"]] = {
    "plain mean": "nothing",
    "mean, units matched by weights": "weights",
    "mean, units matched by activations": "activations",
}
ANEW = ", statistics anew"
MATCHED = "mean, units matched by activations"
UNITS: Mapping[str, tuple[type[Assembler], dict[str, Any]]] = {
    MATCHED: (AlignedMean, {"by": "activations"}),
    "`optimal_transport`": (OptimalTransport, {}),
    "`zipit`": (Zipit, {}),
    "`pleas`": (Pleas, {}),
    "`channel_choice`": (ChannelChoice, {}),
    "`zipit`, width 1.25": (Zipit, {"width": 1.25}),
    "`pleas`, width 1.25": (Pleas, {"width": 1.25}),
    "`channel_choice`, width 1.25": (ChannelChoice, {"width": 1.25}),
}
"""All with running statistics estimated anew."""
BEGIN, END = "<!-- begin: units -->\n", "<!-- end: units -->\n"
OTHER = "<!-- begin: mergekit -->\n", "<!-- end: mergekit -->\n"
"""Around the block that benchmarks/against_mergekit.py writes."""
DRAWS, SEED = 20_000, 0

Right = NDArray[np.bool_]
"""Whether each picture is told rightly."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with cifar10/")
    parser.add_argument("--output", type=Path, default=PAGE, help="page to write")
    parser.add_argument("--units", type=int, help="write only the block of the ways unit by unit, on so many pairs")
    options = parser.parse_args()
    home = options.data / "cifar10"
    with np.load(home / "cifar10_lossless_part.npz") as part:
        train, test = pictures(part["x_train"]), pictures(part["x_test"])
        labels = torch.from_numpy(part["y_test"]).long()
    units = unit_block([unit_answers(home, pair, train, test, labels) for pair in PAIRS[: options.units]])
    if options.units:
        before = options.output.read_text(encoding="utf-8")
        options.output.write_text(replaced(before, units, BEGIN, END), encoding="utf-8")
    else:
        hard = [answers(home, pair, train, test, labels) for pair in PAIRS]
        easy = [answers(home, pair, train, test, labels) for pair in EASY]
        shares = torch.bincount(labels, minlength=len(CLASSES)) / len(labels)
        kept = block_of(options.output, *OTHER)
        options.output.write_text(page(hard, easy, float(shares.max()), units) + kept, encoding="utf-8")
    print(options.output)


def replaced(page: str, block: str, begin: str, end: str) -> str:
    """The page with another block between two marks; a block that it does not have yet stands at its end."""
    before, found, rest = page.partition(begin)
    return before + block + rest.partition(end)[2] if found else f"{page.rstrip()}\n\n{block}"


def block_of(file: Path, begin: str, end: str) -> str:
    """The block of another command, to stand at the end of the page; empty where there is none."""
    page = file.read_text(encoding="utf-8") if file.is_file() else ""
    _, found, rest = page.partition(begin)
    return f"\n{found}{rest.partition(end)[0]}{end}" if found else ""


def pictures(pixels: NDArray[np.uint8]) -> Images:
    """Pictures without labels."""
    return Images(
        [str(index) for index in range(len(pixels))], {}, torch.from_numpy(pixels).permute(0, 3, 1, 2).clone()
    )


def answers(home: Path, pair: tuple[str, str], train: Images, test: Images, labels: Tensor) -> dict[str, Right]:
    """Composition -> which test pictures it tells rightly; of a parent alone [2, N], of all others [N]."""
    parents = [network(home / f"{name}.th") for name in pair]
    logits = [parent.logits(test)[0] for parent in parents]
    found = {PARENT: np.stack([right(each, labels) for each in logits])}
    found[BOTH] = right(torch.stack([each.log_softmax(1) for each in logits]).mean(0), labels)
    for title, by in WAYS.items():
        method = AlignedMean(by=by, head="mean", recalibrate=False)
        (merged,) = method.assemble(None, parents, Run(seed=SEED, pictures=(train,))).parts
        found[title] = right(merged.logits(test)[0], labels)
        anew = recalibrated(replace(merged, _memo={}), [train], Run(seed=SEED))
        found[title + ANEW] = right(anew.logits(test)[0], labels)
    print(*pair, *(f"{100 * each.mean():.1f}" for each in found.values()), flush=True)
    return found


def unit_answers(home: Path, pair: tuple[str, str], train: Images, test: Images, labels: Tensor) -> dict[str, Right]:
    """The same of the ways unit by unit."""
    parents = [network(home / f"{name}.th") for name in pair]
    logits = [parent.logits(test)[0] for parent in parents]
    found = {PARENT: np.stack([right(each, labels) for each in logits])}
    for title, (way, options) in UNITS.items():
        method = way.model_validate({"head": "mean", "recalibrate": True, **options})
        (merged,) = method.assemble(None, parents, Run(seed=SEED, pictures=(train,))).parts
        found[title] = right(merged.logits(test)[0], labels)
        print(*pair, title, f"{100 * found[title].mean():.1f}", flush=True)
    return found


def network(file: Path) -> Population:
    prepared = Preprocessing(NETWORK.input_size, NETWORK.mean, NETWORK.std)
    return Population(CLASSES[0], NETWORK, stack([read_weights(file, NETWORK)]), (file.stem,), prepared)


def right(logits: Tensor, labels: Tensor) -> Right:
    found: Right = (logits.argmax(1) == labels).numpy()
    return found


def interval(told: Sequence[NDArray[np.float64]]) -> tuple[float, float, float]:
    """Mean of values per pair and picture [N], and its 95 % interval over both: each is drawn anew."""
    values = np.stack(told)
    pairs, count = values.shape
    rng = np.random.default_rng(SEED)
    by_pair = rng.multinomial(pairs, np.full(pairs, 1 / pairs), DRAWS) / pairs
    by_picture = rng.multinomial(count, np.full(count, 1 / count), DRAWS) / count
    means = ((by_pair @ values) * by_picture).sum(1)
    low, high = np.quantile(means, [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def share(right: Right) -> NDArray[np.float64]:
    """Per picture [N]; of several networks their mean."""
    found: NDArray[np.float64] = right.astype(np.float64).reshape(-1, right.shape[-1]).mean(0)
    return found


def percent(values: tuple[float, float, float]) -> str:
    mean, low, high = (100 * value for value in values)
    return f"{mean:.1f} ({low:.1f} to {high:.1f})"


def page(hard: Sequence[Mapping[str, Right]], easy: Sequence[Mapping[str, Right]], most: float, units: str) -> str:
    """The page, in Markdown."""
    pictures = hard[0][BOTH].shape[-1]
    return "\n".join(
        [
            "# Merging networks in weight space: what is left of them",
            f"Written by `python benchmarks/merging.py --data ../shared/data` ({machine()}).",
            "",
            _filled(
                f"Nineteen published ResNet-20 of CIFAR-10, each trained from a start of its own, in {len(hard)} pairs "
                "(run02 is in two of them): two networks are made one of one network's size. Accuracy in per cent on "
                f"{pictures:,} lossless test pictures; in brackets the 95 % interval of the mean, for which pairs "
                "and pictures are both drawn anew. Units are matched and running statistics estimated anew on training "
                "pictures, without their labels."
            ),
            "",
            *table(hard),
            "",
            _filled(what_it_shows(hard, easy, most)),
            "",
            "The same of two pairs that are easy: a training run's best state and its last (run06, run12).",
            "",
            *table(easy),
            "",
            units,
            "## Each pair",
            *each_pair([*zip(PAIRS, hard, strict=False), *zip(EASY, easy, strict=False)]),
            "",
            _filled(
                "Two checkpoints of your own: `composer merge A.th B.th --concept cat --images pictures/ -o merged`, "
                "with `--set by=activations` for the last rows, or `--method pleas --set width=1.5`. Networks "
                "that were fine-tuned from one base are merged by `task_arithmetic`, `ties` or `dare`, which "
                "need the base's file: `--method ties --set base=base.pth`."
            ),
            "",
        ]
    )


def table(found: Sequence[Mapping[str, Right]]) -> Iterator[str]:
    yield "| | accuracy | beside its parents' mean |"
    yield "| --- | ---: | ---: |"
    for title in found[0]:
        own = percent(interval([share(each[title]) for each in found]))
        beside = "" if title == PARENT else percent(against_parents(found, title))
        yield f"| {title} | {own} | {beside} |"


def unit_block(found: Sequence[Mapping[str, Right]]) -> str:
    """What the ways unit by unit keep, in Markdown."""
    gone = {title: against_parents(found, title) for title in UNITS}
    best = max(gone, key=lambda title: gone[title][0])
    small = max((title for title in UNITS if "width" not in title), key=lambda title: gone[title][0])
    lost = [percent((-mean, -high, -low)) for mean, low, high in (gone[small], gone[best])]
    lines = [
        "## Unit by unit",
        *(_filled(text, "  " if text.startswith("-") else "") + "\n" for text in WAYS_TEXT),
        _filled(
            f"Written by `python benchmarks/merging.py --data ../shared/data --units {len(found)}`: the first "
            f"{len(found)} of the pairs above, running statistics anew, heads as the mean of both."
        ),
        "",
        *table(found),
        "",
        _filled(
            f"At one network's size the best, {small}, lies {lost[0]} below its parents; with a width of 1.25 "
            f"({WIDER:.2f} times the parameters) the best, {best}, {lost[1]}."
        ),
        "",
    ]
    return BEGIN + "\n".join(lines) + END


WIDER = 1.25**2
"""How many times as many parameters a network of width 1.25 has, about."""
WAYS_TEXT = (
    "Three ways look at single units, and keep between one and two networks' width: `width: 1.5` has half again "
    "as many units in every layer, where the architecture has a width to choose (`cnn`, `cifar_resnet`). At "
    "`width: 2` each of them is both networks side by side.",
    "- `zipit` ([arXiv:2305.03053](https://arxiv.org/abs/2305.03053)): the two units whose answers to pictures "
    "correlate best become their mean, again and again, be they of two networks or, for a share `within`, of one.",
    "- `pleas` ([arXiv:2407.02447](https://arxiv.org/abs/2407.02447)): the pairs with the highest sum of "
    "correlations become their mean, and the rest is kept apart. Then each layer is fitted by least squares to "
    "what both parents' layers give, on what the merged network's own layers before it give; the paper shares the "
    "width out among layers, and here all have the same share.",
    "- `channel_choice` (ours): no unit is averaged. Of both networks' units side by side those are kept out of "
    "which the others can be told by regression, weighted by the next layers' weights; then each layer is fitted "
    "as in `pleas`.",
    "`optimal_transport` ([arXiv:1910.05653](https://arxiv.org/abs/1910.05653), by activations) carries the units "
    "of the other networks to those of the first at the least squared distance, and takes the mean. Networks of "
    "one architecture have as many units, each of the same mass; so the cheapest plan is a permutation, SciPy's "
    "assignment finds it, and no other package is needed. It differs from `aligned_mean` with `by: activations` "
    "in that loud units count for more.",
    "All go through the couplings that `composer inspect FILE --couplings` shows, look at no label, set running "
    "statistics anew and fit a head where the parents' outputs differ. Layers that are more than a plain "
    "convolution or linear layer (grouped ones, a library's own kind) are mixed and not fitted. Units that nobody "
    "can see from outside, as the heads inside an attention, are refused with the module's name: take "
    "`aligned_mean` or `distil` there.",
)


def against_parents(found: Sequence[Mapping[str, Right]], title: str) -> tuple[float, float, float]:
    return interval([share(each[title]) - share(each[PARENT]) for each in found])


def what_it_shows(hard: Sequence[Mapping[str, Right]], easy: Sequence[Mapping[str, Right]], most: float) -> str:
    """In sentences that follow from the numbers."""
    plain, weights, activations = WAYS
    own = {title: interval([share(each[title]) for each in hard]) for title in hard[0]}
    _, low, high = own[plain]
    chance = "is at chance" if high <= most or low <= 0.1 <= high else "is not at chance"
    best = max((title + ANEW for title in WAYS), key=lambda title: own[title][0])
    lost, gained = against_parents(hard, best), against_parents(hard, BOTH)
    kept, anew = against_parents(easy, plain), against_parents(easy, plain + ANEW)
    still = "still lies" if lost[2] < 0 else "lies"
    without = ": none of these ways merges networks of this width without a loss" if lost[2] < 0 else ""
    harm = "loses nothing that shows" if kept[1] <= 0 <= kept[2] else "differs clearly from its parents"
    alike = all((each[plain] == each[title]).all() for each in easy for title in (weights, activations))
    return (
        f"The plain mean of networks from different starts {chance}: {percent(own[plain])}, where one and the same "
        f"answer for every picture has {100 * most:.1f} at most. With units matched by weights it has "
        f"{percent(own[weights])}, by activations {percent(own[activations])}; with running statistics estimated anew "
        f"as well {percent(own[weights + ANEW])} and {percent(own[activations + ANEW])}. The best of these, {best}, "
        f"{still} {percent((-lost[0], -lost[2], -lost[1]))} below its parents{without}. "
        f"Both side by side have {percent(gained)} more than a parent. "
        f"The plain mean of an easy pair {harm}: {percent(kept)} beside its parents"
        f"{', and matching leaves every answer as it is' if alike else ''}; "
        f"with statistics estimated anew, on few pictures and without a training's crops and flips, it has "
        f"{percent(anew)}: where a mean works without, `recalibrate: false` keeps it."
    )


def each_pair(found: Sequence[tuple[tuple[str, str], Mapping[str, Right]]]) -> Iterator[str]:
    short = ["plain", "plain, anew", "weights", "weights, anew", "activations", "activations, anew"]
    yield f"| pair | parents | side by side | {' | '.join(short)} |"
    yield f"| --- |{' ---: |' * (len(short) + 2)}"
    for names, each in found:
        parents = ", ".join(f"{100 * own.mean():.1f}" for own in each[PARENT])
        rest = [f"{100 * own.mean():.1f}" for title, own in each.items() if title != PARENT]
        yield f"| {' + '.join(Path(name).name for name in names)} | {parents} | {' | '.join(rest)} |"


def _filled(text: str, indent: str = "") -> str:
    return textwrap.fill(text, 119, break_on_hyphens=False, subsequent_indent=indent)


def machine() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scipy"))
    return f"{os.cpu_count()} cores of {processor()}, Python {platform.python_version()}, {libraries}"


if __name__ == "__main__":
    main()
