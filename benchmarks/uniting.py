"""Two classifiers of five classes each made one of ten: two halves of CIFAR-10; writes docs/uniting.md.

    python benchmarks/uniting.py --data ../shared/data

Of the 5,085 lossless training pictures a fifth is kept apart: networks that are trained here do not see it, each is
calibrated on it, and the way in which `none of mine` is told is chosen on it. The 1,017 lossless test pictures judge,
and nothing is chosen by them. What was trained is kept in --store and used again.
"""

from __future__ import annotations

import argparse
import os
import platform
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from readme import processor
from torch import Tensor
from torch.nn import functional as F

from composer import Architecture, Images, Population, Preprocessing, Run, read_weights, stack
from composer.models.calibrating import calibrated
from composer.models.shown import Shown
from composer.models.union import LEFT_OUT, Knower, Way, united
from composer.models.union_scores import Scores, Share, scored
from composer.models.union_student import student_of
from composer.models.uniting import logits_of, unite
from composer_cifar_resnet import CLASSES, CifarResNet
from composer_cnn import CNN

PAGE = Path(__file__).parent.parent / "docs" / "uniting.md"
PUBLISHED = CifarResNet()
SMALL = CNN(filters=(16, 32))
HALVES = (CLASSES[:5], CLASSES[5:]), (CLASSES[::2], CLASSES[1::2])
RUNS = "run02", "run03"
FOLDS = 2
SEED, BATCH, MOST_TAKEN = 0, 64, 5


@dataclass(frozen=True)
class Pictures:
    """Pictures of all ten classes, and which each shows."""

    images: Images
    labels: tuple[str, ...]

    def shown(self, labelled: bool = True) -> Shown:
        return Shown(self.images, self.labels if labelled else (None,) * len(self.labels), "pictures")

    def of(self, classes: Sequence[str]) -> NDArray[np.intp]:
        return np.flatnonzero(np.isin(self.labels, classes))


@dataclass(frozen=True)
class Case:
    """Two networks, and what the outputs of each mean."""

    title: str
    parents: tuple[tuple[Population, tuple[str, ...]], ...]
    taught: bool = False
    """Whether one network is made of the two as well, which takes long."""


@dataclass(frozen=True)
class Told:
    """A way to tell that a picture shows none of a network's classes. labelled: by labels of the pictures kept apart.

    fitted: False leaves every number as the network has it.
    """

    title: str
    way: Way
    labelled: bool = True
    fitted: bool = True


@dataclass(frozen=True)
class Compared:
    """A way on pictures of one pair: accuracy and log-loss (nats) on those kept apart, accuracy on test pictures."""

    apart: float
    loss: float
    test: Share


WAYS = (
    Told("probabilities compared as they are", "softmax", fitted=False),
    Told("probabilities compared, with temperature", "softmax"),
    Told("logits side by side as they are", "energy", fitted=False),
    Told("highest logit, standardised without labels", "max_logit", labelled=False),
    Told("highest logit, fitted to labels", "max_logit"),
    Told("energy, standardised without labels", "energy", labelled=False),
    Told("energy, fitted to labels", "energy"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with cifar10/")
    parser.add_argument("--output", type=Path, default=PAGE, help="page to write")
    parser.add_argument("--store", type=Path, default=Path("runs/uniting"), help="where trained networks are kept")
    parser.add_argument("--epochs", type=int, default=12, help="of each network that is trained here")
    parser.add_argument("--steps", type=int, default=400, help="of the one network")
    options = parser.parse_args()
    options.store.mkdir(parents=True, exist_ok=True)
    learn, apart, test = read(options.data / "cifar10")
    cases = [*trained(learn, options.store, options.epochs), *published(options.data / "cifar10")]
    compared = [compare(case, apart, test) for case in cases]
    judged = [judge(case, learn, apart, test, options.steps) for case in cases]
    options.output.write_text(page(cases, compared, judged, options), encoding="utf-8")
    print(options.output)


def read(home: Path) -> tuple[Pictures, Pictures, Pictures]:
    """(to learn from, kept apart, to test on)."""
    with np.load(home / "cifar10_lossless_part.npz") as part:
        found = [(part[f"x_{name}"], part[f"y_{name}"]) for name in ("train", "test")]
    (pixels, labels), test = found
    fifth = np.arange(len(labels)) % 5 == 0
    return _pictures(pixels[~fifth], labels[~fifth]), _pictures(pixels[fifth], labels[fifth]), _pictures(*test)


def _pictures(pixels: NDArray[np.uint8], labels: NDArray[np.uint8]) -> Pictures:
    names = [str(index) for index in range(len(pixels))]
    images = Images(names, {}, torch.from_numpy(pixels).permute(0, 3, 1, 2).clone())
    return Pictures(images, tuple(CLASSES[label] for label in labels))


def published(home: Path) -> Iterator[Case]:
    """Networks that others trained on all ten classes, of which each is given five outputs only."""
    networks = [_population(PUBLISHED, read_weights(home / "resnet20" / f"{run}.th", PUBLISHED), run) for run in RUNS]
    for halves in HALVES:
        names = [tuple(name if name in half else LEFT_OUT for name in CLASSES) for half in halves]
        title = f"published, {halves[0][0]}, {halves[0][1]}, ..."
        yield Case(title, tuple(zip(networks, names, strict=True)))


def trained(learn: Pictures, store: Path, epochs: int) -> Iterator[Case]:
    """Networks that were trained here on five classes, and have seen no other."""
    for halves in HALVES:
        parents = []
        for half in halves:
            file = store / f"{'-'.join(half)}-{epochs}.pth"
            if not file.is_file():
                torch.save(train(learn, half, epochs), file)
            network = _population(SMALL, read_weights(file, SMALL), half[0])
            parents.append((network, half))
        title = f"trained here, {halves[0][0]}, {halves[0][1]}, ..."
        yield Case(title, tuple(parents), halves is HALVES[0])


def train(pictures: Pictures, classes: Sequence[str], epochs: int) -> dict[str, Tensor]:
    """A network that learns some classes from their pictures, moved and mirrored."""
    own = pictures.of(classes)
    pixels = pictures.images.at(SMALL.input_size)[own]
    rows = torch.tensor([classes.index(pictures.labels[index]) for index in own])
    generator = torch.Generator().manual_seed(SEED)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = SMALL.build(len(classes))
    prepare = Preprocessing(SMALL.input_size, SMALL.mean, SMALL.std)
    optimiser = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
    steps = len(own) // BATCH
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 0.004, total_steps=epochs * steps, pct_start=0.25)
    for _ in range(epochs):
        for index in torch.split(torch.randperm(len(own), generator=generator)[: steps * BATCH], BATCH):
            logits = network(prepare(_moved(pixels[index], generator)))
            optimiser.zero_grad()
            torch.autograd.backward(F.cross_entropy(logits, rows[index]))
            optimiser.step()
            schedule.step()
    return {name: tensor.detach() for name, tensor in network.eval().state_dict().items()}


def _moved(pixels: Tensor, generator: torch.Generator) -> Tensor:
    size = pixels.shape[-1]
    wide = F.pad(pixels, (3, 3, 3, 3), mode="replicate")
    down, across, mirrored = torch.randint(7, (3,), generator=generator).tolist()
    found = wide[:, :, down : down + size, across : across + size]
    return found.flip(-1) if mirrored % 2 else found


def _population(architecture: Architecture, weights: Mapping[str, Tensor], name: str) -> Population:
    prepared = Preprocessing(architecture.input_size, architecture.mean, architecture.std)
    return Population(name, architecture, stack([weights]), (name,), prepared)


def compare(case: Case, apart: Pictures, test: Pictures) -> list[Compared]:
    """What each way is worth; of pictures kept apart on those of one half, numbers being fitted on the other."""
    sets = [[logits_of(population, each.images) for population, _ in case.parents] for each in (apart, test)]
    found = []
    for way in WAYS:
        right, loss = np.zeros(len(apart.labels), bool), np.zeros(len(apart.labels))
        for fold in range(FOLDS):
            out = np.arange(len(right)) % FOLDS == fold
            knowers = fitted(case, way, [each[~out] for each in sets[0]], np.array(apart.labels)[~out].tolist())
            right[out], loss[out] = told(knowers, [each[out] for each in sets[0]], np.array(apart.labels)[out])
        tested, _ = told(fitted(case, way, sets[0], list(apart.labels)), sets[1], np.array(test.labels))
        found.append(Compared(float(right.mean()), float(loss.mean()), Share(int(tested.sum()), len(tested))))
    said = (f"{100 * each.apart:.1f} {each.loss:.3f} {100 * each.test.value:.1f}" for each in found)
    print(case.title, *said, sep="\n  ", flush=True)
    return found


def fitted(case: Case, way: Told, logits: Sequence[Tensor], labels: Sequence[str]) -> list[Knower]:
    found = []
    for (_, names), own in zip(case.parents, logits, strict=True):
        knower = Knower(names, way=way.way)
        said = labels if way.labelled else [None] * len(labels)
        found.append(calibrated(knower, own, said, CLASSES, case.title)[0] if way.fitted else knower)
    return found


def told(
    knowers: Sequence[Knower], logits: Sequence[Tensor], true: NDArray[np.str_]
) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """For each picture whether it is told rightly, and minus the log of the probability of its class."""
    classes = [name for knower in knowers for name in knower.own]
    log_odds = united(knowers, logits, "softmax").double()
    rows = torch.tensor([classes.index(name) for name in true.tolist()])
    loss: NDArray[np.float64] = -F.logsigmoid(log_odds)[torch.arange(len(rows)), rows].numpy()
    return (log_odds.argmax(1) == rows).numpy(), loss


def judge(case: Case, learn: Pictures, apart: Pictures, test: Pictures, steps: int) -> dict[str, Scores]:
    """Scores of the networks side by side, as `composer unite` makes them, and of one network that they taught."""
    both = unite(case.parents, apart.shown())
    found = {"side by side": scored(both, both, test.shown())}
    print(case.title, found["side by side"].all, sep="\n  ", flush=True)
    if not case.taught:
        return found
    every = Images(
        [*learn.images.names, *(f"apart {name}" for name in apart.images.names)],
        {},
        torch.cat([each.images.at(SMALL.input_size) for each in (learn, apart)]),
    )
    student = student_of(both, Shown(every, (None,) * len(every), "pictures"), Run(seed=SEED), SMALL, steps)
    found["one network"] = scored(student, both, test.shown())
    print("  one network", found["one network"].all, flush=True)
    return found


def chosen(compared: Sequence[Sequence[Compared]]) -> int:
    """The way that is best on the pictures kept apart, the mean over all cases."""
    return int(np.argmax(np.mean([[way.apart for way in each] for each in compared], axis=0)))


def page(
    cases: Sequence[Case],
    compared: Sequence[Sequence[Compared]],
    judged: Sequence[Mapping[str, Scores]],
    options: argparse.Namespace,
) -> str:
    """The page, in Markdown."""
    pictures = judged[0]["side by side"].all.of
    command = f"python benchmarks/uniting.py --data ../shared/data --epochs {options.epochs} --steps {options.steps}"
    return "\n".join(
        [
            "# Uniting classifiers",
            f"Written by `{command}` ({machine()}).",
            "",
            _filled(
                "Two networks that know five classes of CIFAR-10 each become one model of ten (`composer unite`). "
                "*Published*: two ResNet-20 that others trained on all ten, each with only five of its outputs: "
                "their features know the other five, so this is the easy case, and the training pictures are those "
                "that they have learned from. *Trained here*: two small networks (`cnn`, "
                f"{SMALL.filters[0]} and {SMALL.filters[1]} filters), each on about 2,000 pictures of its five classes "
                f"and of nothing else. {pictures:,} lossless test pictures judge; in brackets 95 % intervals (Wilson) "
                "over pictures. Nothing is chosen by them."
            ),
            "",
            "## How it is told that a picture shows none of a network's classes",
            "",
            _filled(
                "A network that has never seen a truck takes one for something that it knows. Before its classes stand "
                "in one softmax with those of another, it has to say how likely the picture shows any of them. "
                "Accuracy over all ten classes in per cent and log-loss in nats: on training pictures kept apart, "
                "numbers being fitted on the other half of them; in brackets accuracy on test pictures."
            ),
            "",
            *ways_table(cases, compared),
            "",
            _filled(what_is_chosen(compared)),
            "",
            "## How good the union is",
            "",
            *union_table(cases, judged),
            "",
            _filled(
                "*Alone* is a network among its own five classes, on pictures of these; *united* the union on the same "
                "pictures, among all ten. One parent alone can tell half of the pictures at most. "
                f"{one_network(judged, options.steps)}Beside these the published figures of ZipIt (Stoica et al. "
                "2023, arXiv:2305.03053; ResNet-20 of four times the width, 50,000 training pictures): ensemble 87.4, "
                "ZipIt 79.1, one parent 48.2. They are not comparable with ours in data and width."
            ),
            "",
            _filled(lost(cases, judged)),
            "",
            "## Which classes of the one are taken for the other's",
            "",
            *taken_table(cases, judged),
            "",
            "## Your own",
            "",
            *usage(),
            "",
        ]
    )


def ways_table(cases: Sequence[Case], compared: Sequence[Sequence[Compared]]) -> Iterator[str]:
    yield f"| | {' | '.join(case.title for case in cases)} |"
    yield f"| --- |{' ---: |' * len(cases)}"
    for index, way in enumerate(WAYS):
        own = [found[index] for found in compared]
        each = [f"{100 * one.apart:.1f}, {one.loss:.2f} ({100 * one.test.value:.1f})" for one in own]
        yield f"| {way.title} | {' | '.join(each)} |"


def what_is_chosen(compared: Sequence[Sequence[Compared]]) -> str:
    """In sentences that follow from the numbers."""
    best = chosen(compared)
    default = next(index for index, way in enumerate(WAYS) if way.way == "energy" and way.labelled and way.fitted)
    right = [100 * np.mean([found[index].apart for found in compared]) for index in range(len(WAYS))]
    loss = [np.mean([found[index].loss for found in compared]) for index in range(len(WAYS))]
    order = sorted(range(len(WAYS)), key=lambda index: -right[index])
    listed = "; ".join(f"{WAYS[index].title} {right[index]:.1f}, {loss[index]:.2f}" for index in order)
    if best == default:
        taken = "That is what `composer unite` does where pictures have labels."
    else:
        less, more = right[best] - right[default], loss[default] - loss[best]
        taken = (
            f"Where pictures have labels, `composer unite` takes {WAYS[default].title}: {less:.1f} below it, with a "
            f"log-loss that is {abs(more):.2f} {'higher' if more > 0 else 'lower'}."
        )
    return (
        f"Means over the {len(compared)} pairs on the training pictures kept apart, accuracy and log-loss: {listed}. "
        f"Told rightly most often: {WAYS[best].title}. {taken} Without labels it takes the energy, standardised over "
        "all pictures given."
    )


def union_table(cases: Sequence[Case], judged: Sequence[Mapping[str, Scores]]) -> Iterator[str]:
    yield "| | all ten classes | first network: alone, united | second network: alone, united |"
    yield "| --- | ---: | ---: | ---: |"
    for case, found in zip(cases, judged, strict=True):
        for title, scores in found.items():
            own = [f"{100 * each.before.value:.1f}, {100 * each.after.value:.1f}" for each in scores.parents]
            yield f"| {case.title}: {title} | {scores.all} | {' | '.join(own)} |"


def lost(cases: Sequence[Case], judged: Sequence[Mapping[str, Scores]]) -> str:
    """How much networks lose of their own classes by standing beside others, for each kind of network."""
    each: dict[str, list[float]] = {}
    for case, found in zip(cases, judged, strict=True):
        own = found["side by side"].parents
        each.setdefault(case.title.split(",")[0], []).extend(100 * (one.before.value - one.after.value) for one in own)
    said = ", ".join(f"{np.mean(points):.1f} ({kind})" for kind, points in each.items())
    return f"Points that networks lose of their own classes by standing beside another, on the mean: {said}."


def one_network(judged: Sequence[Mapping[str, Scores]], steps: int) -> str:
    """What the rows of one network are; nothing where there are none."""
    if not any("one network" in found for found in judged):
        return ""
    return (
        f"*One network* is a student of the size of those trained here, taught {steps} steps by the first pair of "
        "these side by side, on 5,085 training pictures without their labels. "
    )


def taken_table(cases: Sequence[Case], judged: Sequence[Mapping[str, Scores]]) -> Iterator[str]:
    yield "| side by side | pictures taken for a class of the other | most often |"
    yield "| --- | ---: | --- |"
    for case, found in zip(cases, judged, strict=True):
        scores = found["side by side"]
        count = sum(number for _, _, number in scores.taken)
        most = ", ".join(f"{true} for {said} {number}" for true, said, number in scores.taken[:MOST_TAKEN])
        yield f"| {case.title} | {count} of {scores.all.of} | {most} |"


def usage() -> Iterator[str]:
    yield _filled(
        "`--pictures` holds a folder for each class, or pictures without labels; `--test` says what the tables above "
        "say. Classes of one name are one class, with the mean of what the networks say of it. `--one` makes one "
        "network, `--outputs independent` answers yes or no for each class, and `composer export` writes either as "
        "one ONNX file."
    )
    yield ""
    yield "```sh"
    yield "composer unite a.pth b.pth --names a.pth=cat,dog --names b.pth=car,bus --pictures photos/ -o both"
    yield "composer predict both holiday/"
    yield "composer export both --output both.onnx"
    yield "```"


def _filled(text: str) -> str:
    return textwrap.fill(text, 119, break_on_hyphens=False)


def machine() -> str:
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scipy"))
    return f"{os.cpu_count()} cores of {processor()}, Python {platform.python_version()}, {libraries}"


if __name__ == "__main__":
    main()
