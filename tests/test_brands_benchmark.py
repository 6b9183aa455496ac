"""The benchmark of brands and products: benchmarks/brands.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import brands
import numpy as np
import torch

from composer import Images, Population, Preprocessing
from composer.models.union_scores import Class, OwnClasses, Scores, Share
from composer_cnn import CNN
from tiny import tiny_population


def scores(right: int) -> Scores:
    own = OwnClasses("brands", Share(90, 100), Share(80, 100), Share(3, 100))
    classes = (Class("arla", 0.9312, Share(70, 80), Share(100, 120)),)
    return Scores(Share(right, 200), (own, own), (), classes)


def test_the_page_says_what_the_numbers_say() -> None:
    found = {"independent": scores(180), "softmax": scores(100)}
    written = " ".join("\n".join(brands.block(found, [11, 22, 33], 200, 1234, ["a: weak", "b: weak"])).split())
    assert "| class by class | 90.0 % (85.1 to 93.4) | 90.0, 80.0 | 90.0, 80.0 |" in written
    assert "| arla | 0.931 | 87.5 % (78.5 to 93.1) | 83.3 % (75.7 to 88.9) |" in written
    assert "from 11 photographs of cartons" in written
    assert "one network of 1,234 parameters" in written
    assert "Said by `composer unite` when it was calibrated: a: weak; b: weak." in written
    assert "Class by class is better: the intervals do not overlap." in written
    assert "The two intervals overlap." in brands.compared({"independent": scores(100), "softmax": scores(110)})
    assert "One softmax over all five is better" in brands.compared({"independent": scores(50), "softmax": scores(110)})


def test_pictures_are_labelled_with_what_the_two_networks_know(tmp_path: Path) -> None:
    rows = ["arla+milk/1.jpg,arla,milk,g,train", "garant+milk/1.jpg,garant,milk,g,train", "a/2.jpg,valio,juice,g,test"]
    (tmp_path / "labels.csv").write_text("\n".join(["file,attribute,object,group,split", *rows]))
    train, held, test = brands.read(tmp_path)
    assert (train.labels, held.labels, test.labels) == (("arla+milk", "milk"), (), ("none",))
    files, names = train.of(brands.BRANDS)
    assert (files, names) == ((str(tmp_path / "arla+milk/1.jpg"),), ["arla"])
    assert train.of(brands.PRODUCTS)[1] == ["milk", "milk"]


def test_a_head_tells_the_classes_that_it_has_learned(tmp_path: Path) -> None:
    from colours import COLOURS, fill

    body = tiny_population("", 1, 0, CNN(filters=(6, 6), size=16))
    for classes in (("red", "green"), ("red", "green", "blue")):
        home = fill(tmp_path / str(len(classes)), {name: name for name in COLOURS}, count=12)
        files = tuple(str(file) for file in sorted(home.rglob("*.png")))
        pictures = brands.Pictures(files, tuple(Path(file).parent.name for file in files))
        made: Population = brands.headed(body, "colours", classes, pictures)
        own, names = pictures.of(classes)
        knowing = replace(made, outputs=tuple(range(len(classes))), _memo={})
        logits = knowing.logits(Images(own, {}, torch.stack([pixels_of(file) for file in own])))[0]
        told = [classes[row] for row in logits.argmax(1).tolist()]
        assert np.mean([one == other for one, other in zip(told, names, strict=True)]) > 0.9
        assert made.shares_body(body)
        assert made.preprocessing == Preprocessing(16, body.preprocessing.mean, body.preprocessing.std)


def pixels_of(file: str) -> torch.Tensor:
    from PIL import Image

    return torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
