"""What is left of deep networks whose kernels were translated, layer by layer: writes a block of docs/translation.md.

    python benchmarks/deep_translation.py --data ../shared/data

Nineteen published ResNet-20 of CIFAR-10 are aligned to one of them and parted into two halves. Members of the first
half, the hosts, take over made kernels in their first layers, up to four depths. Then running statistics are estimated
anew on training pictures, and, beside, a head is fitted to what the host says of these; no label is used. The 1,017
lossless test pictures judge, and nothing is chosen by what comes out.
"""

from __future__ import annotations

import argparse
import textwrap
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from merging import NETWORK, RUNS, Right, machine, network, percent, pictures, right, share
from numpy.typing import NDArray
from torch import Tensor

from composer import Images, KernelSet, Population, Run, Translator, aligned, recalibrated
from composer_controls import Random
from composer_controls.kernels import nearest
from composer_cyclegan import CycleGAN
from composer_kernels import Convolutions
from composer_translation import Flow, Transport

PAGE = Path(__file__).resolve().parent.parent / "docs" / "translation.md"
BEGIN, END = "<!-- begin: benchmarks/deep_translation.py -->\n", "<!-- end: deep -->"
SEED, DRAWS = 0, 2000
PICTURES = 512
"""Training pictures that running statistics and heads are estimated on."""
RIDGE = 1e-2
"""Of the head, in units of the features' mean variance."""
DEPTHS = (1, 7, 13, 19)
"""How many of the 19 convolutions are replaced: the first alone; with the blocks of one, two and three stages."""
WAYS: Mapping[str, Translator] = {
    "transport": Transport(align=False),
    "flow": Flow(align=False),
    "cyclegan pca": CycleGAN(space="pca", epochs=150, identity_weight=5.0, spectral_norm=True),
    "cyclegan, shared": CycleGAN(share=True, scale="unit", epochs=20, hidden=16, identity_weight=5.0),
}
NEAREST, MEAN, NOISE = "nearest to transport", "mean of the other half", "random"
HALFWAY, AS_FAR = "half the way to that mean", "noise as far as transport"
"""`transport` goes half the way from the host's own kernels: so does the one, and the other as far from them."""
ALONE = "recalibrated alone"

Answers = dict[str, dict[int, list[tuple[Right, Right]]]]
"""Way -> depth -> of each host whether pictures are told rightly, with its own head and with a fitted one."""


@dataclass(frozen=True)
class Pictures:
    """What networks are set right on, and what they are judged on."""

    training: Images
    test: Images
    labels: Tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with cifar10/")
    parser.add_argument("--hosts", type=int, default=3, help="members that take over made kernels")
    parser.add_argument("--members", type=int, default=len(RUNS), help="networks of the population, two at least")
    parser.add_argument("--document", type=Path, default=PAGE, help="page to write the block of")
    options = parser.parse_args()
    home = options.data / "cifar10"
    with np.load(home / "cifar10_lossless_part.npz") as part:
        every = np.linspace(0, len(part["x_train"]) - 1, PICTURES).astype(int)
        shown = Pictures(
            pictures(part["x_train"][every]), pictures(part["x_test"]), torch.from_numpy(part["y_test"]).long()
        )
    population = Population.joined([network(home / f"{name}.th") for name in RUNS[: options.members]])
    found, seconds = measured(aligned(population, population, NETWORK), options.hosts, shown)
    write(block(found, seconds, options.hosts, options.members), options.document)
    print(options.document)


def measured(population: Population, hosts: int, shown: Pictures) -> tuple[Answers, dict[str, float]]:
    """What is told rightly, and the seconds that each way took to make its kernels."""
    half = len(population) // 2
    first, second = population.select(range(half)), population.select(range(half, len(population)))
    made, seconds = all_made(Convolutions().extract(second, Run()), Convolutions().extract(first, Run()))
    found: Answers = {**{way: {depth: [] for depth in DEPTHS} for way in made}, ALONE: {}}
    for place in range(min(hosts, half)):
        host = first.select([place])
        said = host.logits(shown.training)[0]
        found[ALONE].setdefault(0, []).append(told(host, said, shown))
        for way, kernels in made.items():
            for depth in DEPTHS:
                found[way][depth].append(told(taken_over(host, kernels, place, depth), said, shown))
            accuracies = (f"{100 * found[way][depth][-1][1].mean():.1f}" for depth in DEPTHS)
            print(host.members[0], way, *accuracies, flush=True)
    return found, seconds


def all_made(attribute: KernelSet, of_object: KernelSet) -> tuple[dict[str, KernelSet], dict[str, float]]:
    """Way -> kernels, of which those at place i are meant for host i. The hosts are members of the object's half."""
    made: dict[str, KernelSet] = {}
    seconds: dict[str, float] = {}
    for way, translator in WAYS.items():
        started = time.process_time()
        made[way] = translator.translate([attribute, of_object], Run(SEED))
        seconds[way] = time.process_time() - started
        print(way, f"{seconds[way]:.0f} s", flush=True)
    made[NEAREST] = nearest(made["transport"], [attribute])
    mean = {layer: kernels.mean(0, keepdim=True) for layer, kernels in attribute.layers.items()}
    made[MEAN] = replace(
        of_object, layers={layer: own.expand(len(of_object), *own.shape[1:]) for layer, own in mean.items()}
    )
    halves = {layer: (own + mean[layer]) / 2 for layer, own in of_object.layers.items()}
    made[HALFWAY] = replace(of_object, layers=halves)
    made[AS_FAR] = as_far(made["transport"], of_object)
    made[NOISE] = Random().translate([attribute, of_object], Run(SEED))
    return made, seconds


def as_far(made: KernelSet, hosts: KernelSet) -> KernelSet:
    """Each host plus normal noise, in each layer as long as what lies between it and what was made of it."""
    generator = Run(SEED).generator()
    layers = {}
    for layer, own in hosts.layers.items():
        drawn = torch.randn(own.shape, generator=generator).flatten(1)
        change = (made.layers[layer][: len(own)] - own).flatten(1).norm(dim=1, keepdim=True)
        layers[layer] = own + (drawn / drawn.norm(dim=1, keepdim=True) * change).view_as(own)
    return replace(hosts, layers=layers)


def taken_over(host: Population, kernels: KernelSet, place: int, depth: int) -> Population:
    """The host, a population of one, with the first `depth` layers of the member at `place`."""
    weights = dict(host.weights)
    for layer in list(kernels.layers)[:depth]:
        weights[f"{layer}.weight"] = kernels.layers[layer][place][None].reshape(weights[f"{layer}.weight"].shape)
    return replace(host, weights=weights, _memo={})


def told(body: Population, said: Tensor, shown: Pictures) -> tuple[Right, Right]:
    """Whether test pictures are told rightly with statistics anew: by the head that it has, and by a fitted one."""
    anew = recalibrated(body, [shown.training], Run(SEED))
    own, others = anew.logits(shown.test)[0], anew.features(shown.test)[0]
    return right(own, shown.labels), right(fitted(anew.features(shown.training)[0], said, others), shown.labels)


def fitted(features: Tensor, said: Tensor, others: Tensor) -> Tensor:
    """What a ridge regression on the features, [N, D], of what was said, [N, classes], says of others."""
    mean, level = features.double().mean(0), said.double().mean(0)
    centred = features.double() - mean
    gram = centred.T @ centred
    strength = RIDGE * float(gram.diagonal().mean()) + torch.finfo(torch.float64).tiny
    head = torch.linalg.solve(gram + strength * torch.eye(len(gram)).double(), centred.T @ (said.double() - level))
    found: Tensor = (others.double() - mean) @ head + level
    return found


def block(found: Answers, seconds: Mapping[str, float], hosts: int, members: int) -> str:
    """The block, in Markdown."""
    pictures = len(found[ALONE][0][0][0])
    lines = [
        _filled(
            f"Written by `python benchmarks/deep_translation.py --data ../shared/data --hosts {hosts} --members "
            f"{members}` ({machine()}): {members} ResNet-20, {min(hosts, members // 2)} hosts, accuracy in per cent on "
            f"{pictures:,} pictures; in brackets the 95 % interval over hosts and pictures."
        ),
    ]
    for place, title in enumerate(
        ("The host's own head", f"A head fitted to what the host says of {PICTURES} pictures")
    ):
        lines += ["", f"{title}:", "", *table(found, seconds, place)]
    lines += ["", *(_filled(text) for text in verdict(found)), ""]
    return "\n".join(lines)


def table(found: Answers, seconds: Mapping[str, float], place: int) -> Iterator[str]:
    yield f"| layers replaced | kind | {' | '.join(map(str, DEPTHS))} | seconds |"
    yield f"| --- | --- |{' ---: |' * (len(DEPTHS) + 1)}"
    alone = percent(over([each[place] for each in found[ALONE][0]]))
    yield f"| none: {alone} | |{' |' * (len(DEPTHS) + 1)}"
    for way in (way for way in found if way != ALONE):
        cells = [percent(over([each[place] for each in found[way][depth]])) for depth in DEPTHS]
        kind = "translator" if way in WAYS else "control"
        yield f"| {way} | {kind} | {' | '.join(cells)} | {f'{seconds[way]:.0f}' if way in seconds else ''} |"


def verdict(found: Answers) -> Iterator[str]:
    """Which translator keeps most of each depth, and whether a copy or the mean keeps as much."""
    controls = [way for way in found if way not in WAYS and way != ALONE]
    beaten = []
    for depth in DEPTHS:
        values = {way: over([each[1] for each in found[way][depth]]) for way in found if way != ALONE}
        best = max((way for way in WAYS), key=lambda way: values[way][0])
        control = max(controls, key=lambda way: values[way][0])
        gap = interval(
            [
                share(own[1]) - share(other[1])
                for own, other in zip(found[best][depth], found[control][depth], strict=True)
            ]
        )
        word = "above" if gap[1] > 0 else "below" if gap[2] < 0 else "not clearly apart from"
        beaten.append(
            f"of {depth} layers `{best}` ({percent(values[best])}) is {word} `{control}` ({percent(values[control])})"
        )
    yield f"With a fitted head, the best translator beside the best control: {'; '.join(beaten)}."


def interval(told: Sequence[NDArray[np.float64]]) -> tuple[float, float, float]:
    """Mean of values per host and picture [N], and its 95 % interval over both: each is drawn anew."""
    values = np.stack(told)
    rng = np.random.default_rng(SEED)
    hosts, count = values.shape
    by_host = rng.multinomial(hosts, np.full(hosts, 1 / hosts), DRAWS) / hosts
    by_picture = rng.multinomial(count, np.full(count, 1 / count), DRAWS) / count
    low, high = np.quantile(((by_host @ values) * by_picture).sum(1), [0.025, 0.975])
    return float(values.mean()), float(low), float(high)


def over(hosts: Sequence[Right]) -> tuple[float, float, float]:
    return interval([share(own) for own in hosts])


def write(text: str, document: Path) -> None:
    """Puts the text between its marks in the document."""
    before, mark, rest = document.read_text(encoding="utf-8").partition(BEGIN)
    if not mark or END not in rest:
        raise SystemExit(f"{document}: the marks {BEGIN.strip()!r} and {END!r} are missing")
    document.write_text(f"{before}{BEGIN}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")


def _filled(text: str) -> str:
    return textwrap.fill(text, 119, break_on_hyphens=False, break_long_words=False)


if __name__ == "__main__":
    main()
