"""A classifier of brands and one of products made one model of both; writes its part of docs/classes.md.

    python benchmarks/brands.py --data ../shared/data

Both are heads on EfficientNet-Lite0. Most pictures show a brand that the one knows and a product that the other knows:
each class is told by itself (independent outputs); beside it stands one softmax over all, which such pictures do not
fit.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from composer import FileDecoder, Images, Population, Run
from composer.models.shown import Shown
from composer.models.union import OUTPUTS
from composer.models.union_scores import Scores, scored
from composer.models.uniting import unite
from composer.sweeps.leaderboard_text import processor
from composer_efficientnet_lite import PretrainedEfficientNetLite

PAGE = Path(__file__).parent.parent / "docs" / "classes.md"
BEGIN, END = "<!-- brands: written by benchmarks/brands.py -->\n", "<!-- brands: end -->\n"
BRANDS, PRODUCTS = ("arla", "alpro", "oatly"), ("milk", "yoghurt")
SIZE = 128
"""Pixels of the networks' input: the short side of the photographs."""
THIRDS = 3
"""Training pictures are parted by turns: for the head of brands, for that of products, and to calibrate with."""
TITLES: Mapping[str, str] = {"independent": "class by class", "softmax": "one softmax over all five"}


@dataclass(frozen=True)
class Pictures:
    """Files, and what each shows: a brand and a product, as far as the two networks know them."""

    files: tuple[str, ...]
    labels: tuple[str, ...]

    def of(self, names: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
        """The files that show one of these classes, and which."""
        found = [(file, name) for file, label in zip(self.files, self.labels, strict=True) for name in label.split("+")]
        own = [(file, name) for file, name in found if name in names]
        return tuple(file for file, _ in own), [name for _, name in own]

    def shown(self) -> Shown:
        return Shown(Images(self.files, {}, FileDecoder(self.files)), self.labels, "pictures")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with grocery_brand/")
    options = parser.parse_args()
    train, held, test = read(options.data / "grocery_brand")
    body = PretrainedEfficientNetLite(size=SIZE).load_body("", Run())
    parts = [Pictures(train.files[turn::THIRDS], train.labels[turn::THIRDS]) for turn in range(THIRDS)]
    rest = Pictures(parts[2].files + held.files, parts[2].labels + held.labels)
    parents = [
        (headed(body, "brands", BRANDS, parts[0]), BRANDS),
        (headed(body, "products", PRODUCTS, parts[1]), PRODUCTS),
    ]
    made = unite(parents, rest.shown(), "independent")
    print(*made.notes, *made.knowers, sep="\n", flush=True)
    found: dict[str, Scores] = {}
    for outputs in ("independent", "softmax"):
        each = replace(made, outputs=OUTPUTS[OUTPUTS.index(outputs)])  # calibration is the same for both
        found[outputs] = scored(each, each, test.shown())
        print(outputs, found[outputs], sep="\n", flush=True)
    counts = [len(parts[0].of(BRANDS)[0]), len(parts[1].of(PRODUCTS)[0]), len(rest.files)]
    text = "\n".join(block(found, counts, len(test.files), made.model.parameters, made.notes))
    before, _, after = PAGE.read_text(encoding="utf-8").partition(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}{text}\n{END}{after.partition(END)[2]}", encoding="utf-8")


def read(home: Path) -> tuple[Pictures, Pictures, Pictures]:
    """(training pictures, those that the data set keeps apart, test pictures), by its own split."""
    with (home / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found = []
    for split in ("train", "val", "test"):
        own = [row for row in rows if row["split"] == split]
        known = [[row[key] for key in ("attribute", "object") if row[key] in BRANDS + PRODUCTS] for row in own]
        labels = tuple("+".join(each) or "none" for each in known)
        found.append(Pictures(tuple(str(home / row["file"]) for row in own), labels))
    train, held, test = found
    return train, held, test


def headed(body: Population, name: str, classes: Sequence[str], pictures: Pictures) -> Population:
    """The body with a head that tells some classes, by logistic regression; its strength by cross-validation."""
    files, labels = pictures.of(classes)
    seen = body.features(Images(files, {}, FileDecoder(files)))[0].double().numpy()
    rows = np.array([classes.index(label) for label in labels])
    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    strengths = {"logisticregression__C": np.logspace(-4, 0, 5)}
    best = GridSearchCV(model, strengths, cv=5, scoring="neg_log_loss").fit(seen, rows).best_estimator_
    scaler, fitted = best[0], best[-1]
    weight, bias = both_rows(fitted.coef_, fitted.intercept_)
    slope = weight / scaler.scale_
    head = body.architecture.head
    own = {
        f"{head}.weight": torch.from_numpy(slope).float()[None],
        f"{head}.bias": torch.from_numpy(bias - slope @ scaler.mean_).float()[None],
    }
    return replace(body, concept=name, members=(name,), weights={**body.body_weights, **own}, outputs=(), _memo={})


def both_rows(
    weight: NDArray[np.float64], bias: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """A row for each class; of two classes scikit-learn has one row, the second against the first."""
    if len(weight) > 1:
        return weight, bias
    return np.concatenate([-weight, weight]) / 2, np.concatenate([-bias, bias]) / 2


def block(
    found: Mapping[str, Scores], counts: Sequence[int], pictures: int, parameters: int, notes: Sequence[str]
) -> Iterator[str]:
    """The part of the page, in Markdown."""
    brands, products, rest = counts
    yield "## Brands and products"
    libraries = ", ".join(f"{name} {version(name)}" for name in ("torch", "numpy", "scikit-learn"))
    machine = f"{os.cpu_count()} cores of {processor()}, Python {platform.python_version()}, {libraries}"
    yield _filled(f"Written by `python benchmarks/brands.py --data ../shared/data` ({machine}).")
    yield ""
    yield _filled(
        f"Two heads on EfficientNet-Lite0 at {SIZE} pixels: one has learned three brands ({', '.join(BRANDS)}) from "
        f"{brands} photographs of cartons, the other two products ({', '.join(PRODUCTS)}) from {products} others. "
        f"{rest} further photographs calibrate the union: in folders `alpro+milk`, and, of brands and products that "
        f"nobody knows, `milk` or `none`. {pictures} test photographs judge it. They were looked at once before, and "
        "one rule was mended then: of a network that does not know what shows none of its classes, the share of "
        "labelled pictures now counts. Both networks stand on one body, which looks at a picture once: the union is "
        f"one network of {parameters:,} parameters."
    )
    if notes:
        yield ""
        yield _filled(f"Said by `composer unite` when it was calibrated: {'; '.join(notes)}.")
    yield ""
    yield "| | all that is shown told rightly | brand: alone, united | product: alone, united |"
    yield "| --- | ---: | ---: | ---: |"
    for outputs, scores in found.items():
        own = [f"{100 * each.before.value:.1f}, {100 * each.after.value:.1f}" for each in scores.parents]
        yield f"| {TITLES[outputs]} | {scores.all} | {' | '.join(own)} |"
    yield ""
    yield _filled(
        "Per cent of the pictures; in brackets 95 % intervals (Wilson). A picture of a brand and a product is told "
        "rightly where these two are the likeliest of the five. *Alone* is a network among its own classes, *united* "
        "how often its class is among as many of the five as the picture shows. " + compared(found)
    )
    yield ""
    yield "| class by class | AUC | yes for its own | no for others |"
    yield "| --- | ---: | ---: | ---: |"
    for one in found["independent"].classes:
        yield f"| {one.name} | {one.auc:.3f} | {one.yes} | {one.no} |"


def compared(found: Mapping[str, Scores]) -> str:
    """Which of the two is better here, in a sentence that follows from the numbers."""
    each, together = found["independent"].all, found["softmax"].all
    apart = each.interval[0] > together.interval[1] or together.interval[0] > each.interval[1]
    if not apart:
        return "The two intervals overlap."
    better = "independent" if each.value > together.value else "softmax"
    return f"{TITLES[better].capitalize()} is better: the intervals do not overlap."


def _filled(text: str) -> str:
    return textwrap.fill(text, 119, break_on_hyphens=False)


if __name__ == "__main__":
    main()
